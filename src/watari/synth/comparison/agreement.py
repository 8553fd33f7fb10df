"""How alike two translators' texts are: chrF, the F-score of character n-grams (Popović 2015), without blanks.

As an agreement it takes beta 1, so that it is the same in both directions; counts are summed over all rows first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

ORDER = 6
"""The longest n-gram, as in Popović's paper and sacreBLEU."""


class Agreement:
    """chrF between two series of texts, text by text."""

    def __init__(self) -> None:
        self._shared = [0] * ORDER
        self._left = [0] * ORDER
        self._right = [0] * ORDER

    def add(self, left: str, right: str) -> None:
        """Count one text of each side."""
        left, right = "".join(left.split()), "".join(right.split())
        for order in range(1, ORDER + 1):
            first, second = _grams(left, order), _grams(right, order)
            self._shared[order - 1] += sum((first & second).values())
            self._left[order - 1] += sum(first.values())
            self._right[order - 1] += sum(second.values())

    @property
    def score(self) -> float | None:
        """From 0 (nothing in common) to 1 (the same); None where there is nothing to compare."""
        scores = [
            2 * shared / (left + right)
            for shared, left, right in zip(self._shared, self._left, self._right, strict=True)
            if left and right
        ]
        return sum(scores) / len(scores) if scores else None


def chrf(left: Iterable[str], right: Iterable[str]) -> float | None:
    """Return the agreement of two series of texts."""
    found = Agreement()
    for one, other in zip(left, right, strict=True):
        found.add(one, other)
    return found.score


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
