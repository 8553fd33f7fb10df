"""Byte-pair encoding of one piece, with what is made on the way; merge lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

Rank = Callable[[str, str], float | None]
"""How early two neighbours are joined, the lower the earlier; None if they are not."""


def joined(symbols: Sequence[str], rank: Rank) -> tuple[list[str], list[str]]:
    """Return what byte-pair encoding makes of `symbols`: every symbol that it made on the way, and the last ones.

    Of all neighbours the pair of the lowest rank is joined, the leftmost of equal ones, until none has a rank.
    """
    now = list(symbols)
    ranks = [rank(left, right) for left, right in pairwise(now)]
    made: list[str] = []
    while True:
        best = min((value for value in ranks if value is not None), default=None)
        if best is None:
            return made, now
        at = ranks.index(best)
        now[at : at + 2] = [now[at] + now[at + 1]]
        made.append(now[at])
        del ranks[at]
        if at:
            ranks[at - 1] = rank(now[at - 1], now[at])
        if at < len(ranks):
            ranks[at] = rank(now[at], now[at + 1])


def merge_list(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the merges of a tokenizer.json's content; files hold "a b" or [a, b]."""
    pairs = (given.split(" ", 1) if isinstance(given, str) else given for given in content["model"]["merges"])
    return [(left, right) for left, right in pairs]
