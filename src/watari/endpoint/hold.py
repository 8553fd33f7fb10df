"""What is set aside for one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watari.endpoint.ledger.records import Amounts, Spend

if TYPE_CHECKING:
    from watari.endpoint.till import Till


class Hold:
    """What is set aside for one request. Exactly one of `settle`, `release` and `lose` ends it.

    Args:
        purse: Where it comes from.
        worst: How much it is.
    """

    __slots__ = ("_purse", "worst")

    def __init__(self, purse: Till, worst: Amounts) -> None:
        self._purse: Till | None = purse
        self.worst = worst

    def settle(self, actual: Spend | None = None) -> None:
        """The request came to an end and its attempt is recorded: what it did not cost is free again.

        The cost itself is what the recorded attempt says; `actual` is for readers of the calling code.
        """
        self._end()

    def release(self) -> None:
        """Nothing was sent: all of it is free again."""
        self._end()

    def lose(self) -> None:
        """It was sent, and its attempt will not be recorded (the task was cancelled): all of it counts as spent."""
        if self._purse is not None:
            purse, self._purse = self._purse, None
            purse.lost(self.worst)

    def _end(self) -> None:
        if self._purse is not None:
            purse, self._purse = self._purse, None
            purse.back(self.worst)
