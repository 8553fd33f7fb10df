"""Hashed character n-grams of texts: how often each bucket occurs, and the sum of a bucket's weights over a text.

A text of L characters has an n-gram of every order from 1 to `order` at each of its characters where one fits. The
hash is multiplicative with a folding between characters; its upper half, scaled to the number of buckets, is the bucket.
Weights are integers (fixed point), so that sums are exact and their order does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4)
_ONE = np.uint64(1)
_HALF = np.uint64(32)
_BLOCK = 1 << 19
"""Characters at a time in numpy: its temporaries stay in the cache, and memory does not grow with the column."""


def gram_counts(texts: Texts, order: int, buckets: int) -> npt.NDArray[np.int64]:
    """Return int64[buckets]: how many n-grams of 1 to `order` characters fall into each bucket, over all texts."""
    counts = np.zeros(buckets, np.int64)
    if compiled():
        _count(texts.codes, texts.offsets, order, counts)
        return counts
    for _, found in _buckets(texts, order, buckets):
        counts += np.bincount(found, minlength=buckets)
    return counts


def weight_sums(texts: Texts, order: int, weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return int64[n]: for each text, the sum of `weights` (int64[buckets]) over its n-grams; 0 for an empty one."""
    if compiled():
        sums = np.zeros(len(texts), np.int64)
        _weigh(texts.codes, texts.offsets, order, weights, sums)
        return sums
    # At i + 1: the sum over the n-grams that start at character i, then over all before.
    running = np.zeros(len(texts.codes) + 1, np.int64)
    for places, found in _buckets(texts, order, len(weights)):
        # A place occurs once here, so that no two additions meet.
        running[places + 1] += weights[found]
    np.cumsum(running, out=running)
    return running[texts.offsets[1:]] - running[texts.offsets[:-1]]


def gram_numbers(lengths: npt.NDArray[np.int64], order: int) -> npt.NDArray[np.int64]:
    """Return int64[n]: how many n-grams of 1 to `order` characters texts of these lengths have."""
    total = np.zeros(len(lengths), np.int64)
    for size in range(1, order + 1):
        total += np.maximum(lengths - (size - 1), 0)
    return total


def _buckets(
    texts: Texts, order: int, buckets: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]]:
    """Yield (places, buckets) block by block and order by order: the n-grams that start at those characters."""
    codes = texts.codes
    last = np.zeros(len(codes), bool)
    last[texts.offsets[1:][texts.lengths > 0] - 1] = True
    for start in range(0, len(codes), _BLOCK):
        places = np.arange(start, min(start + _BLOCK, len(codes)), dtype=np.int64)
        hashes = np.zeros(len(places), np.uint64)
        for size in range(order):
            if size:
                inside = ~last[places + (size - 1)]
                places, hashes = places[inside], hashes[inside]
            hashes = (hashes + codes[places + size] + _ONE) * _FACTOR
            hashes ^= hashes >> _HALF
            found = ((hashes & np.uint64(0xFFFFFFFF)) * np.uint64(buckets)) >> _HALF
            yield places, found.astype(np.intp)


@jit
def _count(
    codes: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], order: int, counts: npt.NDArray[np.int64]
) -> None:
    buckets = np.uint64(len(counts))
    for text in range(len(offsets) - 1):
        stop = offsets[text + 1]
        for place in range(offsets[text], stop):
            value = np.uint64(0)
            for following in range(place, min(place + order, stop)):
                value = (value + np.uint64(codes[following]) + _ONE) * _FACTOR
                value ^= value >> _HALF
                counts[((value & np.uint64(0xFFFFFFFF)) * buckets) >> _HALF] += 1


@jit
def _weigh(
    codes: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    order: int,
    weights: npt.NDArray[np.int64],
    sums: npt.NDArray[np.int64],
) -> None:
    buckets = np.uint64(len(weights))
    for text in range(len(offsets) - 1):
        stop = offsets[text + 1]
        total = np.int64(0)
        for place in range(offsets[text], stop):
            value = np.uint64(0)
            for following in range(place, min(place + order, stop)):
                value = (value + np.uint64(codes[following]) + _ONE) * _FACTOR
                value ^= value >> _HALF
                total += weights[((value & np.uint64(0xFFFFFFFF)) * buckets) >> _HALF]
        sums[text] = total
