"""Continued byte-pair encoding: new pieces learned on top of the base's own segmentation.

Every new piece ranks below every piece of the base and holds at least one strict character of the target script. So
the base's merges run to their end first, new merges join whole base tokens, and a text without such a character is
encoded to the same ids as before (facts: tokenizer §8, with the proof; the method is that of arXiv 2512.03989).

After k pieces the learner's text is segmented exactly as the base extended by these k pieces segments it, so that what
a piece saves is counted and not estimated. For that it is enough to join the pair that was counted, everywhere: a
stretch of text over whose ends no join went is segmented as if it stood alone. So a text that stands as a pair of two
symbols in one place stands as the same two wherever its ends are ends of symbols; no other split of it needs to be
looked for, and a new symbol never meets a neighbour with which it spells an older piece, which would stand there as
one symbol already.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from watari.tokenizer.ban import banned
from watari.tokenizer.learned import Learned
from watari.tokenizer.linked import EDGE, Array, LinkedText, Pairs
from watari.tokenizer.policy import STRICT, Policy
from watari.tokenizer.sequences import UNIT, Sequences

__all__ = ["banned", "learn"]

Tell = Callable[[int], None]
Enough = Callable[[int, int], bool]
_CHARACTER, _PAIR = 0, 1
_LOOKED_AT = 1 << 14
"""Pairs entered at least when the text is counted again: that takes a second or two for 50 MB, an entry a
microsecond."""


def learn(
    sequences: Sequences,
    policy: Policy,
    ban: frozenset[str],
    count: int,
    tell: Tell = lambda done: None,
    *,
    enough: Enough | None = None,
) -> Learned:
    """Return up to `count` new pieces in the order of their ranks; fewer if the text does not hold more.

    The first k pieces are what a run for k would give. Ties are broken by the text, single characters first, so that
    the outcome depends on neither the order of documents nor the machine.

    Args:
        sequences: The text.
        policy: What a piece may be. A candidate that turns out unwanted when its turn comes is dropped for good.
        ban: Strings that may not become pieces (`banned`).
        count: How many are wanted.
        tell: Called with the number of pieces learned so far.
        enough: Asked after every piece, with their number and what the newest saved (`Learned.saved`), whether to
            stop.
    """
    return _Learner(sequences, policy, ban).run(count, tell, enough)


class _Learner:
    """The text, and a lazy heap of the candidates worth looking at.

    A candidate is a pair of symbols, or a character that the base spells as several tokens. Only pairs that weigh at
    least `bound` are in the heap, with their places in `places`; when the best one falls below, the whole text is
    counted again for a lower bound. No pair grows, and all of a new symbol's pairs arise with it; so an entry never
    weighs less than what it stands for, and what other joins took away is found out when it comes up.
    """

    def __init__(self, sequences: Sequences, policy: Policy, ban: frozenset[str]) -> None:
        self.policy = policy
        self.floor = max(1, policy.min_frequency * UNIT)
        self.refused = set(ban)
        self.counts = sequences.counts
        self.places: dict[tuple[int, int], Array] = {}
        self.heap: list[tuple[int, int, str, int, int]] = []

        usable = np.array(sequences.usable, dtype=bool)
        used = np.flatnonzero(usable & (np.bincount(sequences.ids, minlength=len(usable)) > 0))
        numbers = np.full(len(usable), EDGE, dtype=np.int32)
        numbers[used] = np.arange(EDGE + 1, EDGE + 1 + len(used))
        self.texts = ["", *(sequences.symbols[index] for index in used.tolist())]
        self.bits = [policy.bits(text) for text in self.texts]
        weights = sequences.counts @ np.asarray(sequences.weights, dtype=np.int64)
        lengths = sequences.lengths.astype(np.int64)
        self.text = LinkedText(numbers[sequences.ids], lengths, weights)
        self.bound = int(weights @ lengths) + 1
        """Above what any pair weighs: the first look counts them all."""

        first = int(np.searchsorted(used, sequences.base))
        characters = [(EDGE + 1 + place, index) for place, index in enumerate(used.tolist())][first:]
        self.untaken = {number for number, _ in characters}
        """Characters that are no pieces yet: nothing can be made of them."""
        if characters:
            self._enter_characters(sequences, characters, weights)

    def run(self, count: int, tell: Tell, enough: Enough | None) -> Learned:
        found: list[str] = []
        saved: list[int] = []
        while len(found) < count:
            while self.bound > self.floor and (not self.heap or -self.heap[0][0] < self.bound):
                self._lower_bound(count - len(found))
            if not self.heap:
                break
            gain, kind, text, left, right = heapq.heappop(self.heap)
            won: int | None = -gain
            if kind == _CHARACTER:
                self.untaken.discard(left)
            else:
                won = self._take_pair(-gain, text, left, right)
            if won is None:
                continue
            found.append(text)
            saved.append(won)
            tell(len(found))
            if enough is not None and enough(len(found), won):
                break
        return Learned(found, np.array(saved, dtype=np.int64))

    def _enter_characters(
        self, sequences: Sequences, characters: list[tuple[int, int]], weights: Array
    ) -> None:
        """Enter the characters, given as (number, id in `sequences`), that may become pieces; no other ever will."""

        def occurs(counts: Array) -> Array:
            # Floats are exact up to 2^53.
            each = np.repeat(counts, sequences.lengths).astype(np.float64)
            times = np.bincount(sequences.ids, weights=each, minlength=len(sequences.symbols))
            return times.astype(np.int64)

        weigh = occurs(weights)
        columns: list[Array] = list(sequences.counts.T) if self.policy.min_sources > 1 else []
        spread = sum(((occurs(counts) > 0).astype(np.int64) for counts in columns), np.zeros(len(weigh)))
        for number, index in characters:
            text, weight = self.texts[number], int(weigh[index])
            known = self.policy.min_sources == 1 or spread[index] >= self.policy.min_sources
            if weight >= self.floor and known and text not in self.refused and not self.policy.refuses(text):
                gain = (sequences.cost[index] - 1) * weight
                heapq.heappush(self.heap, (-gain, _CHARACTER, text, number, number))

    def _take_pair(self, gain: int, text: str, left: int, right: int) -> int | None:
        """Make a piece of a pair and return what it saves; None if it weighs less by now, or is not wanted."""
        standing = self.text.standing(self.places.pop((left, right)), left, right)
        # Of a symbol three times in a row the first two are joined; but the last two, once the first is taken away.
        places = self.text.apart(standing) if left == right else standing
        weight = self.text.weigh(places)
        if weight < gain:
            if weight >= self.bound:
                self.places[left, right] = standing
                heapq.heappush(self.heap, (-weight, _PAIR, text, left, right))
            return None
        if left in self.untaken or right in self.untaken or not self._welcome(text, places):
            # A character comes up before the pairs that hold it, so that one that is not taken now never will be.
            self.refused.add(text)
            return None
        new = len(self.texts)
        self.texts.append(text)
        self.bits.append(self.policy.bits(text))
        self.text.join(places, new)
        if weight >= self.bound:
            self._enter(self.text.pairs_of(new, places, len(self.texts)))
        return weight

    def _welcome(self, text: str, places: Array) -> bool:
        """Judge a pair by its whole text and by its sources."""
        if self.policy.refuses(text):
            return False
        if self.policy.min_sources == 1:
            return True
        sources = self.counts[self.text.rows(places)].any(axis=0)
        return int(sources.sum()) >= self.policy.min_sources

    def _lower_bound(self, wanted: int) -> None:
        """Count all pairs of the text again, and enter as many of the best as are wanted.

        At least one pair is entered that was below the bound, or the bound falls to the floor.
        """
        strict = np.array([bool(bits & STRICT) for bits in self.bits])
        pairs = self.text.pairs(strict)
        below = pairs.weights[pairs.weights < self.bound]
        first = len(below) - max(_LOOKED_AT, wanted)
        self.bound = self.floor
        if first > 0:
            self.bound = max(self.floor, int(np.partition(below, first)[first]))
        self._enter(pairs)

    def _enter(self, pairs: Pairs) -> None:
        """Enter those pairs that reach the bound and may be pieces."""
        chosen = np.flatnonzero(pairs.weights >= self.bound)
        if not len(chosen):
            return
        size, policy = len(self.texts), self.policy
        runs = zip(
            pairs.keys[chosen].tolist(),
            pairs.weights[chosen].tolist(),
            pairs.begins[chosen].tolist(),
            pairs.ends[chosen].tolist(),
            strict=True,
        )
        for key, weight, begin, end in runs:
            left, right = divmod(key, size)
            bits = policy.joined(self.bits[left], self.bits[right])
            text = self.texts[left] + self.texts[right]
            if (
                left == EDGE
                or right == EDGE
                or not bits & STRICT
                or policy.clashes(bits)
                or len(text) - text.startswith(" ") > policy.max_length
                or text in self.refused
            ):
                continue
            self.places[left, right] = np.sort(pairs.places[begin:end])
            heapq.heappush(self.heap, (-weight, _PAIR, text, left, right))
