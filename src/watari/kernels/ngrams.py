"""Character n-grams within each text: the most frequent one, how many distinct ones, how many of those more than once.

Counts are of n-grams compared whole, never by hash alone. What keeps the work small is exact too: an n-gram that
occurs once is no part of a longer one that occurs twice, so only positions whose n-gram comes again are looked at for
n + 1; and an (n+1)-gram is known by the number of its n-gram and one character more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Words64 = npt.NDArray[np.uint64]

_CODE_BITS = 21


@dataclass(frozen=True)
class NgramFigures:
    """Of each text asked for and each n, int64[texts, longest + 1] each; column n is about n-grams.

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
    """Of each text asked for, int64[texts] each.

    Args:
        distinct: There are at least so many distinct n-grams.
        again: At most so many positions hold an n-gram that also stands elsewhere in the text.
    """

    distinct: Integers
    again: Integers


def ngram_figures(texts: Texts, rows: Integers, lowest: Integers, highest: Integers) -> NgramFigures:
    """Return the figures of the texts at `rows`, each for n from its `lowest` (1 or more) to its `highest`.

    All three are int64 and of one length; the columns of other n are 0.
    """
    longest = int(highest.max(initial=0))
    if compiled():
        figures = _figures(texts.codes, texts.offsets, rows, lowest, highest, longest)
    else:
        figures = np.zeros((3, len(rows), longest + 1), np.int64)
        for number, row in enumerate(rows.tolist()):
            codes = texts.codes[texts.offsets[row] : texts.offsets[row + 1]]
            _figures_numpy(codes, int(lowest[number]), int(highest[number]), figures[:, number])
    return NgramFigures(figures[0], figures[1], figures[2])


def most_frequent_bound(texts: Texts) -> Integers:
    """Return int64[n]: no n-gram of any length occurs in a text more often than this.

    Not the same for numba and numpy: for deciding what need not be counted, never for a result. So is the next one.
    """
    if compiled():
        return _most_frequent(texts.codes, texts.offsets)
    most = np.zeros(len(texts), np.int64)
    folded = (texts.codes & 0x0FFF).astype(np.int64)
    for row in np.flatnonzero(texts.lengths).tolist():
        most[row] = np.bincount(folded[texts.offsets[row] : texts.offsets[row + 1]]).max()
    return most


def ngram_bounds(texts: Texts, rows: Integers, n: int) -> NgramBounds:
    """Return bounds about the n-grams of the texts at `rows`."""
    if compiled():
        bounds = _bounds(texts.codes, texts.offsets, rows, n)
    else:
        bounds = np.zeros((2, len(rows)), np.int64)
        for number, row in enumerate(rows.tolist()):
            part = _hashed(texts.codes[texts.offsets[row] : texts.offsets[row + 1]], n)
            if len(part):
                part.sort()
                starts = np.flatnonzero(np.append(True, part[1:] != part[:-1]))
                sizes = np.diff(np.append(starts, len(part)))
                bounds[:, number] = len(starts), len(part) - np.count_nonzero(sizes == 1)
    return NgramBounds(bounds[0], bounds[1])


@jit
def _mixed(key: np.uint64) -> np.uint64:
    key = (key ^ (key >> np.uint64(29))) * np.uint64(0xD6E8FEB86659FD93)
    return key ^ (key >> np.uint64(32))


@jit
def _most_frequent(codes: Codes, offsets: Integers) -> Integers:
    rows = len(offsets) - 1
    bounds = np.zeros(rows, np.int64)
    counts = np.zeros(0x110000, np.int32)
    for row in range(rows):
        most = 0
        for at in range(offsets[row], offsets[row + 1]):
            count = counts[codes[at]] + 1
            counts[codes[at]] = count
            most = max(most, count)
        for at in range(offsets[row], offsets[row + 1]):
            counts[codes[at]] = 0
        bounds[row] = most
    return bounds


