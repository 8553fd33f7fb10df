"""Where texts hold a run of characters of an index: the search behind decontamination.

An n-gram of the folded text (`kernels.fold`) is found by its polynomial hash (mod 2**64, mixed): first a bit in a
bitmap, then a search in the sorted array of the index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from watari.kernels.fold import BOUNDARY, CODE, Codes, Folded, Places
from watari.kernels.jit import compiled, jit

Hashes = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93


@dataclass(frozen=True)
class Hits:
    """Places at which something of the index was found, in the order of the texts.

    Args:
        rows: int64, which text.
        starts: int64, where in its folded form (0 is its first character).
        lengths: int64, folded characters.
        slots: int64, position in the index's array of hashes.
    """

    rows: Places
    starts: Places
    lengths: Places
    slots: Places

    def __len__(self) -> int:
        """Number of hits."""
        return len(self.rows)


@dataclass(frozen=True)
class HashSet:
    """A set of hashes that is asked about every character of a corpus.

    Args:
        hashes: uint64, sorted, each once.
        bitmap: uint64 words; the bit at a hash's highest bits is set.
        shift: A hash shifted right by this is its bit's number.
    """

    hashes: Hashes
    bitmap: Hashes
    shift: int

    @staticmethod
    def of(hashes: Hashes) -> HashSet:
        """Return the set of some hashes; 32 to 64 bits each, at least 2**16 and at most 2**30 (128 MB)."""
        unique = np.unique(hashes)
        bits = min(max((64 * len(unique)).bit_length() - 1, 16), 30)
        bitmap = np.zeros(1 << (bits - 6), np.uint64)
        places = unique >> np.uint64(64 - bits)
        np.bitwise_or.at(bitmap, places >> np.uint64(6), np.uint64(1) << (places & np.uint64(63)))
        return HashSet(unique, bitmap, 64 - bits)


def gram_hashes(folded: Folded, n: int) -> tuple[Hashes, Places]:
    """Return (uint64 hashes of every n-gram within a text, int64 places in `folded.codes`), in order."""
    codes = (folded.codes & np.uint32(CODE)).astype(np.uint64)
    total = len(codes) - n + 1
    if total <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    # Powers of two of the window are put together: h[a + b] = h[a] * base**b + h[b] further on.
    window, length, piece, size = np.zeros(len(codes), np.uint64), 0, codes, 1
    while True:
        if n & size:
            rest = len(codes) - length - size + 1
            window = window[:rest] * np.uint64(pow(_BASE, size, 1 << 64)) + piece[length : length + rest]
            length += size
        if length == n:
            break
        shifted = piece[size:]
        piece = piece[: len(shifted)] * np.uint64(pow(_BASE, size, 1 << 64)) + shifted
        size *= 2
    starts = np.ones(total, bool)
    for back in range(1, n):
        crossing = folded.offsets[1:-1] - back
        starts[crossing[(crossing >= 0) & (crossing < total)]] = False
    # Texts shorter than a gram: the crossings above already cover every place in them but the last text's.
    places = np.flatnonzero(starts)
    return _mixed(window[places]), places


def _mixed(hashes: Hashes) -> Hashes:
    return (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)


@dataclass(frozen=True)
class GramSet:
    """A set of n-grams, and of the shorter grams inside them that a first look asks for.

    Every run of n characters holds, whole, one of the (n - stride + 1)-grams that start at each `stride`-th place of
    a text, wherever the run begins. So only those places are looked at (a miss of the processor's cache each), and
    n-grams only around the few that are in the set.

    Args:
        n: Characters of a gram.
        grams: The n-grams.
        inner: The grams of n - stride + 1 characters that are in them.
    """

    n: int
    grams: HashSet
    inner: HashSet

    @property
    def stride(self) -> int:
        """Every how many characters a text is looked at."""
        return stride_of(self.n)


def stride_of(n: int) -> int:
    """Return every how many characters a text is looked at for n-grams."""
    return max(1, n // 3)


def find_grams(folded: Folded, wanted: GramSet) -> Hits:
    """Return every n-gram of the texts that is in the set."""
    n, stride = wanted.n, wanted.stride
    if not len(wanted.grams.hashes):
        return _hits(np.zeros((3, 0), np.int64), n)
    if not compiled():
        return _find_grams_numpy(folded, n, wanted.grams)
    capacity = 4096 + len(folded.codes) // 16
    length = n - stride + 1
    while True:
        found = np.empty((3, capacity), np.int64)
        count = _find_grams_compiled(
            folded.codes,
            folded.offsets,
            n,
            stride,
            np.uint64(_BASE),
            np.uint64(pow(_BASE, length, 1 << 64)),
            np.uint64(pow(_BASE, n, 1 << 64)),
            np.uint64(_MIX),
            wanted.inner.bitmap,
            np.uint64(wanted.inner.shift),
            wanted.grams.bitmap,
            np.uint64(wanted.grams.shift),
            wanted.grams.hashes,
            found,
        )
        if count <= capacity:
            return _hits(found[:, :count], n)
        capacity = count


def _hits(found: Places, n: int) -> Hits:
    return Hits(found[0].copy(), found[1].copy(), np.full(found.shape[1], n, np.int64), found[2].copy())


@jit
def _find_grams_compiled(
    codes: Codes,
    offsets: Places,
    n: int,
    stride: int,
    base: np.uint64,
    top: np.uint64,
    far: np.uint64,
    mix: np.uint64,
    inner: Hashes,
    inner_shift: np.uint64,
    bitmap: Hashes,
    shift: np.uint64,
    wanted: Hashes,
    found: Places,
) -> Any:
    code_bits = np.uint32(0x1FFFFF)
    one, six, low, half = np.uint64(1), np.uint64(6), np.uint64(63), np.uint64(32)
    length = n - stride + 1
    count = 0
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop - start < n:
            continue
        rolled = np.uint64(0)
        for place in range(start, start + length):
            rolled = rolled * base + np.uint64(codes[place] & code_bits)
        place = start
        while True:
            value = (rolled ^ (rolled >> half)) * mix
            bit = value >> inner_shift
            if (inner[bit >> six] >> (bit & low)) & one:
                # Every run that holds this gram and none of those looked at before it.
                first = max(start, place - stride + 1)
                gram = np.uint64(0)
                for inside in range(first, first + n - 1):
                    gram = gram * base + np.uint64(codes[inside] & code_bits)
                for begin in range(first, min(place, stop - n) + 1):
                    gram = gram * base + np.uint64(codes[begin + n - 1] & code_bits)
                    if begin > first:
                        gram -= np.uint64(codes[begin - 1] & code_bits) * far
                    value = (gram ^ (gram >> half)) * mix
                    bit = value >> shift
                    if (bitmap[bit >> six] >> (bit & low)) & one:
                        slot = np.searchsorted(wanted, value)
                        if slot < len(wanted) and wanted[slot] == value:
                            if count < found.shape[1]:
                                found[0, count] = row
                                found[1, count] = begin - start
                                found[2, count] = slot
                            count += 1
            if place + stride + length > stop:
                break
            for _ in range(stride):
                rolled = rolled * base + np.uint64(codes[place + length] & code_bits)
                rolled -= np.uint64(codes[place] & code_bits) * top
                place += 1
    return count


def _find_grams_numpy(folded: Folded, n: int, wanted: HashSet) -> Hits:
    hashes, places = gram_hashes(folded, n)
    slots, found = _looked_up(hashes, wanted)
    places = places[found]
    rows = np.searchsorted(folded.offsets, places, side="right") - 1
    return Hits(rows, places - folded.offsets[rows], np.full(len(places), n, np.int64), slots)


def _looked_up(hashes: Hashes, wanted: HashSet) -> tuple[Places, Places]:
    """Return (slots, positions in `hashes`) of those that are in the set."""
    bits = hashes >> np.uint64(wanted.shift)
    set_bits = (wanted.bitmap[bits >> np.uint64(6)] >> (bits & np.uint64(63))) & np.uint64(1)
    likely = np.flatnonzero(set_bits)
    slots = np.searchsorted(wanted.hashes, hashes[likely])
    here = slots < len(wanted.hashes)
    here[here] = wanted.hashes[slots[here]] == hashes[likely[here]]
    return slots[here].astype(np.int64), likely[here]


def whole_hashes(folded: Folded) -> Hashes:
    """Return uint64: a hash of each whole text and its length."""
    lengths = np.diff(folded.offsets)
    return _span_hashes(folded.codes, folded.offsets[:-1], lengths)


def _span_hashes(codes: Codes, starts: Places, lengths: Places) -> Hashes:
    hashes = np.zeros(len(starts), np.uint64)
    base = np.uint64(_BASE)
    for step in range(int(lengths.max(initial=0))):
        on = np.flatnonzero(lengths > step)
        chars = (codes[starts[on] + step] & np.uint32(CODE)).astype(np.uint64)
        hashes[on] = hashes[on] * base + chars
    return _mixed(hashes * base + lengths.astype(np.uint64))


def find_whole(folded: Folded, shortest: int, longest: int, wanted: HashSet) -> Hits:
    """Return what lies between two boundaries (one or more sentences, a line, a quotation) and is in the set.

    Args:
        folded: The texts.
        shortest, longest: Lengths, in folded characters, that are looked at.
        wanted: Hashes made by `whole_hashes`.
    """
    if not len(wanted.hashes):
        return _hits(np.zeros((3, 0), np.int64), 0)
    flagged = np.flatnonzero(folded.codes >= np.uint32(BOUNDARY))
    if compiled():
        found = np.empty((4, 1024), np.int64)
        while True:
            count = _find_whole_compiled(
                folded.codes,
                folded.offsets,
                flagged,
                shortest,
                longest,
                np.uint64(_BASE),
                np.uint64(_MIX),
                wanted.bitmap,
                np.uint64(wanted.shift),
                wanted.hashes,
                found,
            )
            if count <= found.shape[1]:
                return Hits(*(row[:count].copy() for row in found))
            found = np.empty((4, count), np.int64)
    return _find_whole_numpy(folded, flagged, shortest, longest, wanted)


@jit
def _find_whole_compiled(
    codes: Codes,
    offsets: Places,
    flagged: Places,
    shortest: int,
    longest: int,
    base: np.uint64,
    mix: np.uint64,
    bitmap: Hashes,
    shift: np.uint64,
    wanted: Hashes,
    found: Places,
) -> Any:
    code_bits = np.uint32(0x1FFFFF)
    one, six, low, half = np.uint64(1), np.uint64(6), np.uint64(63), np.uint64(32)
    count = 0
    at = 0
    for row in range(len(offsets) - 1):
        stop = offsets[row + 1]
        while at < len(flagged) and flagged[at] < stop:
            start = flagged[at]
            at += 1
            rolled = np.uint64(0)
            done = start
            following = at
            while True:
                inside = following < len(flagged) and flagged[following] < stop
                end = flagged[following] if inside else stop
                if end - start > longest:
                    break
                for place in range(done, end):
                    rolled = rolled * base + np.uint64(codes[place] & code_bits)
                done = end
                if end - start >= shortest:
                    value = rolled * base + np.uint64(end - start)
                    value = (value ^ (value >> half)) * mix
                    bit = value >> shift
                    if (bitmap[bit >> six] >> (bit & low)) & one:
                        slot = np.searchsorted(wanted, value)
                        if slot < len(wanted) and wanted[slot] == value:
                            if count < found.shape[1]:
                                found[0, count] = row
                                found[1, count] = start - offsets[row]
                                found[2, count] = end - start
                                found[3, count] = slot
                            count += 1
                if not inside:
                    break
                following += 1
    return count


def _find_whole_numpy(folded: Folded, flagged: Places, shortest: int, longest: int, wanted: HashSet) -> Hits:
    stops = folded.offsets[np.searchsorted(folded.offsets, flagged, side="right")]
    following = np.concatenate([flagged, np.full(longest + 1, len(folded.codes), np.int64)])
    parts = []
    alive = np.arange(len(flagged))
    for step in range(1, longest + 1):
        ends = np.minimum(following[alive + step], stops[alive])
        near = ends - flagged[alive] <= longest
        alive, ends = alive[near], ends[near]
        if not len(alive):
            break
        long_enough = ends - flagged[alive] >= shortest
        parts.append(np.stack([flagged[alive][long_enough], ends[long_enough]]))
        alive = alive[ends < stops[alive]]
    spans = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
    spans = spans[:, np.lexsort(spans[::-1])]
    hashes = _span_hashes(folded.codes, spans[0], spans[1] - spans[0])
    slots, found = _looked_up(hashes, wanted)
    starts, ends = spans[:, found]
    rows = np.searchsorted(folded.offsets, starts, side="right") - 1
    return Hits(rows, starts - folded.offsets[rows], ends - starts, slots)
