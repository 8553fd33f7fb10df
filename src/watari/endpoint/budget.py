"""A budget that is never exceeded: the worst case of every request is set aside before it is sent, and settled after.

    purse = Purse(ledger, "translated", stage_budget, run_budget)
    hold = await purse.hold(worst)          # waits while others in flight may leave enough; else BudgetSpent
    ...                                     # send, then: await ledger.record(attempt)
    hold.settle(actual)                     # or hold.release() if nothing was sent

What is in flight must count as spent even if the process is killed. A write for each request would be dear, so the
purse sets aside a block in the ledger, a little more than it has in flight, and holds come out of it. The block of a
process that died counts as spent from then on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from watari.endpoint.hold import Hold
from watari.endpoint.ledger.accounts import Caps
from watari.endpoint.ledger.records import NANO, Amounts, Spend
from watari.endpoint.settings import Budget
from watari.endpoint.spent import BudgetSpent
from watari.endpoint.till import Till
from watari.endpoint.worst_case import check_budget, output_limit, worst_case

if TYPE_CHECKING:
    from watari.endpoint.ledger.ledger import Ledger

__all__ = ["BudgetSpent", "Hold", "Purse", "check_budget", "output_limit", "worst_case"]


class Purse:
    """The budget of one stage, and of the run, for one process.

    Args:
        ledger: Where it is kept; several processes may share it.
        label: The stage's name.
        stage_budget, run_budget: What the stage and all stages together may spend.

    Purses of the same label and ledger are one, until all of them are closed. Lives in one event loop.
    """

    def __init__(self, ledger: Ledger, label: str, stage_budget: Budget, run_budget: Budget) -> None:
        self.label = label
        self._ledger = ledger
        self._caps = (_caps(stage_budget), _caps(run_budget))
        self._till: Till | None = None

    async def hold(self, worst: Spend) -> Hold:
        """Set the worst case of a request aside; waits while what is in flight may leave enough.

        Raises:
            BudgetSpent: if the budget has no room for it, and nothing in flight can give any back.
            UserError, StageFailed: if the ledger cannot be written.
        """
        return await (self._till or self._opened()).hold(worst)

    @property
    def in_flight(self) -> int:
        """Holds that have not ended."""
        return self._till.count if self._till is not None else 0

    async def take_over(self, holder: str, amounts: Amounts) -> None:
        """Take what a dead process had set aside for something that goes on (a batch at the provider) as our own."""
        await (self._till or self._opened()).take_over(holder, amounts)

    async def close(self) -> None:
        """Give back what is not held; what is still held stays set aside, and counts as spent. Twice is once."""
        till, self._till = self._till, None
        if till is None:
            return
        till.users -= 1
        if not till.users:
            self._ledger.tills.pop(self.label, None)
            await till.close()

    def _opened(self) -> Till:
        found: Any = self._ledger.tills.get(self.label)
        loop = asyncio.get_running_loop()
        if found is None or found.loop is not loop:
            if found is not None:
                # Of an event loop that ended: what it left unsettled counts as spent.
                found.abandon()
            found = self._ledger.tills[self.label] = Till(self._ledger, self.label, self._caps, loop)
        found.users += 1
        till: Till = found
        self._till = till
        return till


def _caps(budget: Budget) -> Caps:
    money = None if budget.money is None else int(round(budget.money * NANO, 3))
    return (money, budget.tokens, budget.requests)
