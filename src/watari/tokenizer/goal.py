"""How many pieces are wanted: a number, a size of the table, or as many as a target or a bound asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from watari.tokenizer.sequences import UNIT, Sequences

LIMIT = 200_000
"""Pieces that a goal without a number of its own may ask for; beyond, a piece stands for two occurrences: facts §5."""


@dataclass(frozen=True)
class Goal:
    """When there are enough new pieces. Exactly one of the first four is given; the last two may bound it.

    Args:
        add: That many pieces.
        size: As many as make the table this large.
        characters_per_token: Until the learning text reaches it.
        min_gain: Until the next piece saves fewer tokens than this per million characters of the learning text.
        limit: At most so many pieces, whatever the target.
        align: Go on to the next multiple of this size of the table; None: as it comes.
    """

    add: int | None = None
    size: int | None = None
    characters_per_token: float | None = None
    min_gain: float | None = None
    limit: int = LIMIT
    align: int | None = None

    def most(self, base: int) -> int:
        """Return the number of pieces above which none is wanted, alignment included."""
        if self.add is not None:
            wanted = self.add
        elif self.size is not None:
            wanted = max(0, self.size - base)
        else:
            wanted = self.limit
        return self.aligned_up(base, wanted)

    def aligned_up(self, base: int, count: int) -> int:
        """Return the least number from `count` on that makes the table a multiple of `align`."""
        return count if self.align is None else -(-(base + count) // self.align) * self.align - base

    def aligned_down(self, base: int, count: int) -> int:
        """Return the greatest number up to `count` that makes the table a multiple of `align`."""
        return count if self.align is None else max(0, (base + count) // self.align * self.align - base)


class Meter:
    """Follows the learner, and knows how many pieces are wanted as soon as that can be known."""

    def __init__(self, goal: Goal, base: int, sequences: Sequences) -> None:
        self._goal = goal
        self._base = base
        self._characters = sum(c * w for c, w in zip(sequences.characters, sequences.weights, strict=True))
        self._tokens = sum(t * w for t, w in zip(sequences.tokens, sequences.weights, strict=True))
        counted = goal.add is not None or goal.size is not None
        self.wanted: int | None = goal.most(base) if counted else None
        if goal.characters_per_token is not None and self._reached(goal.characters_per_token):
            self.wanted = 0

    def _reached(self, target: float) -> bool:
        return self._characters >= target * self._tokens

    def see(self, count: int, saved: int) -> None:
        """Take note of the newest piece, the `count`-th."""
        self._tokens -= saved
        if self.wanted is not None:
            return
        goal = self._goal
        met: int | None = None
        if goal.characters_per_token is not None and self._reached(goal.characters_per_token):
            met = count
        if goal.min_gain is not None and saved * 1e6 < goal.min_gain * self._characters:
            met = count - 1
        if met is not None:
            self.wanted = min(goal.aligned_up(self._base, met), goal.most(self._base))

    def enough(self, spare: int) -> Callable[[int, int], bool]:
        """Return the learner's question whether to stop: at `spare` pieces more than are wanted."""

        def asked(count: int, saved: int) -> bool:
            self.see(count, saved)
            return self.wanted is not None and count >= self.wanted + spare

        return asked


def characters_per_token(sequences: Sequences, saved: int) -> float:
    """Return the characters per token of the learning text once pieces have saved `saved` (1/`UNIT` tokens)."""
    characters = sum(c * w for c, w in zip(sequences.characters, sequences.weights, strict=True))
    tokens = sum(t * w for t, w in zip(sequences.tokens, sequences.weights, strict=True)) - saved
    return characters / max(UNIT, tokens)
