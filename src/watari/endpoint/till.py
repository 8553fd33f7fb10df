"""What all purses of a label in one process share: the block that is set aside in the ledger, and the holds out of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from watari.endpoint.hold import Hold
from watari.endpoint.ledger.accounts import (
    RUN,
    Caps,
    Granted,
    Wanted,
    give_up,
    grow,
    taken_over,
    write_budget,
)
from watari.endpoint.ledger.database import Writing
from watari.endpoint.ledger.group import Account, Change
from watari.endpoint.ledger.records import NOTHING, Amounts, Spend, added, taken, total
from watari.endpoint.spent import budget_spent
from watari.errors import WatariError

if TYPE_CHECKING:
    from watari.endpoint.ledger.ledger import Ledger

T = TypeVar("T")
_POLL = 0.2
"""Seconds between two looks at whether another process has given something back."""

_IDLE = 0.1
"""Seconds without anything in flight after which nothing is set aside ahead."""

_FEWEST_AHEAD = 8
_MOST_AHEAD = 256
"""Requests ahead of what is in flight that a block may be large enough for; as many as were sent since the last time."""


class Till:
    """What all purses of a label in this process share."""

    def __init__(
        self, ledger: Ledger, label: str, caps: tuple[Caps, Caps], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._ledger = ledger
        self._label = label
        self._caps = caps
        self.loop = loop
        self.users = 0
        self._sides = [stage is not None or run is not None for stage, run in zip(*caps, strict=True)]
        self._limited = any(self._sides)
        self._account = Account(label, self._told, loop)
        self._block = NOTHING
        self._held = NOTHING
        self._losing = NOTHING
        self.count = 0
        self._since = 0
        self._soon = 0
        self._waiting: deque[tuple[asyncio.Future[None], Amounts]] = deque()
        self._refilling: asyncio.Task[None] | None = None
        self._again = False
        self._ceiling: Amounts | None = None
        self._closed = False
        own, whole = caps

        def written(tx: Writing, block: Amounts) -> tuple[Amounts, None]:
            write_budget(tx, label, own)
            write_budget(tx, RUN, whole)
            return block, None

        ledger.writer.change(self._account, written)

    async def hold(self, worst: Spend) -> Hold:
        amounts = worst.amounts
        if not self._limited or (not self._waiting and self._fits(amounts)):
            self._take(amounts)
            return Hold(self, amounts)
        future: asyncio.Future[None] = self.loop.create_future()
        self._waiting.append((future, amounts))
        self._refill()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                # It was given and nobody is there to take it.
                self.back(amounts)
            raise
        return Hold(self, amounts)

    async def take_over(self, holder: str, amounts: Amounts) -> None:
        label = self._label
        await self._change(lambda tx, block: (added(block, taken_over(tx, holder, label, amounts)), None))

    async def close(self) -> None:
        self._closed = True
        if self._refilling is not None:
            self._again = False
            await asyncio.gather(self._refilling, return_exceptions=True)
        await asyncio.wrap_future(self.abandon())

    def abandon(self) -> concurrent.futures.Future[None]:
        """Give back what is not held; what is held counts as spent from now on. Comes back at once."""
        self._closed = True
        self._account.in_flight = 0
        kept = taken(self._held, self._losing)
        holder, label = self._ledger.holder, self._label

        def change(tx: Writing, block: Amounts) -> tuple[Amounts, None]:
            give_up(tx, holder, label, _least(kept, block))
            return NOTHING, None

        self._held = NOTHING
        return self._ledger.writer.change(self._account, change, last=True)

    async def _change(self, change: Change[T]) -> T:
        return await asyncio.wrap_future(self._ledger.writer.change(self._account, change))

    def _fits(self, amounts: Amounts) -> bool:
        """Return whether the block has room for it."""
        block = self._block if self._ceiling is None else _least(self._block, self._ceiling)
        # A side that no budget limits is written down for people, but stops nobody.
        return all(self._held[side] + amounts[side] <= block[side] for side in range(3) if self._sides[side])

    def _take(self, amounts: Amounts) -> None:
        self._held = added(self._held, amounts)
        self.count += 1
        self._account.in_flight = self.count
        self._since += 1
        if self._limited and self._since >= self._soon:
            # Half of what was set aside ahead is used: ask before somebody has to wait.
            self._refill()

    def back(self, amounts: Amounts) -> None:
        """A hold has ended."""
        self._held = taken(self._held, amounts)
        self._one_less()

    def lost(self, amounts: Amounts) -> None:
        """A hold will never be settled: it leaves the block for good, and counts as spent."""
        holder, label = self._ledger.holder, self._label

        def change(tx: Writing, block: Amounts) -> tuple[Amounts, None]:
            give_up(tx, holder, label, amounts)
            return taken(block, amounts), None

        def written(done: asyncio.Future[None]) -> None:
            self._losing = taken(self._losing, amounts)
            if not done.cancelled() and done.exception() is None:
                self._held = taken(self._held, amounts)

        # Until that is written down it is held.
        self._losing = added(self._losing, amounts)
        asyncio.wrap_future(self._ledger.writer.change(self._account, change)).add_done_callback(written)
        self._one_less()

    def _one_less(self) -> None:
        self.count -= 1
        self._account.in_flight = self.count
        self._serve()
        if self.count == 0 and self._limited:
            self.loop.call_later(_IDLE, self._idle)

    def _idle(self) -> None:
        """Nothing is in flight: what is set aside ahead may be what another process waits for."""
        idle = self.count == 0 and not self._waiting and not self._closed
        if idle and self._block != NOTHING and (self._refilling is None or self._refilling.done()):
            self._refilling = self.loop.create_task(self._trimmed())

    async def _trimmed(self) -> None:
        """Make the block as small as what is in flight."""
        ceiling = self._ceiling = _least(self._held, self._block)
        try:
            await self._change(lambda tx, block: (_least(ceiling, block), None))
        except WatariError as error:
            while self._waiting:
                self._refuse(error)
        finally:
            self._ceiling = None
        if self._waiting:
            self._again = True
            self._refilling = self.loop.create_task(self._refilled())

    def _told(self, block: Amounts) -> None:
        """The writer says how large the block is in the ledger now."""
        self._block = block
        self._serve()

    def _serve(self) -> None:
        """Give to those who wait, in their order, while there is room."""
        while self._waiting:
            future, amounts = self._waiting[0]
            if not future.done():
                if not self._fits(amounts):
                    return
                self._take(amounts)
                future.set_result(None)
            self._waiting.popleft()

    def _refill(self) -> None:
        """Ask for a larger block, unless that is being done."""
        self._again = True
        if self._refilling is None or self._refilling.done():
            self._refilling = self.loop.create_task(self._refilled())

    async def _refilled(self) -> None:
        try:
            while self._again:
                self._again = False
                idle = self.count == 0
                granted = await self._grown()
                self._serve()
                if self._waiting:
                    self._again = True
                    if not granted.enough:
                        await self._without_room(granted, idle)
            if self.count == 0:
                self.loop.call_later(_IDLE, self._idle)
        except BaseException as error:
            while self._waiting:
                self._refuse(error)
            if not isinstance(error, WatariError):
                raise

    async def _grown(self) -> Granted:
        waiting = [amounts for future, amounts in self._waiting if not future.done()]
        count = min(max(self._since, _FEWEST_AHEAD), _MOST_AHEAD)
        self._since = 0
        self._soon = count // 2
        each = _mean(self._held, self.count) if self.count else (waiting[0] if waiting else NOTHING)
        wanted = Wanted(
            least=added(self._held, waiting[0] if waiting else NOTHING),
            needed=added(self._held, total(waiting)),
            ahead=(each[0] * count, each[1] * count, each[2] * count),
        )
        holder, label, caps = self._ledger.holder.name, self._label, self._caps

        def change(tx: Writing, block: Amounts) -> tuple[Amounts, Granted]:
            granted = grow(tx, holder, label, block, caps, wanted)
            return granted.block, granted

        return await self._change(change)

    async def _without_room(self, granted: Granted, idle: bool) -> None:
        """The first who waits does not fit: refuse it, or wait for what others may leave."""
        others = added(granted.stage.others, granted.run.others)
        if self.count == 0 and others == NOTHING:
            if not idle:
                # All that was in flight has ended since: look once more.
                return
            self._refuse_what_does_not_fit(granted)
            return
        if self._block != self._held:
            # What is not in flight here may be what another process waits for.
            ceiling = self._ceiling = _least(self._held, self._block)
            try:
                await self._change(lambda tx, block: (_least(ceiling, block), None))
            finally:
                self._ceiling = None
        await asyncio.sleep(_POLL)

    def _refuse_what_does_not_fit(self, granted: Granted) -> None:
        waiting, self._waiting = self._waiting, deque()
        for future, amounts in waiting:
            rooms = zip(amounts, granted.stage.room, granted.run.room, strict=True)
            if all(
                (stage is None or one <= stage) and (run is None or one <= run) for one, stage, run in rooms
            ):
                self._waiting.append((future, amounts))
            elif not future.done():
                future.set_exception(budget_spent(self._label, amounts, granted))

    def _refuse(self, error: BaseException) -> None:
        future, _ = self._waiting.popleft()
        if not future.done():
            future.set_exception(error)


def _mean(amounts: Amounts, count: int) -> Amounts:
    return (-(-amounts[0] // count), -(-amounts[1] // count), -(-amounts[2] // count))


def _least(left: Amounts, right: Amounts) -> Amounts:
    return (min(left[0], right[0]), min(left[1], right[1]), min(left[2], right[2]))