@jit
def _bounds(codes: Codes, offsets: Integers, rows: Integers, n: int) -> Integers:
    bounds = np.zeros((2, len(rows)), np.int64)
    # Two bits a hash: met, met again. N-grams that share a hash are taken for one, which only loosens the bounds.
    seen = np.zeros(2, np.uint64)
    base = np.uint64(0x9E3779B97F4A7C15)
    leaving = np.uint64(1)
    for _ in range(n - 1):
        leaving *= base
    for number in range(len(rows)):
        start, stop = offsets[rows[number]], offsets[rows[number] + 1]
        total = stop - start - n + 1
        if total < 1:
            continue
        words = 1
        while words < total and words < 1 << 20:
            words *= 2
        if words > 1 << 12:
            words //= 2  # a bound that is a little looser costs less than memory that is no longer near
        if len(seen) < 2 * words:
            seen = np.zeros(2 * words, np.uint64)
        seen[: 2 * words] = 0
        mask = np.uint64(64 * words - 1)
        rolling = np.uint64(0)
        for at in range(start, start + n - 1):
            rolling = rolling * base + np.uint64(codes[at])
        distinct = twice = 0
        for at in range(start, start + total):
            rolling = rolling * base + np.uint64(codes[at + n - 1])
            bit = _mixed(rolling) & mask
            rolling -= leaving * np.uint64(codes[at])
            word = np.int64(bit >> np.uint64(6)) * 2
            flag = np.uint64(1) << (bit & np.uint64(63))
            met = seen[word] & flag
            seen[word] |= flag
            distinct += met == 0
            twice += (met & ~seen[word + 1]) != 0
            seen[word + 1] |= met
        bounds[0, number] = distinct
        bounds[1, number] = total - distinct + twice
    return bounds


@jit
def _keyed(codes: Codes, start: int, total: int, n: int, keys: Words64, numbers: Codes) -> bool:
    """Fill in a key for each n-gram of a text, equal where the n-grams are; False where 64 bits do not hold them.

    Args:
        keys: uint64, at least `total` of them.
        numbers: uint32[0x110000], 0 everywhere before and after.
    """
    length = total + n - 1
    bits = _CODE_BITS
    distinct = 0
    if n > 3:
        for at in range(start, start + length):
            if numbers[codes[at]] == 0:
                distinct += 1
                numbers[codes[at]] = distinct
        bits = 1
        while 1 << bits <= distinct:
            bits += 1
    fits = bits * n <= 64
    if fits:
        key = np.uint64(0)
        top = np.uint64(bits * (n - 1))
        for at in range(length):
            code = codes[start + at]
            key = (key >> np.uint64(bits)) | (np.uint64(numbers[code] if n > 3 else code) << top)
            if at >= n - 1:
                keys[at - n + 1] = key
    if n > 3:
        for at in range(start, start + length):
            numbers[codes[at]] = 0
    return fits


@jit
def _figures(
    codes: Codes, offsets: Integers, rows: Integers, lowest: Integers, highest: Integers, longest: int
) -> Integers:
    figures = np.zeros((3, len(rows), longest + 1), np.int64)
    size = 1
    for row in rows:
        size = max(size, offsets[row + 1] - offsets[row])
    numbers = np.zeros(0x110000, np.uint32)
    # Of each position that may come again: where it is, its n-gram's key, its place in the table. And of each position
    # the last n at which its n-gram did come again.
    places = np.empty(size, np.int32)
    keys = np.empty(size, np.uint64)
    again = np.zeros(size + 1, np.int16)
    # Key and count by turns; a count of 0 is a free place.
    table = np.zeros(2, np.uint64)
    for number in range(len(rows)):
        start, stop = offsets[rows[number]], offsets[rows[number] + 1]
        first = lowest[number]
        total = stop - start - first + 1
        if total < 1:
            continue
        if not _keyed(codes, start, total, first, keys, numbers):
            first = 3
            total = stop - start - first + 1
            _keyed(codes, start, total, first, keys, numbers)
        candidates = _coming_again(keys, total, places)
        again[: total + 1] = 0
        for n in range(first, highest[number] + 1):
            total = stop - start - n + 1
            if total < 1:
                break
            if n > first:
                # Both (n-1)-grams in it come again.
                found = 0
                for candidate in range(candidates):
                    at = places[candidate]
                    if at < total and again[at + 1] == n - 1 and again[at] == n - 1:
                        places[found] = at
                        keys[found] = (keys[candidate] << np.uint64(_CODE_BITS)) | np.uint64(
                            codes[start + at + n - 1]
                        )
                        found += 1
                candidates = found
            slots = 4
            while slots < 2 * candidates:
                slots *= 2
            if len(table) < 2 * slots:
                table = np.zeros(2 * slots, np.uint64)
            table[: 2 * slots] = 0
            mask = np.uint64(slots - 1)
            distinct = total - candidates
            repeated = 0
            most = np.uint64(1)
            for candidate in range(candidates):
                key = keys[candidate]
                slot = 2 * np.int64(_mixed(key) & mask)
                while table[slot + 1] != 0 and table[slot] != key:
                    slot = (slot + 2) & (2 * slots - 1)
                count = table[slot + 1] + np.uint64(1)
                table[slot] = key
                table[slot + 1] = count
                distinct += count == 1
                repeated += count == 2
                most = max(most, count)
                keys[candidate] = slot
            for candidate in range(candidates):
                if table[np.int64(keys[candidate]) + 1] > 1:
                    again[places[candidate]] = n
            if n >= lowest[number]:
                figures[0, number, n] = most
                figures[1, number, n] = distinct
                figures[2, number, n] = repeated
    return figures


