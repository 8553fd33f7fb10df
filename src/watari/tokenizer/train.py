"""Continued byte-pair encoding: new pieces learned on top of the base's own segmentation.

Every new piece ranks below every piece of the base and holds at least one strict character of the target script. So
the base's merges run to their end first, new merges join whole base tokens, and a text without such a character is
encoded to the same ids as before (facts: tokenizer §8, with the proof; the method is that of arXiv 2512.03989).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.pretrained.fast import splits
from watari.pretrained.sentencepiece import PieceKind, SpmModel
from watari.tokenizer.script import Script
from watari.tokenizer.spans import Spans

Array = npt.NDArray[np.int64]
Tell = Callable[[int], None]
_EDGE = -2
_GONE = -1
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Limits:
    """What a new piece may be.

    Args:
        max_length: Characters.
        min_frequency: How often it must occur when it is learned.
    """

    max_length: int
    min_frequency: int


def banned(model: SpmModel, script: Script) -> frozenset[str]:
    """Return the strings that may not become pieces: those of the base, and the beginnings and ends of them.

    A new piece that begins or ends a piece of the base could be joined to it by the base's own, higher merge, and the
    base's segmentation would change. Only pieces that hold a strict character matter: others cannot hold a new one.
    """
    found: set[str] = set()
    for piece in model.pieces:
        if piece.kind is not PieceKind.NORMAL:
            continue
        found.add(piece.text)
        if len(piece.text) > 1 and script.has_strict(piece.text):
            found.update(part for pair in splits(piece.text) for part in pair)
    return frozenset(found)


def learn_pieces(
    spans: Spans,
    script: Script,
    ban: frozenset[str],
    count: int,
    limits: Limits,
    tell: Tell = lambda done: None,
) -> list[str]:
    """Return up to `count` new pieces in the order of their ranks; fewer if the text does not hold more.

    The first k pieces are what a run for k would give. Ties are broken by the text, single characters first, so that
    the outcome depends on neither the order of documents nor the machine.

    Args:
        spans: The text.
        script: Which characters a piece may hold.
        ban: Strings that may not become pieces.
        count: How many are wanted.
        limits: What a piece may be.
        tell: Called with the number of pieces learned so far.
    """
    return _Learner(spans, script, ban, limits).run(count, tell)


class _Learner:
    """The text as a doubly linked list of symbols, and a lazy heap of candidates.

    `symbol`, `following`, `previous` and `weight` are arrays over positions. Spans lie one after the other with an
    edge between. A candidate is a pair of symbols; `places` holds where it was seen, some of which may be gone.
    """

    def __init__(self, spans: Spans, script: Script, ban: frozenset[str], limits: Limits) -> None:
        self.texts = list(spans.symbols)
        self.base = spans.base
        self.script = script
        self.ban = ban
        self.limits = limits
        self.strict = [script.has_strict(text) for text in self.texts]
        self.ids = {text: index for index, text in enumerate(self.texts) if script.is_target(text)}
        self.fresh: dict[str, int] = {}
        self.places: dict[tuple[int, int], list[Array]] = {}
        self.heap: list[tuple[int, int, str, int, int]] = []
        self._lay_out(spans)
        self._first_candidates()

    def _lay_out(self, spans: Spans) -> None:
        parts: list[npt.NDArray[np.int32]] = [np.array([_EDGE], dtype=np.int32)]
        weights: list[int] = [0]
        lengths: list[int] = [1]
        for data, weight in spans.counts.items():
            ids = np.frombuffer(data, dtype=np.int32)
            parts += [ids, parts[0]]
            weights += [weight, 0]
            lengths += [len(ids), 1]
        self.symbol: Array = np.concatenate(parts).astype(np.int64)
        self.weight: Array = np.repeat(np.asarray(weights, dtype=np.int64), lengths)
        size = len(self.symbol)
        self.following: Array = np.arange(1, size + 1, dtype=np.int64)
        self.previous: Array = np.arange(-1, size - 1, dtype=np.int64)
        self.following[-1] = size - 1
        self.previous[0] = 0

    def _first_candidates(self) -> None:
        occurs = np.bincount(
            np.maximum(self.symbol, 0), weights=self.weight, minlength=len(self.texts)
        )  # edges weigh nothing
        for index in range(self.base, len(self.texts)):
            times = int(occurs[index])
            text = self.texts[index]
            if times >= self.limits.min_frequency and text not in self.ban:
                gain = (len(text.encode("utf-8")) - 1) * times
                heapq.heappush(self.heap, (-gain, 0, text, index, index))
        positions = np.flatnonzero((self.symbol[:-1] >= 0) & (self.symbol[1:] >= 0))
        self._add_candidates(self.symbol[positions], self.symbol[positions + 1], positions)

    def run(self, count: int, tell: Tell) -> list[str]:
        out: list[str] = []
        while self.heap and len(out) < count:
            gain, kind, text, left, right = heapq.heappop(self.heap)
            if kind == 0:
                out.append(text)
                continue
            places = self._still_there(left, right)
            times = int(self.weight[places].sum())
            if times < -gain:
                if times >= self.limits.min_frequency:
                    self.places[left, right] = [places]
                    heapq.heappush(self.heap, (-times, 1, text, left, right))
                continue
            out.append(text)
            tell(len(out))
            self.fresh[text] = self.ids[text] = len(self.texts)
            self.texts.append(text)
            self.strict.append(True)
            others = [self._still_there(*pair) for pair in self._pairs_of(text) if pair in self.places]
            self._merge(np.unique(np.concatenate([places, *others])) if others else places, self.fresh[text])
        return out

    def _pairs_of(self, text: str) -> list[tuple[int, int]]:
        return [(self.ids[a], self.ids[b]) for a, b in splits(text) if a in self.ids and b in self.ids]

    def _still_there(self, left: int, right: int) -> Array:
        """Take the places of a candidate out of the table and return those where it still stands, sorted."""
        seen = self.places.pop((left, right), [])
        if not seen:
            return _NONE
        places = seen[0] if len(seen) == 1 else np.unique(np.concatenate(seen))
        stands = (self.symbol[places] == left) & (self.symbol[self.following[places]] == right)
        places = places[stands]
        return self._apart(places) if left == right else places

    def _apart(self, places: Array) -> Array:
        """Return `places` (sorted) without those whose left symbol is taken by the one before: leftmost first."""
        clash = self.following[places[:-1]] == places[1:]
        if not clash.any():
            return places
        keep = np.ones(len(places), dtype=bool)
        for index in np.flatnonzero(clash).tolist():
            keep[index + 1] = not keep[index]
        apart: Array = places[keep]
        return apart

    def _merge(self, places: Array, new: int) -> None:
        """Join the two symbols at each place into `new`, leftmost first.

        Where the new symbol meets a neighbour with which it spells a piece that is there already, the encoder joins
        them at once, and so do we: oldest piece first.
        """
        agenda = self._join(self._apart(places), new)
        while agenda:
            agenda.sort()
            piece, left, right = agenda.pop(0)
            agenda += self._join(self._still_there(left, right), piece)

    def _join(self, places: Array, new: int) -> list[tuple[int, int, int]]:
        """Rewrite the list at `places` and return the pairs now adjacent that spell a known piece, as
        (piece, left, right)."""
        gone = self.following[places]
        after = self.following[gone]
        self.symbol[places] = new
        self.symbol[gone] = _GONE
        self.following[places] = after
        self.previous[after] = places
        before = self.previous[places]
        left = self.symbol[before]
        near = left >= 0
        found = self._add_candidates(left[near], np.full(int(near.sum()), new), before[near])
        right = self.symbol[after]
        near = (right >= 0) & (right != new)
        return found + self._add_candidates(np.full(int(near.sum()), new), right[near], places[near])

    def _add_candidates(self, left: Array, right: Array, places: Array) -> list[tuple[int, int, int]]:
        """Enter the pairs that stand at `places`; return those that spell a known piece."""
        if not len(places):
            return []
        keys = left * len(self.texts) + right
        order = np.lexsort((places, keys))
        keys, left, right, places = keys[order], left[order], right[order], places[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        ends = np.append(starts[1:], len(keys)).tolist()
        times = np.add.reduceat(self.weight[places], starts).tolist()
        known: list[tuple[int, int, int]] = []
        groups = zip(starts.tolist(), ends, left[starts].tolist(), right[starts].tolist(), times, strict=True)
        for start, end, a, b, gain in groups:
            if not (self.strict[a] or self.strict[b]):
                continue
            text = self.texts[a] + self.texts[b]
            piece = self.fresh.get(text)
            if piece is None and (
                gain < self.limits.min_frequency or len(text) > self.limits.max_length or text in self.ban
            ):
                continue
            self.places.setdefault((a, b), []).append(places[start:end])
            if piece is None:
                heapq.heappush(self.heap, (-gain, 1, text, a, b))
            else:
                known.append((piece, a, b))
        return known
