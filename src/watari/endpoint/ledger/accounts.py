"""What a process has set aside in the ledger for what it has in flight: the durable side of `watari.endpoint.budget`.

The one rule: of every budget, spent + set aside by all never exceeds it. An answer that is recorded moves its cost from
its process's block to what is spent, in the transaction that records it; so the sum changes only where a block is made
larger, and that happens in a transaction that has seen all others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from watari.endpoint.ledger.database import Row, Writing
from watari.endpoint.ledger.holders import Holder, alive
from watari.endpoint.ledger.records import NOTHING, Amounts, added, taken, total
from watari.endpoint.ledger.schema import SET_HOLD

RUN = ""
"""The label under which the whole run's budget stands."""

Caps = tuple[int | None, int | None, int | None]
"""A budget in billionths of money, tokens, requests; None: not limited."""


@dataclass(frozen=True, slots=True)
class Held:
    """A block that some process has set aside.

    Args:
        holder, label: Whose it is.
        amounts: How much.
        in_flight: Requests it had in flight when it last said so.
        alive: False if the process is gone: then the block counts as spent.
        beat: Its last sign of life.
    """

    holder: str
    label: str
    amounts: Amounts
    in_flight: int
    alive: bool
    beat: float


@dataclass(frozen=True, slots=True)
class Used:
    """What of one budget is gone.

    Args:
        cap: The budget.
        spent, dead, others: What is recorded; what blocks of dead processes hold; what other living ones hold.
    """

    cap: Caps
    spent: Amounts
    dead: Amounts
    others: Amounts

    @property
    def room(self) -> Caps:
        """What is left for this process, its own block included."""
        gone = added(added(self.spent, self.dead), self.others)
        left = [
            None if limit is None else max(limit - part, 0)
            for limit, part in zip(self.cap, gone, strict=True)
        ]
        return (left[0], left[1], left[2])


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of asking for a larger block.

    Args:
        block: The whole block that is ours now.
        enough: False if the budgets have no room for the least that was asked for.
        stage, run: What is gone of the two budgets.
    """

    block: Amounts
    enough: bool
    stage: Used
    run: Used


@dataclass(frozen=True, slots=True)
class Wanted:
    """A block that is asked for.

    Args:
        least: Without this much nothing can go on.
        needed: This much can be used at once.
        ahead: So much more would save asking again soon.
    """

    least: Amounts
    needed: Amounts
    ahead: Amounts


def held(rows: Sequence[Row]) -> list[Held]:
    """Return the rows of `HELD` as blocks."""
    return [
        Held(
            holder=str(row[0]),
            label=str(row[1]),
            amounts=(int(row[2]), int(row[3]), int(row[4])),
            in_flight=int(row[5]),
            alive=alive(str(row[6]), int(row[7]), int(row[8]), float(row[9])),
            beat=float(row[9]),
        )
        for row in rows
    ]


HELD = (
    "SELECT holder, label, nano, tokens, requests, in_flight, host, pid, started, beat FROM hold"
    " WHERE nano > 0 OR tokens > 0 OR requests > 0 OR in_flight > 0"
)
SPENT = "SELECT label, nano, tokens, requests FROM spend"


def spent(rows: Sequence[Row], label: str) -> Amounts:
    """Return the sum of the rows of `SPENT` for a label; of all for `RUN`."""
    return total(
        (int(nano), int(tokens), int(requests))
        for name, nano, tokens, requests in rows
        if label in (RUN, name)
    )


def grow(
    tx: Writing, holder: str, label: str, mine: Amounts, caps: tuple[Caps, Caps], wanted: Wanted
) -> Granted:
    """Return how large a block may be: as wanted, or as the budgets allow; never smaller than it is.

    Args:
        holder, label, mine: Whose block it is, and how large it is now.
        caps: The stage's budget and the run's.
        wanted: What is asked for.
    """
    recorded = tx.run(SPENT)
    blocks = [one for one in held(tx.run(HELD)) if (one.holder, one.label) != (holder, label)]
    stage = _used(label, caps[0], recorded, blocks)
    run = _used(RUN, caps[1], recorded, blocks)
    sizes = [
        _grown(*sides)
        for sides in zip(mine, wanted.least, wanted.needed, wanted.ahead, stage.room, run.room, strict=True)
    ]
    if any(size is None for size in sizes):
        return Granted(mine, False, stage, run)
    block = (sizes[0] or 0, sizes[1] or 0, sizes[2] or 0)
    return Granted(block, True, stage, run)


def _used(name: str, cap: Caps, recorded: Sequence[Row], blocks: Sequence[Held]) -> Used:
    mine = [one for one in blocks if name in (RUN, one.label)]
    return Used(
        cap,
        spent(recorded, name),
        total(one.amounts for one in mine if not one.alive),
        total(one.amounts for one in mine if one.alive),
    )


_SHARE_AHEAD = 32
"""At most this part of what a budget has left is set aside ahead of need: it is what a kill -9 may cost."""


def _grown(mine: int, least: int, needed: int, ahead: int, stage: int | None, run: int | None) -> int | None:
    """Return one side of a block; None if there is no room for the least."""
    rooms = [room for room in (stage, run) if room is not None]
    if not rooms:
        return needed
    room = min(rooms)
    if least > room:
        return None
    return max(mine, min(needed, room) + min(ahead, max(room - needed, 0) // _SHARE_AHEAD))


def write_block(tx: Writing, holder: Holder, label: str, block: Amounts, in_flight: int) -> None:
    """Write down this process's block."""
    values = (*block, in_flight, holder.host, holder.pid, holder.started, time.time())
    tx.run(SET_HOLD, (holder.name, label, *values))


def give_up(tx: Writing, holder: Holder, label: str, amounts: Amounts) -> None:
    """Count amounts as spent that were sent and will never be recorded: a block that belongs to nobody alive."""
    if amounts == NOTHING:
        return
    tx.run(
        "INSERT INTO hold (holder, label, nano, tokens, requests, in_flight, host, pid, started, beat)"
        " VALUES (?, ?, ?, ?, ?, 0, '', 0, 0, 0) ON CONFLICT (holder, label) DO UPDATE"
        " SET nano = hold.nano + excluded.nano, tokens = hold.tokens + excluded.tokens,"
        " requests = hold.requests + excluded.requests",
        (f"{holder.name} given up", label, *amounts),
    )


def taken_over(tx: Writing, holder: str, label: str, amounts: Amounts) -> Amounts:
    """Take what a dead process had set aside for something that goes on, and return how much of it was still there."""
    found = tx.run("SELECT nano, tokens, requests FROM hold WHERE holder = ? AND label = ?", (holder, label))
    if not found:
        return NOTHING
    there: Amounts = (int(found[0][0]), int(found[0][1]), int(found[0][2]))
    left = taken(there, amounts)
    tx.run(
        "UPDATE hold SET nano = ?, tokens = ?, requests = ? WHERE holder = ? AND label = ?",
        (*left, holder, label),
    )
    return taken(there, left)


def write_budget(tx: Writing, label: str, cap: Caps) -> None:
    """Write down what may be spent, for people who look."""
    tx.run(
        "INSERT INTO budget (label, nano, tokens, requests) VALUES (?, ?, ?, ?) ON CONFLICT (label) DO UPDATE"
        " SET nano = excluded.nano, tokens = excluded.tokens, requests = excluded.requests",
        (label, *cap),
    )
