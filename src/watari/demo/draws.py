"""Random draws that come out the same on every machine, process and Python version.

Only `random.Random.random()` is promised to stay the same between Python versions, so every draw here is made from
that one method, and the generator is seeded from a BLAKE2 digest of a written key, never from `hash()`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


def digest(*key: object) -> int:
    """A 64-bit number that depends on the key's parts only (written with `str`, in order)."""
    text = "\x1f".join(str(part) for part in key)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


class Draw:
    """A stream of draws named by a key: the same key always gives the same stream."""

    def __init__(self, *key: object) -> None:
        self._random = random.Random(digest(*key))

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self._random.random() < probability

    def pick(self, pool: Sequence[T]) -> T:
        """One element, all equally likely."""
        return pool[self.below(len(pool))]

    def weighted(self, pool: Sequence[tuple[T, int]]) -> T:
        """One of the first elements of the pairs, each as likely as the weight beside it says."""
        left = self.below(sum(weight for _, weight in pool))
        for item, weight in pool:
            left -= weight
            if left < 0:
                return item
        raise AssertionError("weights sum to more than their sum")

    def shuffled(self, pool: Iterable[T]) -> list[T]:
        """A new list of the same elements in drawn order (Fisher-Yates)."""
        items = list(pool)
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items


class Cast:
    """Draws words for one story and never gives the same word twice, so that no question has two right answers."""

    def __init__(self, draw: Draw, used: Iterable[Hashable] = (), words: int | None = None) -> None:
        self.draw = draw
        self.used: set[Hashable] = set(used)
        self.words = words

    def known(self, pool: Sequence[H]) -> Sequence[H]:
        """The words of a pool that this story may use: its first `words`, or all."""
        return pool[: self.words]

    def pick(self, pool: Sequence[H]) -> H:
        """An element that the story does not hold yet.

        Raises:
            ValueError: every element of the pool is in the story already.
        """
        pool = self.known(pool)
        if all(item in self.used for item in pool):
            raise ValueError("the story holds every word of this pool already")
        while True:
            item = self.draw.pick(pool)
            if item not in self.used:
                return item

    def take(self, words: Iterable[Hashable]) -> None:
        """Mark words as standing in the story."""
        self.used.update(words)
