"""Spans of code points: where words and lines lie, what they hold, and a 64-bit number that tells them apart.

A span's number is the polynomial Σ (c + 1)·B^(length − 1 − place) mod 2^64 over its code points c, so that the number of
two spans put together is number₁·B^length₂ + number₂: what n-grams of words are compared by. Two different spans have
one number by chance once in 2^64 pairs (texts made for it can do better); nothing is looked at twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Codes = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.uint8]

SPACE, LETTER, ASCII_LETTER = 1, 2, 4
"""Bits of `character_flags`: `str.isspace`, `str.isalpha`, A-Z and a-z."""

_BASE = 0x9E3779B97F4A7C15
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Spans:
    """Parts of texts, in order; a text's parts do not overlap.

    Args:
        starts, ends: int64[m], places in the texts' `codes`.
        offsets: int64[n + 1]: the parts of text i are those from offsets[i] to offsets[i + 1].
    """

    starts: Places
    ends: Places
    offsets: Places

    @cached_property
    def counts(self) -> Places:
        """int64[n]: parts of each text."""
        return np.diff(self.offsets)

    @cached_property
    def lengths(self) -> Places:
        """int64[m]: characters of each part."""
        return self.ends - self.starts

    @cached_property
    def owners(self) -> Places:
        """int64[m]: the text of each part."""
        return np.repeat(np.arange(len(self.counts), dtype=np.int64), self.counts)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Spans:
        """Return the chosen parts (bool[m])."""
        counts = sums(chosen, self.offsets)
        return Spans(
            self.starts[chosen], self.ends[chosen], np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        )

    def sums(self, values: npt.NDArray[np.generic]) -> Places:
        """Return the sum of a column of the parts (bool or integers) for each text."""
        return sums(values, self.offsets)


def sums(values: npt.NDArray[np.generic], offsets: Places) -> Places:
    """Return int64[n]: the sum of `values` (bool or integers) from each offset to the next."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return np.asarray(total[offsets[1:]] - total[offsets[:-1]], np.int64)


@cache
def character_flags() -> Flags:
    """Return uint8[0x110000]: the bits of every code point, by this Python's Unicode tables."""
    flags = np.zeros(0x110000, np.uint8)
    for code in range(0x110000):
        character = chr(code)
        flags[code] = SPACE * character.isspace() + LETTER * character.isalpha()
    for first, last in ((0x41, 0x5A), (0x61, 0x7A)):
        flags[first : last + 1] |= ASCII_LETTER
    return flags


def flags_of(characters: str) -> Flags:
    """Return uint8[0x110000]: 1 for each of these characters."""
    flags = np.zeros(0x110000, np.uint8)
    flags[[ord(character) for character in characters]] = 1
    return flags


def chunks(texts: Texts) -> Spans:
    """Return the parts of texts between white space (`str.isspace`), as `str.split` does."""
    flags = character_flags()
    if compiled():
        counts = np.zeros(len(texts), np.int64)
        _count_chunks(texts.codes, texts.offsets, flags, counts)
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        starts, ends = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int64)
        _find_chunks(texts.codes, texts.offsets, flags, starts, ends)
        return Spans(starts, ends, offsets)
    inside = np.zeros(len(texts.codes) + 1, bool)
    inside[:-1] = (flags[texts.codes] & SPACE) == 0
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    # A text's first character begins a part, whatever the text before ends with.
    first = texts.offsets[:-1]
    begins[first] = inside[first]
    finishes = inside[:-1].copy()
    finishes[: len(finishes)] &= ~inside[1:] | begins[1:]
    last = texts.offsets[1:][texts.lengths > 0] - 1
    finishes[last] = inside[last]
    # An empty text at the very end would begin at the guard.
    starts = np.flatnonzero(begins[:-1]).astype(np.int64)
    ends = np.flatnonzero(finishes).astype(np.int64) + 1
    return Spans(starts, ends, np.searchsorted(starts, texts.offsets).astype(np.int64))


@jit
def _count_chunks(codes: Codes, offsets: Places, flags: Flags, counts: Places) -> None:
    for text in range(len(offsets) - 1):
        before, found = 1, 0
        for place in range(offsets[text], offsets[text + 1]):
            space = flags[codes[place]] & 1
            found += before & (1 - space)
            before = space
        counts[text] = found


@jit
def _find_chunks(codes: Codes, offsets: Places, flags: Flags, starts: Places, ends: Places) -> None:
    found = 0
    for text in range(len(offsets) - 1):
        before = True
        for place in range(offsets[text], offsets[text + 1]):
            space = (flags[codes[place]] & 1) != 0
            if before and not space:
                starts[found] = place
            elif space and not before:
                ends[found] = place
                found += 1
            before = space
        if not before:
            ends[found] = offsets[text + 1]
            found += 1


def trimmed(codes: Codes, spans: Spans) -> Spans:
    """Return the parts without the white space at their ends, as `str.strip`; of one that is all blank, its end."""
    flags = character_flags()
    if compiled():
        starts, ends = spans.starts.copy(), spans.ends.copy()
        _trim(codes, flags, starts, ends)
        return Spans(starts, ends, spans.offsets)
    solid = np.flatnonzero((flags[codes] & SPACE) == 0)
    if not len(solid):
        return Spans(spans.ends, spans.ends, spans.offsets)
    first = np.searchsorted(solid, spans.starts)
    after = np.searchsorted(solid, spans.ends)
    blank = after <= first
    starts = np.where(blank, spans.ends, solid[np.minimum(first, len(solid) - 1)]).astype(np.int64)
    ends = np.where(blank, spans.ends, solid[after - 1] + 1).astype(np.int64)
    return Spans(starts, ends, spans.offsets)


