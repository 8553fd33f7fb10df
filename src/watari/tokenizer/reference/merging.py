"""Byte-pair encoding by its definition: of all pairs of neighbours that may be joined, the best is, until none may.

Two encoders in here stand on it; they differ in which pairs may be joined and how good each is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

Priority = Callable[[str, str], float | None]
"""How good it is to join two neighbours, the lower the better; None if they may not be joined."""

MEMORY = 200_000
"""Stretches of text whose ids are kept; beyond it all are forgotten, so that memory stays bounded."""


def merge(symbols: Sequence[str], priority: Priority) -> list[str]:
    """Return `symbols` after every join, best pair first, of equal ones the leftmost.

    A heap of candidates stands in for looking at all pairs again after every join. A candidate that no longer stands
    in the text as it did when it was seen is passed over, so that the outcome is that of the definition.
    """
    text: list[str | None] = list(symbols)
    following = list(range(1, len(text) + 1))
    previous = list(range(-1, len(text) - 1))
    heap: list[tuple[float, int, str, str]] = []

    def see(at: int) -> None:
        left = text[at]
        right = text[following[at]] if following[at] < len(text) else None
        if left is not None and right is not None:
            rank = priority(left, right)
            if rank is not None:
                heapq.heappush(heap, (rank, at, left, right))

    for at in range(len(text) - 1):
        see(at)
    while heap:
        _, at, left, right = heapq.heappop(heap)
        other = following[at]
        if text[at] != left or other >= len(text) or text[other] != right:
            continue
        text[at], text[other] = left + right, None
        following[at] = following[other]
        if following[at] < len(text):
            previous[following[at]] = at
        see(at)
        if previous[at] >= 0:
            see(previous[at])
    return [symbol for symbol in text if symbol is not None]


def cut(text: str, joined: frozenset[str]) -> list[str]:
    """Return `text` cut between every two characters across which no join is possible.

    What no join can cross is encoded apart with the same outcome: joins left and right of it do not meet. The short
    stretches that are left come again and again, so that their ids can be kept.

    Args:
        text: Any text.
        joined: Pairs of neighbouring characters that some join brings together.
    """
    edges = [at for at in range(1, len(text)) if text[at - 1 : at + 1] not in joined]
    return [
        text[start:end] for start, end in zip([0, *edges], [*edges, len(text)], strict=True) if start < end
    ]
