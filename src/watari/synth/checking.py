"""The checks as a ladder uses them: in this process, or spread over several."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from watari.synth.checks.finding import Finding, Meta
from watari.synth.ladder import Messages
from watari.synth.translator import Checks


@asynccontextmanager
async def open_checks(workers: int) -> AsyncIterator[Checks]:
    """Open the checks; they end with the block.

    Args:
        workers: Processes; 0: this one.
    """
    from watari.synth.checks.catalogue import VERSION, run_checks, run_target_checks, turns

    async def pair(source: Messages, target: Messages, meta: Meta) -> list[Finding]:
        return run_checks(turns(source), turns(target), meta)

    async def alone(target: Messages, meta: Meta) -> list[Finding]:
        return run_target_checks(turns(target), meta)

    yield Checks(pair, alone, VERSION)