@jit
def _coming_again(keys: Words64, total: int, places: npt.NDArray[np.int32]) -> int:
    """Keep the keys that share a bit with another one, and their positions; all that come again are among them."""
    words = 1
    while 4 * words < total:
        words *= 2
    seen = np.zeros(2 * words, np.uint64)
    mask = np.uint64(64 * words - 1)
    for at in range(total):
        bit = _mixed(keys[at]) & mask
        word = np.int64(bit >> np.uint64(6)) * 2
        flag = np.uint64(1) << (bit & np.uint64(63))
        seen[word + 1] |= seen[word] & flag
        seen[word] |= flag
    found = 0
    for at in range(total):
        bit = _mixed(keys[at]) & mask
        places[found] = at
        keys[found] = keys[at]
        found += (seen[np.int64(bit >> np.uint64(6)) * 2 + 1] >> (bit & np.uint64(63))) & np.uint64(1) != 0
    return found


def _hashed(codes: Codes, n: int) -> Words64:
    """Return uint64[characters - n + 1], a hash of the n-gram at each position."""
    total = max(0, len(codes) - n + 1)
    mixed = codes[:total].astype(np.uint64)
    for place in range(1, n):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed += codes[place : place + total]
    return mixed


def _figures_numpy(codes: Codes, lowest: int, highest: int, figures: Integers) -> None:
    """Fill int64[3, highest + 1 or more] for one text."""
    # Of each position the number of its n-gram among those that occur more than once; -1 for the others.
    number = _numbered(codes, lowest - 1)
    for n in range(lowest, highest + 1):
        total = len(codes) - n + 1
        if total < 1:
            break
        places = np.flatnonzero((number[:total] >= 0) & (number[1 : total + 1] >= 0))
        # An n-gram is its (n-1)-gram and one character more.
        keys = (number[places] << _CODE_BITS) | codes[places + n - 1]
        order = np.argsort(keys)
        group = np.zeros(len(keys), np.int64)
        np.cumsum(keys[order[1:]] != keys[order[:-1]], out=group[1:])
        counts = np.bincount(group)
        figures[0, n] = counts.max(initial=1)
        figures[1, n] = total - len(places) + len(counts)
        figures[2, n] = np.count_nonzero(counts > 1)
        number = np.full(len(codes) + 1, -1, np.int64)
        number[places[order]] = np.where(counts[group] > 1, group, -1)


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
        one, other = order[pairs], order[pairs - 1]
        if all(np.array_equal(codes[one + place], codes[other + place]) for place in range(n)):
            number[order] = np.where(many, group, -1)
        else:
            # Two n-grams of one hash: numbered by their characters, all of them.
            windows = np.lib.stride_tricks.sliding_window_view(codes, n)
            number[:total] = np.unique(windows, axis=0, return_inverse=True)[1].ravel()
    return number
