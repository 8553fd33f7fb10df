"""MinHash signatures of texts: each shingle of characters is hashed once, then permuted `K` times.

A shingle is `length` characters in a row, white space left out (what layout does to a text is no difference
in it). Its hash is a polynomial in its characters modulo 2**64, mixed down to 32 bits; permutation k is h →
a_k h + b_k modulo 2**32 with odd a_k, a bijection, so that the share of positions in which two signatures
agree estimates the Jaccard similarity of the two sets of shingles (Broder 1997), with a standard deviation of
sqrt(J (1 - J) / K). All arithmetic is on unsigned integers that wrap, so numba and numpy give the same bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Words32 = npt.NDArray[np.uint32]
Words64 = npt.NDArray[np.uint64]

EMPTY = 0xFFFFFFFF
"""Every word of the signature of a text that has no shingle."""

_MASK = (1 << 64) - 1
_BASE = 0x9E3779B97F4A7C15  # odd: the polynomial's variable, 2**64 over the golden ratio
_SPREAD = 0xD6E8FEB86659FD93  # odd: spreads a code point over 64 bits before it enters the polynomial
_FINISH = 0xC2B2AE3D27D4EB4F  # odd: mixes the polynomial down to 32 bits
_BLOCK = 2048  # hashes permuted at a time: 8 kB, which stay in the first cache
_NUMPY_BLOCK = 1 << 15  # the same for numpy, whose calls cost more

_WHITE = tuple(code for code in range(0x3001) if chr(code).isspace())
_SPACES = np.zeros(0x3001, np.bool_)
_SPACES[list(_WHITE)] = True


def permutations(count: int) -> tuple[Words32, Words32]:
    """Return (a, b), uint32[count] each, from splitmix64: the first n of m are those of n."""
    drawn = np.array([_splitmix(number) for number in range(2 * count)], np.uint64)
    words = (drawn >> np.uint64(32)).astype(np.uint32)
    return words[0::2] | np.uint32(1), words[1::2]


def _splitmix(number: int) -> int:
    """Return the draw of this number of a splitmix64 stream with seed 0."""
    word = (number + 1) * _BASE & _MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK
    return word ^ word >> 31


def signatures(texts: Texts, *, length: int, count: int) -> Words32:
    """Return uint32[n, count]: the MinHash signature of each text.

    Args:
        texts: Any Unicode; a text with fewer than `length` characters that are not white space has no
            shingle.
        length: Characters of a shingle.
        count: Permutations.
    """
    found = np.full((len(texts), count), EMPTY, np.uint32)
    factors, terms = permutations(count)
    last = np.uint64(pow(_BASE, length, 1 << 64))
    if compiled():
        _rolled(texts.codes, texts.offsets, _SPACES, np.empty(length, np.uint64), last, factors, terms, found)
    else:
        _stacked(texts, length, factors, terms, found)
    return found


@jit
def _rolled(
    codes: Words32,
    offsets: npt.NDArray[np.int64],
    spaces: npt.NDArray[np.bool_],
    ring: Words64,
    last: np.uint64,
    factors: Words32,
    terms: Words32,
    found: Words32,
) -> None:
    """Fill `found`; the polynomial is rolled along the text, `ring` holds the current shingle's terms."""
    length = len(ring)
    hashes = np.empty(_BLOCK, np.uint32)
    for text in range(len(offsets) - 1):
        rolling = np.uint64(0)
        seen = 0
        slot = 0
        filled = 0
        for place in range(offsets[text], offsets[text + 1]):
            code = codes[place]
            if code < 0x3001 and spaces[code]:
                continue
            term = (np.uint64(code) + np.uint64(1)) * np.uint64(_SPREAD)
            term ^= term >> np.uint64(32)
            rolling = rolling * np.uint64(_BASE) + term
            if seen >= length:
                rolling -= ring[slot] * last
            ring[slot] = term
            slot = slot + 1 if slot + 1 < length else 0
            seen += 1
            if seen >= length:
                mixed = (rolling ^ (rolling >> np.uint64(32))) * np.uint64(_FINISH)
                hashes[filled] = np.uint32(mixed >> np.uint64(32))
                filled += 1
                if filled == _BLOCK:
                    _permute(hashes, filled, factors, terms, found[text])
                    filled = 0
        if filled:
            _permute(hashes, filled, factors, terms, found[text])


@jit
def _permute(hashes: Words32, filled: int, factors: Words32, terms: Words32, smallest: Words32) -> None:
    """Lower `smallest` to the minima of the permuted hashes."""
    for k in range(len(factors)):
        factor = factors[k]
        term = terms[k]
        least = smallest[k]
        for place in range(filled):
            value = np.uint32(hashes[place] * factor + term)
            least = min(value, least)
        smallest[k] = least


def _stacked(texts: Texts, length: int, factors: Words32, terms: Words32, found: Words32) -> None:
    """Fill `found` with whole-array operations, as many texts at a time as make a block of characters."""
    start = 0
    while start < len(texts):
        limit = texts.offsets[start] + _NUMPY_BLOCK
        stop = max(start + 1, int(np.searchsorted(texts.offsets, limit, side="right")) - 1)
        codes = texts.codes[texts.offsets[start] : texts.offsets[stop]]
        kept = ~_SPACES[np.minimum(codes, 0x3000)] | (codes > 0x3000)
        before = np.concatenate([[0], np.cumsum(kept)])
        ends = before[texts.offsets[start : stop + 1] - texts.offsets[start]]
        shingles = np.maximum(np.diff(ends) - length + 1, 0)
        if shingles.sum():
            hashes = _hashes(codes[kept], length)
            places = np.repeat(ends[:-1] - np.concatenate([[0], np.cumsum(shingles)[:-1]]), shingles)
            hashes = hashes[places + np.arange(len(places))]
            rows = np.flatnonzero(shingles)
            first = np.concatenate([[0], np.cumsum(shingles[rows])[:-1]])
            for k in range(len(factors)):
                found[start + rows, k] = np.minimum.reduceat(hashes * factors[k] + terms[k], first)
        start = stop


def _hashes(codes: Words32, length: int) -> Words32:
    """Return the hash of the shingle that starts at each character but the last `length` - 1."""
    terms = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(_SPREAD)
    terms ^= terms >> np.uint64(32)
    size = len(codes) - length + 1
    rolling = np.zeros(size, np.uint64)
    for place in range(length):
        rolling = rolling * np.uint64(_BASE) + terms[place : place + size]
    mixed = (rolling ^ (rolling >> np.uint64(32))) * np.uint64(_FINISH)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def agreement(
    signature: Words32, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint16]:
    """Return uint16[pairs]: in how many words the rows `left[i]` and `right[i]` of `signature` agree."""
    same = np.empty(len(left), np.uint16)
    if compiled():
        _agreement(signature, left, right, same)
        return same
    for start in range(0, len(left), 4096):
        part = slice(start, start + 4096)
        same[part] = np.count_nonzero(signature[left[part]] == signature[right[part]], axis=1)
    return same


@jit
def _agreement(
    signature: Words32,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    same: npt.NDArray[np.uint16],
) -> None:
    for pair in range(len(left)):
        one = signature[left[pair]]
        other = signature[right[pair]]
        count = 0
        for k in range(len(one)):
            count += one[k] == other[k]
        same[pair] = count
