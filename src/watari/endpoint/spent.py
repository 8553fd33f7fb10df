"""The refusal where a budget has no room, in words."""

from __future__ import annotations

from watari.endpoint.ledger.accounts import Granted
from watari.endpoint.ledger.records import NANO, Amounts
from watari.errors import StageFailed


class BudgetSpent(StageFailed):
    """Nothing more can be sent within the budget, and nothing in flight can change that."""


def budget_spent(label: str, worst: Amounts, granted: Granted) -> BudgetSpent:
    """Return the refusal, naming the budget and the side that is too small."""
    for whose, used in (
        (f"of {label}" if label else "of this stage", granted.stage),
        ("of the run", granted.run),
    ):
        for side, name in enumerate(("money", "tokens", "requests")):
            cap, room = used.cap[side], used.room[side]
            if cap is None or room is None or worst[side] <= room:
                continue
            dead = used.dead[side]
            gone = f"; {_words(dead, side)} of it was in flight when a process was killed" if dead else ""
            return BudgetSpent(
                f"the budget {whose} is spent: {_words(used.spent[side] + dead, side)} of {_words(cap, side)} {name}{gone};"
                f" the next request may take {_words(worst[side], side)}",
                "raise `budget` and run the same command: what is recorded is not paid again",
            )
    return BudgetSpent("the budget is spent", "raise `budget` and run the same command")


def _words(amount: int, side: int) -> str:
    if side:
        return f"{amount:,}"
    return f"{amount / NANO:,.9f}".rstrip("0").rstrip(".")