@jit
def _trim(codes: Codes, flags: Flags, starts: Places, ends: Places) -> None:
    for part in range(len(starts)):
        start, end = starts[part], ends[part]
        while start < end and flags[codes[start]] & 1:
            start += 1
        while end > start and flags[codes[end - 1]] & 1:
            end -= 1
        if start == end:
            start = end = ends[part]
        starts[part], ends[part] = start, end


@dataclass(frozen=True)
class Held:
    """What parts hold: the bits that one of a part's characters has, and those that all have (an empty part: none)."""

    some: Flags
    every: Flags


def held(codes: Codes, spans: Spans, flags: Flags) -> Held:
    """Return the bits of `flags` (by code point) that some and all of each part's characters have; uint8[m] each."""
    some, every = np.zeros(len(spans.starts), np.uint8), np.zeros(len(spans.starts), np.uint8)
    if compiled():
        _hold(codes, spans.starts, spans.ends, flags, some, every)
        return Held(some, every)
    full = np.flatnonzero(spans.ends > spans.starts)
    if len(full):
        # Every second piece is what lies between two parts; the guard stands behind the last.
        edges = np.stack([spans.starts[full], spans.ends[full]], axis=1).ravel()
        bits = np.concatenate([flags[codes[: edges[-1]]], np.zeros(1, np.uint8)])
        some[full] = np.bitwise_or.reduceat(bits, edges)[::2]
        every[full] = np.bitwise_and.reduceat(bits, edges)[::2]
    return Held(some, every)


@jit
def _hold(codes: Codes, starts: Places, ends: Places, flags: Flags, some: Flags, every: Flags) -> None:
    for part in range(len(starts)):
        if starts[part] == ends[part]:
            continue
        one, all_of = flags[codes[starts[part]]], flags[codes[starts[part]]]
        for place in range(starts[part] + 1, ends[part]):
            one |= flags[codes[place]]
            all_of &= flags[codes[place]]
        some[part], every[part] = one, all_of


def first_run(codes: Codes, spans: Spans, flags: Flags, bit: int) -> Spans:
    """Return the first run of characters with a bit of `flags` in each part; empty at the part's end where it has none."""
    starts, ends = spans.starts.copy(), spans.ends.copy()
    if compiled():
        _find_run(codes, flags, bit, starts, ends)
        return Spans(starts, ends, spans.offsets)
    wanted = (flags[codes] & bit) != 0
    hits = np.append(np.flatnonzero(wanted), len(codes))
    misses = np.append(np.flatnonzero(~wanted), len(codes))
    starts = np.minimum(hits[np.searchsorted(hits, spans.starts)], spans.ends).astype(np.int64)
    ends = np.minimum(misses[np.searchsorted(misses, starts)], spans.ends).astype(np.int64)
    return Spans(starts, ends, spans.offsets)


@jit
def _find_run(codes: Codes, flags: Flags, bit: int, starts: Places, ends: Places) -> None:
    for part in range(len(starts)):
        place, end = starts[part], ends[part]
        while place < end and not flags[codes[place]] & bit:
            place += 1
        starts[part] = place
        while place < end and flags[codes[place]] & bit:
            place += 1
        ends[part] = place


def numbers(codes: Codes, spans: Spans) -> Numbers:
    """Return uint64[m]: each part's number; an empty part's is 0. The parts are in order and do not overlap."""
    found = np.zeros(len(spans.starts), np.uint64)
    if compiled():
        _number(codes, spans.starts, spans.ends, np.uint64(_BASE), found)
        return found
    first = 0
    while first < len(found):
        begin = spans.starts[first]
        last = max(first + 1, int(np.searchsorted(spans.ends, begin + _BLOCK, side="right")))
        starts, ends = spans.starts[first:last] - begin, spans.ends[first:last] - begin
        size = int(ends[-1])
        base = _powers(_BASE, size + 1)
        inverse = _powers(pow(_BASE, -1, 1 << 64), size + 1)
        total = np.zeros(size + 1, np.uint64)
        np.cumsum(
            (codes[begin : begin + size].astype(np.uint64) + np.uint64(1)) * inverse[:size], out=total[1:]
        )
        # Σ (c + 1)·B^-place, brought to the part's own end.
        found[first:last] = (total[ends] - total[starts]) * base[np.maximum(ends - 1, 0)]
        first = last
    return found


@jit
def _number(codes: Codes, starts: Places, ends: Places, base: np.uint64, found: Numbers) -> None:
    for part in range(len(starts)):
        number = np.uint64(0)
        for place in range(starts[part], ends[part]):
            number = number * base + np.uint64(codes[place]) + np.uint64(1)
        found[part] = number


def number_of(text: str) -> int:
    """Return a string's number."""
    number = 0
    for character in text:
        number = (number * _BASE + ord(character) + 1) & (2**64 - 1)
    return number


def factors(lengths: Places) -> Numbers:
    """Return uint64[m]: B^length, by which the number of what stands before is multiplied."""
    if not len(lengths):
        return np.zeros(0, np.uint64)
    return _powers(_BASE, int(lengths.max()) + 1)[lengths]


def _powers(base: int, size: int) -> Numbers:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)
