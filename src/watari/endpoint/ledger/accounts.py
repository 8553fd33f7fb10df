"""What a process has set aside in the ledger for what it has in flight: the durable side of `watari.endpoint.budget`.

The one rule: of every budget, spent + set aside by all never exceeds it. An answer that is recorded moves its cost from
its process's block to what is spent, in the transaction that records it; so the sum changes only where a block is made
larger, and that happens in a transaction that has seen all others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from watari.endpoint.ledger.database import Writing
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
class Granted:
    """What came of asking for a block.

    Args:
        block: The whole block that is ours now.
        spent, dead, others: What is recorded; what blocks of dead processes hold; what other living ones hold. Each for
            the label and for the whole run.
    """

    block: Amounts
    spent: tuple[Amounts, Amounts]
    dead: tuple[Amounts, Amounts]
    others: tuple[Amounts, Amounts]


def held(rows: Sequence[tuple[object, ...]]) -> list[Held]:
    """Return the rows of `HELD` as blocks."""
    return [
        Held(
            holder=str(row[0]),
            label=str(row[1]),
            amounts=(int(row[2]), int(row[3]), int(row[4])),  # type: ignore[call-overload]
            in_flight=int(row[5]),  # type: ignore[call-overload]
            alive=alive(str(row[6]), int(row[7]), int(row[8]), float(row[9])),  # type: ignore[call-overload,arg-type]
            beat=float(row[9]),  # type: ignore[arg-type]
        )
        for row in rows
    ]


HELD = (
    "SELECT holder, label, nano, tokens, requests, in_flight, host, pid, started, beat FROM hold"
    " WHERE nano > 0 OR tokens > 0 OR requests > 0 OR in_flight > 0"
)
SPENT = "SELECT label, nano, tokens, requests FROM spend"


def spent(rows: Sequence[tuple[object, ...]], label: str) -> Amounts:
    """Return the sum of the rows of `SPENT` for a label; of all for `RUN`."""
    return total(
        (int(nano), int(tokens), int(requests))  # type: ignore[call-overload]
        for name, nano, tokens, requests in rows
        if label in (RUN, name)
    )


def grant(
    tx: Writing, holder: Holder, label: str, wanted: Amounts, caps: tuple[Caps, Caps], in_flight: int
) -> Granted:
    """Make this process's block of `label` as large as wanted, or as the budgets allow.

    Args:
        wanted: The whole block that is wanted, what is in flight included.
        caps: The stage's and the run's.
    """
    recorded = tx.run(SPENT)
    blocks = [one for one in held(tx.run(HELD)) if (one.holder, one.label) != (holder.name, label)]
    sums = []
    block = wanted
    for name, cap in ((label, caps[0]), (RUN, caps[1])):
        mine = [one for one in blocks if name in (RUN, one.label)]
        dead = total(one.amounts for one in mine if not one.alive)
        # A block of our own under another label goes back as others' do.
        others = total(one.amounts for one in mine if one.alive)
        known = spent(recorded, name)
        sums.append((known, dead, others))
        block = _within(block, cap, added(added(known, dead), others))
    write_block(tx, holder, label, block, in_flight)
    (known, dead, others), (run_known, run_dead, run_others) = sums
    return Granted(block, (known, run_known), (dead, run_dead), (others, run_others))


def _within(block: Amounts, cap: Caps, used: Amounts) -> Amounts:
    def fit(wanted: int, limit: int | None, gone: int) -> int:
        return wanted if limit is None else max(min(wanted, limit - gone), 0)

    return (fit(block[0], cap[0], used[0]), fit(block[1], cap[1], used[1]), fit(block[2], cap[2], used[2]))


def write_block(tx: Writing, holder: Holder, label: str, block: Amounts, in_flight: int) -> None:
    """Write down this process's block."""
    values = (*block, in_flight, holder.host, holder.pid, holder.started, time.time())
    tx.run(SET_HOLD, (holder.name, label, *values))


def take_over(tx: Writing, holder: str, label: str, amounts: Amounts) -> Amounts:
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


def caps(nano: float | None, tokens: int | None, requests: int | None) -> Caps:
    """Return a budget (money already in billionths, rounded down)."""
    return (None if nano is None else int(nano), tokens, requests)
