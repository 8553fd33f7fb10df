"""The checks as a ladder uses them: in this process, or spread over several."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from watari.synth.checks.finding import Finding, Meta
from watari.synth.ladder import Messages
from watari.synth.translator import Checks

SMALL = 2000
"""Rows below which processes are not worth their start (about a second)."""
_MOST = 8


def workers_for(wanted: int | None, rows: int | None) -> int:
    """Return how many processes check: what is wanted, else one less than the machine's cores; none for little work."""
    if wanted is not None:
        return wanted
    if rows is not None and rows < SMALL:
        return 0
    return min(_MOST, len(os.sched_getaffinity(0)) - 1)


@asynccontextmanager
async def open_checks(workers: int) -> AsyncIterator[Checks]:
    """Open the checks; their processes end with the block.

    Args:
        workers: Processes; 0: this one.
    """
    from watari.synth.checks.catalogue import VERSION
    from watari.synth.checks.pool import CheckPool

    async with CheckPool(workers) as pool:

        async def pair(source: Messages, target: Messages, meta: Meta) -> list[Finding]:
            return await pool.check(source, target, meta)

        async def alone(target: Messages, meta: Meta) -> list[Finding]:
            return await pool.check(None, target, meta)

        yield Checks(pair, alone, VERSION)
