"""Character n-grams within each text: the most frequent one, how many distinct ones, how many of those more than once.

Counts are of n-grams compared character by character, never of hashes alone. Two facts keep the work small, both
exact: an n-gram that occurs once cannot be part of a longer one that occurs twice; and the number of occurrences
beyond the first of their kind, `n-grams - distinct n-grams`, does not grow with n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class NgramFigures:
    """Of each text and each n, int64[n texts, highest n + 1] each; column n is about n-grams.

    Args:
        most: Occurrences of the most frequent n-gram.
        distinct: Distinct n-grams.
        repeated: Distinct n-grams that occur more than once.
    """

    most: Integers
    distinct: Integers
    repeated: Integers


@dataclass(frozen=True)
class NgramBounds:
    """Of each text, int64[n] each.

    Args:
        most: No n-gram of any length occurs more often than this.
        distinct: There are at least so many distinct n-grams of the length that was asked for.
    """

    most: Integers
    distinct: Integers


def ngram_figures(texts: Texts, lowest: Integers, highest: int) -> NgramFigures:
    """Return the figures for n from `lowest` (int64[n texts], 1 or more each) to `highest`; the other columns are 0."""
    if compiled():
        figures = _figures(texts.codes, texts.offsets, lowest, highest)
    else:
        figures = np.zeros((3, len(texts), highest + 1), np.int64)
        for row in range(len(texts)):
            codes = texts.codes[texts.offsets[row] : texts.offsets[row + 1]]
            _figures_numpy(codes, int(lowest[row]), highest, figures[:, row])
    return NgramFigures(figures[0], figures[1], figures[2])


def ngram_bounds(texts: Texts, n: int) -> NgramBounds:
    """Return an upper bound of the most frequent n-gram's count and a lower bound of the number of distinct n-grams.

    Cheap, and not the same for numba and numpy: for deciding what need not be counted, never for a result.
    """
    if compiled():
        bounds = _bounds(texts.codes, texts.offsets, n)
    else:
        bounds = np.zeros((2, len(texts)), np.int64)
        for row in range(len(texts)):
            codes = texts.codes[texts.offsets[row] : texts.offsets[row + 1]]
            if len(codes):
                bounds[0, row] = np.bincount(codes & 0x0FFF).max()
            if len(codes) >= n:
                hashes = np.sort(_hashed(codes, n))
                bounds[1, row] = 1 + np.count_nonzero(hashes[1:] != hashes[:-1])
    return NgramBounds(bounds[0], bounds[1])


@jit
def _hash(codes: Codes, at: int, n: int) -> np.uint64:
    mixed = np.uint64(codes[at])
    for place in range(1, n):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + np.uint64(codes[at + place])
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))


@jit
def _bounds(codes: Codes, offsets: Integers, n: int) -> Integers:
    rows = len(offsets) - 1
    bounds = np.zeros((2, rows), np.int64)
    counts = np.zeros(0x110000, np.int32)
    seen = np.zeros(1, np.uint64)
    for row in range(rows):
        start, stop = offsets[row], offsets[row + 1]
        most = 0
        for at in range(start, stop):
            count = counts[codes[at]] + 1
            counts[codes[at]] = count
            most = max(most, count)
        for at in range(start, stop):
            counts[codes[at]] = 0
        bounds[0, row] = most
        # One bit a hash: two n-grams on one bit are counted once, so the count is never too high.
        words = 1
        while words < stop - start and words < 1 << 21:
            words *= 2
        if len(seen) < words:
            seen = np.zeros(words, np.uint64)
        seen[:words] = 0
        mask = np.uint64(64 * words - 1)
        distinct = 0
        for at in range(start, stop - n + 1):
            bit = _hash(codes, at, n) & mask
            word = np.int64(bit >> np.uint64(6))
            flag = np.uint64(1) << (bit & np.uint64(63))
            old = seen[word]
            distinct += (old & flag) == 0
            seen[word] = old | flag
        bounds[1, row] = distinct
    return bounds


@jit
def _figures(codes: Codes, offsets: Integers, lowest: Integers, highest: int) -> Integers:
    rows = len(offsets) - 1
    figures = np.zeros((3, rows, highest + 1), np.int64)
    size = 1
    for row in range(rows):
        size = max(size, offsets[row + 1] - offsets[row])
    # Positions whose n-gram may occur twice; the slot of each; the last n at which a position's n-gram did.
    places = np.empty(size, np.int32)
    slot_of = np.empty(size, np.int32)
    twice = np.zeros(size + 1, np.int16)
    first = np.zeros(1, np.int32)
    counts = np.zeros(1, np.int32)
    for row in range(rows):
        start, stop = offsets[row], offsets[row + 1]
        candidates = 0
        for n in range(lowest[row], highest + 1):
            total = stop - start - n + 1
            if total < 1:
                break
            if n == lowest[row]:
                candidates = _prefilter(codes, start, total, n, places)
                twice[: total + 1] = 0
            else:
                # Both (n-1)-grams in it occur twice.
                found = 0
                for number in range(candidates):
                    at = places[number]
                    if at < total and twice[at + 1] == n - 1 and twice[at] == n - 1:
                        places[found] = at
                        found += 1
                candidates = found
            slots = 4
            while slots < 2 * candidates:
                slots *= 2
            if len(first) < slots:
                first = np.zeros(slots, np.int32)
                counts = np.zeros(slots, np.int32)
            first[:slots] = 0
            counts[:slots] = 0
            distinct = total - candidates
            repeated = 0
            most = 1
            for number in range(candidates):
                at = start + places[number]
                slot = np.int64(_hash(codes, at, n) & np.uint64(slots - 1))
                while first[slot] > 0:
                    other = start + first[slot] - 1
                    same = True
                    for place in range(n):
                        if codes[other + place] != codes[at + place]:
                            same = False
                            break
                    if same:
                        break
                    slot = (slot + 1) & (slots - 1)
                if first[slot] == 0:
                    first[slot] = places[number] + 1
                    distinct += 1
                count = counts[slot] + 1
                counts[slot] = count
                repeated += count == 2
                most = max(most, count)
                slot_of[number] = slot
            figures[0, row, n] = most
            figures[1, row, n] = distinct
            figures[2, row, n] = repeated
            for number in range(candidates):
                if counts[slot_of[number]] > 1:
                    twice[places[number]] = n
    return figures


@jit
def _prefilter(codes: Codes, start: int, total: int, n: int, places: npt.NDArray[np.int32]) -> int:
    """Fill in the positions whose n-gram shares its bit with another one; all those that occur twice are among them."""
    words = 1
    while words < total and words < 1 << 20:
        words *= 2
    seen = np.zeros((2, words), np.uint64)
    mask = np.uint64(64 * words - 1)
    for at in range(total):
        bit = _hash(codes, start + at, n) & mask
        word = np.int64(bit >> np.uint64(6))
        flag = np.uint64(1) << (bit & np.uint64(63))
        seen[1, word] |= seen[0, word] & flag
        seen[0, word] |= flag
    found = 0
    for at in range(total):
        bit = _hash(codes, start + at, n) & mask
        if seen[1, np.int64(bit >> np.uint64(6))] & (np.uint64(1) << (bit & np.uint64(63))):
            places[found] = at
            found += 1
    return found


def _hashed(codes: Codes, n: int) -> npt.NDArray[np.uint64]:
    """Return uint64[n-grams], a hash of each."""
    wide = codes.astype(np.uint64)
    total = len(codes) - n + 1
    mixed = wide[:total].copy()
    for place in range(1, n):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed += wide[place : place + total]
    return mixed


def _figures_numpy(codes: Codes, lowest: int, highest: int, figures: Integers) -> None:
    """Fill int64[3, highest + 1] for one text."""
    # Of each position the number of its n-gram among those that occur more than once; -1 for the others.
    number = _numbered(codes, lowest - 1)
    for n in range(lowest, highest + 1):
        total = len(codes) - n + 1
        if total < 1:
            break
        places = np.flatnonzero((number[:total] >= 0) & (number[1 : total + 1] >= 0))
        # An n-gram is its (n-1)-gram and one character more.
        keys = (number[places] << 21) | codes[places + n - 1]
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        figures[0, n] = counts.max(initial=1)
        figures[1, n] = total - len(places) + len(counts)
        figures[2, n] = np.count_nonzero(counts > 1)
        number = np.full(len(codes) + 1, -1, np.int64)
        number[places] = np.where(counts[inverse] > 1, inverse, -1)


def _numbered(codes: Codes, n: int) -> Integers:
    """Return int64[characters + 1]: of each position the number of its n-gram; -1 for those that occur once."""
    number = np.full(len(codes) + 1, -1, np.int64)
    total = len(codes) - n + 1
    if n == 0:
        number[:] = 0
    elif total > 0:
        hashes = _hashed(codes, n)
        order = np.argsort(hashes)
        new = np.append(True, hashes[order[1:]] != hashes[order[:-1]])
        group = np.cumsum(new) - 1
        many = np.bincount(group)[group] > 1
        pairs = np.flatnonzero(~new)
        window = np.arange(n)
        one, other = order[pairs][:, None] + window, order[pairs - 1][:, None] + window
        if np.array_equal(codes[one], codes[other]):
            number[order] = np.where(many, group, -1)
        else:
            # Two n-grams of one hash: numbered by their characters, all of them.
            windows = np.lib.stride_tricks.sliding_window_view(codes, n)
            number[:total] = np.unique(windows, axis=0, return_inverse=True)[1].ravel()
    return number
