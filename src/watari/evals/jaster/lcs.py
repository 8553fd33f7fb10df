"""Lengths of longest common subsequences of many pairs of short texts at once: bit-parallel, and vectorised over the pairs.

A column of the table of dynamic programming is one machine word, and each character of the shorter text is four operations
on it (Crochemore, Iliopoulos, Pinzon and Reid 2001; Hyyrö 2004). numpy does these for all pairs of a size together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_WORDS = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64))
_WIDEST = 64
_EDGES = np.array([4, 8, 16, 32, 64])
_CELLS = 4_000_000  # comparisons of characters at a time: 4 MB
_NOT_SHORT, _NOT_LONG = 0xFFFFFFFF, 0xFFFFFFFE  # no characters, and not each other


def lcs_lengths(texts: Sequence[str], left: Ints, right: Ints) -> Ints:
    """Return the length of the longest common subsequence of each pair (texts[left[k]], texts[right[k]]), in characters."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    spans = _Spans(codes, np.cumsum(sizes) - sizes, sizes)
    swap = sizes[left] > sizes[right]
    return _lengths(spans.at(np.where(swap, right, left)), spans.at(np.where(swap, left, right)))


def _lengths(short: _Spans, long: _Spans) -> Ints:
    found = np.zeros(len(short.sizes), np.int64)
    wide = np.flatnonzero(long.sizes > _WIDEST)
    if len(wide):
        found[wide] = _wide(short.at(wide), long.at(wide))
    narrow = np.flatnonzero((long.sizes <= _WIDEST) & (short.sizes > 0))
    # Pairs of about the same sizes go together, so that little is padding.
    groups = _class(long.sizes[narrow]) * 8 + _class(short.sizes[narrow])
    for places in _grouped(narrow, groups):
        at_once = max(1, _CELLS // (_WIDEST * int(short.sizes[places].max())))
        for first in range(0, len(places), at_once):
            part = places[first : first + at_once]
            found[part] = _narrow(short.at(part), long.at(part))
    return found


def _grouped(places: Ints, groups: Ints) -> list[Ints]:
    order = np.argsort(groups, kind="stable")
    parts = np.split(places[order], np.flatnonzero(np.diff(groups[order])) + 1)
    return [part for part in parts if len(part)]


def _class(sizes: Ints) -> Ints:
    return np.searchsorted(_EDGES, sizes)


def _narrow(short: _Spans, long: _Spans) -> Ints:
    """Of pairs whose second text has as many characters as a word has bits, or fewer."""
    width, word = next((width, word) for width, word in _WORDS if int(long.sizes.max()) <= width)
    same = short.padded(int(short.sizes.max()), _NOT_SHORT).T[:, :, None] == long.padded(width, _NOT_LONG)
    matches: npt.NDArray[Any] = np.packbits(same, axis=2, bitorder="little").view(word)[:, :, 0]
    column = np.full(matches.shape[1], np.iinfo(word).max, word)
    for match in matches:
        kept = column & match
        column = (column + kept) | (column - kept)  # the sum may wrap, as it should
    lengths: Ints = width - np.bitwise_count(column).astype(np.int64)  # a 0 bit is where the length goes up
    return lengths


def _wide(short: _Spans, long: _Spans) -> Ints:
    """Of others: without the characters of the longer that are not in the shorter, most are narrow."""
    sizes = np.zeros(len(short.sizes), np.int64)
    kept: list[npt.NDArray[np.uint32]] = []
    starts = np.zeros(len(short.sizes), np.int64)
    end = 0
    for places in _grouped(np.arange(len(sizes)), _bits(long.sizes) * 64 + _class(short.sizes)):
        width, steps = int(long.sizes[places].max()), int(short.sizes[places].max())
        at_once = max(1, _CELLS // (width * max(steps, 1)))
        for first in range(0, len(places), at_once):
            part = places[first : first + at_once]
            other = long.at(part).padded(width, _NOT_LONG)
            inside = np.zeros(other.shape, bool)
            for step in short.at(part).padded(steps, _NOT_SHORT).T:
                inside |= other == step[:, None]
            sizes[part] = inside.sum(axis=1)
            starts[part] = end + np.cumsum(sizes[part]) - sizes[part]
            kept.append(other[inside])
            end += len(kept[-1])
    left = _Spans(np.concatenate([*kept, np.array([_NOT_LONG], np.uint32)]), starts, sizes)
    found = np.zeros(len(sizes), np.int64)
    for place in np.flatnonzero(sizes > _WIDEST).tolist():
        found[place] = _one(short.text(place), left.text(place))
    narrow = np.flatnonzero(sizes <= _WIDEST)
    if len(narrow):
        found[narrow] = _lengths(short.at(narrow), left.at(narrow))
    return found


@dataclass(frozen=True)
class _Spans:
    """Texts as code points: each a span of one array."""

    codes: npt.NDArray[np.uint32]
    starts: Ints
    sizes: Ints

    def at(self, places: Ints) -> _Spans:
        return _Spans(self.codes, self.starts[places], self.sizes[places])

    def padded(self, width: int, filler: int) -> npt.NDArray[np.uint32]:
        """Return one row a text."""
        within = np.arange(width)
        places = np.minimum(self.starts[:, None] + within, len(self.codes) - 1)
        return np.where(within < self.sizes[:, None], self.codes[places], np.uint32(filler))

    def text(self, place: int) -> npt.NDArray[np.uint32]:
        """Return the code points of one text."""
        start = self.starts[place]
        return self.codes[start : start + self.sizes[place]]


def _bits(sizes: Ints) -> Ints:
    """Return how many bits each size - 1 has, so that all of 65...128 share a group."""
    return np.frexp(np.maximum(sizes - 1, 0).astype(np.float64))[1].astype(np.int64)


def _one(short: npt.NDArray[np.uint32], long: npt.NDArray[np.uint32]) -> int:
    """The same for one pair of any length, with an integer of as many bits as `long` has characters."""
    positions: dict[int, int] = {}
    for character in set(short.tolist()):
        positions[character] = int.from_bytes(np.packbits(long == character, bitorder="little"), "little")
    every = (1 << len(long)) - 1
    column = every
    for character in short.tolist():
        kept = column & positions[character]
        column = ((column + kept) | (column - kept)) & every
    return len(long) - column.bit_count()
