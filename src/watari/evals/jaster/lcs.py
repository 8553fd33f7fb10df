"""Lengths of longest common subsequences of many pairs of short texts at once: bit-parallel, and vectorised over the pairs.

A column of the table of dynamic programming is one machine word, and each character of the first text is four operations
on it (Crochemore, Iliopoulos, Pinzon and Reid 2001; Hyyrö 2004). numpy does these for all pairs together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from watari.evals.jaster.rows import WIDEST, Ints, Rows, Texts, rows_of


def lcs_lengths(texts: Sequence[str], left: Ints, right: Ints) -> Ints:
    """Return the length of the longest common subsequence of each pair (texts[left[k]], texts[right[k]]), in characters."""
    spans = Texts.of(texts)
    found = np.zeros(len(left), np.int64)
    # The shorter text's characters are the bits; both orders give the same length.
    swap = spans.sizes[left] < spans.sizes[right]
    first, second = np.where(swap, right, left), np.where(swap, left, right)
    narrow = np.flatnonzero(spans.sizes[second] <= WIDEST)
    for rows in rows_of(spans, first[narrow], second[narrow]):
        found[narrow[rows.pairs]] = lengths(rows)
    for place in np.flatnonzero(spans.sizes[second] > WIDEST).tolist():
        found[place] = long_length(texts[first[place]], texts[second[place]])
    return found


def lengths(rows: Rows) -> Ints:
    """Return the lengths of the pairs of some rows, in the order of `rows.pairs`."""
    size = len(rows.pairs)
    counts = np.bincount(rows.pair, minlength=size)
    # Step k takes character k of all pairs that have as many: those with the most come first, so that they are a slice.
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(size, np.int64)
    rank[order] = np.arange(size)
    step = np.arange(len(rows.pair)) - (np.cumsum(counts) - counts)[rows.pair]
    at_once = np.bincount(step)
    ends = np.cumsum(at_once)
    taken = np.empty_like(rows.bits)
    taken[(ends - at_once)[step] + rank[rows.pair]] = rows.bits
    column = np.full(size, np.iinfo(np.uint64).max, np.uint64)
    kept, more = np.empty_like(column), np.empty_like(column)
    start = 0
    for end in ends.tolist():
        count = end - start
        now, here, plus = column[:count], kept[:count], more[:count]
        np.bitwise_and(now, taken[start:end], out=here)
        np.add(now, here, out=plus)  # the sum may wrap, as it should
        np.subtract(now, here, out=here)
        np.bitwise_or(plus, here, out=now)
        start = end
    found = np.empty(size, np.int64)
    found[order] = 64 - np.bitwise_count(column).astype(np.int64)  # a 0 bit is where the length goes up
    return found


def long_length(one: str, other: str) -> int:
    """Return the same of one pair of any length, with an integer of as many bits as `other` has characters."""
    positions: dict[str, int] = {}
    for place, character in enumerate(other):
        positions[character] = positions.get(character, 0) | 1 << place
    every = (1 << len(other)) - 1
    column = every
    for character in one:
        kept = column & positions.get(character, 0)
        column = ((column + kept) | (column - kept)) & every
    return len(other) - column.bit_count()
