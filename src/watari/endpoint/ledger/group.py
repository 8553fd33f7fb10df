"""What is written to a ledger in one transaction, and what came of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from watari.endpoint.ledger.database import Writing
from watari.endpoint.ledger.records import NOTHING, Amounts, Attempt, Verdict

T = TypeVar("T")

Waiting = asyncio.Future[int] | None
Change = Callable[[Writing, Amounts], tuple[Amounts, T]]
"""From the block as it is to the block as it shall be, and something to tell the asker."""


@dataclass
class Account:
    """What this process has set aside for one label, and whom to tell when that changes.

    Args:
        label: The stage's name.
        told: Called in `loop` with the block as it is in the ledger now.
        loop: The event loop that asks.
        block: As in the ledger; only the writer changes it.
        in_flight: Requests in flight; for people who look.
        beaten: When this was last written (monotonic).
    """

    label: str
    told: Callable[[Amounts], None]
    loop: asyncio.AbstractEventLoop
    block: Amounts = NOTHING
    in_flight: int = 0
    beaten: float = -1e9


@dataclass
class Group:
    """What is written in one transaction."""

    attempts: list[tuple[Attempt, Waiting]] = field(default_factory=list)
    verdicts: dict[tuple[int, str], Verdict] = field(default_factory=dict)
    changes: list[tuple[Account, Change[Any], concurrent.futures.Future[Any]]] = field(default_factory=list)
    jobs: list[tuple[Callable[[Writing], Any], concurrent.futures.Future[Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.attempts or self.verdicts or self.changes or self.jobs)


@dataclass
class Written:
    """What came of it."""

    first: int = 0
    blocks: dict[int, tuple[Account, Amounts]] = field(default_factory=dict)
    changed: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
