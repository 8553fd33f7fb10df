"""Questions that gather until there are enough for a batch, or none has come for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from watari.endpoint.batch_notes import Line
from watari.endpoint.budget import Hold
from watari.endpoint.ledger.records import Amounts, Recorded

MOST_REQUESTS = 50_000
MOST_BYTES = 190_000_000
"""OpenAI's limits of a batch are 50,000 requests and 200 MB."""

QUIET = 1.0
"""Seconds without a new request after which a batch is sent."""


@dataclass
class Asked:
    """A request that waits for its answer."""

    line: Line
    worst: Amounts
    hold: Hold | None
    future: asyncio.Future[Recorded]
    tries: int = 0
    sent: bool = False


@dataclass
class Batch:
    """A batch under way.

    Args:
        token: Our name for it.
        lines: Its questions by key.
        waiting: Who waits for them.
        hold: For an attached one: what was set aside for all of it.
    """

    token: str
    lines: dict[str, Line]
    waiting: dict[str, Asked] = field(default_factory=dict)
    hold: Hold | None = None
    ended: bool = False
    read: bool = False


class Gathering:
    """What the next batches will ask; lives in one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[str, Asked] = {}
        self.most = MOST_REQUESTS
        self._bytes = 0
        self._came = asyncio.Event()
        self._last = 0.0

    def put(self, asked: Asked) -> None:
        """Add a question."""
        self.waiting[asked.line.key] = asked
        self._bytes += len(asked.line.request) + 200
        self._last = asyncio.get_running_loop().time()
        self._came.set()

    def wake(self) -> None:
        """Have who waits in `ready` look anew."""
        self._came.set()

    async def ready(self) -> bool:
        """Return True at once if a batch is to be cut, else False when something came or a moment has passed."""
        full = len(self.waiting) >= self.most or self._bytes >= MOST_BYTES
        quiet = asyncio.get_running_loop().time() - self._last
        if full or quiet >= QUIET:
            return True
        self._came.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._came.wait(), QUIET - quiet)
        return False

    def cut(self) -> list[Asked]:
        """Take as many as a batch may hold."""
        taken: list[Asked] = []
        size = 0
        for asked in list(self.waiting.values()):
            length = len(asked.line.request) + 200
            if taken and (len(taken) >= self.most or size + length > MOST_BYTES):
                break
            del self.waiting[asked.line.key]
            self._bytes -= length
            size += length
            taken.append(asked)
        return taken


def refuse(waiting: Iterable[Asked], error: BaseException) -> None:
    """Tell all who wait that nothing will come."""
    for asked in list(waiting):
        if not asked.future.done():
            asked.future.set_exception(error)
