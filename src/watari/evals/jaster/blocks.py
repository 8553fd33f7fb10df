"""How much of two texts difflib's matching blocks hold: of many pairs of short texts at once, or of one pair of any size.

The longest common block of two texts is found first, the earliest in the first text and then in the second of several; then
those of what is left of it on both sides, and of what is right, until nothing is common (Ratcliff and Metzener 1988).
"""

from __future__ import annotations

import difflib

import numpy as np

from watari.evals.jaster.rows import Ints, Rows, Words

AUTOJUNK = 200
"""Characters of the second text from which difflib leaves out frequent ones."""
_ONE = np.uint64(1)


def block_sizes(rows: Rows, most: Ints) -> Ints:
    """Return how many characters the blocks of each pair hold, without `autojunk`, in the order of `rows.pairs`.

    Args:
        rows: The pairs' rows; their second texts are difflib's.
        most: The length of each pair's longest common subsequence: blocks are one, so that none has more, and one has as
            much where that is 0 or 1; the search ends where it is reached.
    """
    found = np.where(most > 1, 0, most)
    mine = np.flatnonzero((most > 1)[rows.pair])
    pair, place, bits = rows.pair[mine], rows.place[mine], rows.bits[mine]
    span = pair
    while len(pair):
        # What is left of a span when the block is out: rows before it with the bits below, rows after it with those above.
        first = np.flatnonzero(np.diff(span, prepend=-1))
        which = np.repeat(np.arange(len(first)), np.diff(first, append=len(span)))
        size, end, last = _longest_blocks(which, place, bits, first)
        found += np.bincount(pair[first], size, len(found)).astype(np.int64)
        below = (last >> (size - 1).astype(np.uint64)) - _ONE
        above = ~((last << _ONE) - _ONE)
        after = place > place[end][which]
        before = place <= (place[end] - size)[which]
        bits = bits & np.where(after, above[which], np.where(before, below[which], np.uint64(0)))
        kept = np.flatnonzero((bits != 0) & (found < most)[pair])
        pair, place, bits, span = pair[kept], place[kept], bits[kept], (2 * which + after)[kept]
    return found


def _longest_blocks(which: Ints, place: Ints, bits: Words, first: Ints) -> tuple[Ints, Ints, Words]:
    """Return the longest block of each span: its size, its last row, and the bit of its last character.

    Args:
        which: Of each row, its span: 0, 1, ...
        place, bits: Of each row; no `bits` are 0.
        first: Each span's first row.
    """
    # A row's bits stay where a block of `size` characters ends in it.
    joined = np.zeros(len(bits) + 1, np.uint64)
    joined[1:-1] = np.where(np.diff(place) == 1, bits[1:], np.uint64(0))  # spans do not touch
    size = np.ones(len(first), np.int64)
    end, ending = first.copy(), bits[first]
    at, ends = np.arange(len(bits)), bits
    length = 1
    while True:
        at = at + 1
        ends = joined[at] & (ends << _ONE)
        kept = np.flatnonzero(ends)
        if not len(kept):
            return size, end, ending & (~ending + _ONE)
        at, ends = at[kept], ends[kept]
        length += 1
        backwards, reached = which[at[::-1]], slice(None, None, -1)
        size[backwards] = length
        end[backwards] = at[reached]  # of several rows of a span the first is written last, and stays
        ending[backwards] = ends[reached]


def block_size(one: str, other: str, most: int | None = None) -> int:
    """Return how many characters stand in difflib's matching blocks of two texts of any size, `autojunk` and all.

    Args:
        one, other: The texts, in difflib's order.
        most: A known upper bound: the search ends where it is reached.
    """
    if len(other) >= AUTOJUNK:
        blocks = difflib.SequenceMatcher(None, one, other).get_matching_blocks()
        return sum(block.size for block in blocks)
    return matching_characters(one, other, most)


def matching_characters(one: str, other: str, most: int | None = None) -> int:
    """Return how many characters stand in difflib's matching blocks, without its `autojunk`.

    Args:
        one, other: The texts, in difflib's order.
        most: A known upper bound: the search ends where it is reached.
    """
    total = 0
    spans = [(0, len(one), 0, len(other))]
    while spans:
        low, high, other_low, other_high = spans.pop()
        size, start, other_start = _longest(one, other, low, high, other_low, other_high)
        if not size:
            continue
        total += size
        if total == most:
            break
        if low < start and other_low < other_start:
            spans.append((low, start, other_low, other_start))
        if start + size < high and other_start + size < other_high:
            spans.append((start + size, high, other_start + size, other_high))
    return total


def _longest(
    one: str, other: str, low: int, high: int, other_low: int, other_high: int
) -> tuple[int, int, int]:
    """Return the longest block in two spans: its size and where it starts; the first in `one`, then in `other`, of several.

    The shorter span is gone through, and what stands there looked for in the longer.
    """
    size, start, other_start = 0, low, other_low
    if high - low <= other_high - other_low:
        place, find = low, other.find
        while place + size < high:
            at = find(one[place : place + size + 1], other_low, other_high)
            if at < 0:
                place += 1
            else:  # longer than any before
                size, start, other_start = size + 1, place, at
        return size, start, other_start
    place, find = other_low, one.find
    while place + size < other_high:
        at = find(other[place : place + size + 1], low, high)
        if at >= 0:
            size, start = size + 1, at
            continue
        if size:  # as long, but further on in `other`: it counts if it comes earlier in `one`
            at = find(other[place : place + size], low, start + size - 1)
            if at >= 0:
                start = at
        place += 1
    if size:
        if place + size == other_high:  # the last place where as long a one fits
            at = find(other[place : place + size], low, start + size - 1)
            start = at if at >= 0 else start
        other_start = other.find(one[start : start + size], other_low, other_high)
    return size, start, other_start
