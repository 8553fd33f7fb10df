"""Where a weighted order of documents is cut so that a budget is filled: exact, and in memory that does not grow.

Documents come as one array a piece, as they lie in the work folder (mapped files will do). The cut is found digit by
digit, 16 bits of the value at a time: four passes over the arrays, 512 KiB of sums, no sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[Any]
"""Keys of documents in a form that sorts: `names.KEY` (big-endian), fixed-width bytes, or unsigned integers."""

_CHUNK = 1 << 20
_DIGIT = 16
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class Cut:
    """Where an ascending order ends.

    Args:
        value: What is below it is taken; of what equals it, as much as `left` holds, smallest keys first.
        left: Of the budget, after everything below.
        whole: True if the budget holds everything; `value` is then infinite.
    """

    value: float
    left: int
    whole: bool = False


def find_cut(chunks: Callable[[], Iterable[tuple[Floats, Integers]]], budget: int) -> Cut:
    """Return where the order by value is cut: the longest beginning whose weights sum to at most `budget`.

    Args:
        chunks: Called once a pass; yields (values, weights), the same ones each time. Values are not NaN, weights not
            negative and below 2**53 in sum.
        budget: In the unit of the weights.
    """
    prefix, left = 0, budget
    for shift in range(64 - _DIGIT, -1, -_DIGIT):
        sums = np.zeros(1 << _DIGIT, np.int64)
        for values, weights in chunks():
            bits = _ordered(values)
            if shift + _DIGIT < 64:
                inside = (bits >> np.uint64(shift + _DIGIT)) == np.uint64(prefix)
                bits, weights = bits[inside], weights[inside]
            digits = ((bits >> np.uint64(shift)) & np.uint64((1 << _DIGIT) - 1)).astype(np.intp)
            # Sums of whole numbers below 2**53 are exact in float64.
            sums += np.bincount(digits, weights, minlength=len(sums)).astype(np.int64)
        running = np.cumsum(sums)
        place = int(np.searchsorted(running, left, side="right"))
        if place == len(sums):
            return Cut(np.inf, left - int(running[-1]), whole=True)
        left -= int(running[place - 1]) if place else 0
        prefix = prefix << _DIGIT | place
    return Cut(_value(prefix), left)


def in_chunks(*columns: Sequence[npt.NDArray[Any]]) -> Iterable[tuple[npt.NDArray[Any], ...]]:
    """Yield the same stretch of each column, a million rows at a time. A column is one array a piece."""
    for pieces in zip(*columns, strict=True):
        for start in range(0, len(pieces[0]), _CHUNK):
            yield tuple(np.asarray(piece[start : start + _CHUNK]) for piece in pieces)


class Tie(NamedTuple):
    """A document at the cut: what decides, and where it stands."""

    key: bytes
    weight: int
    piece: int
    row: int


def at_the_cut(ties: Iterable[Tie], left: int) -> list[Tie]:
    """Return which of the documents at a cut are taken: in the order of their keys, until one does not fit."""
    taken = []
    for tie in sorted(ties):
        left -= tie.weight
        if left < 0:
            break
        taken.append(tie)
    return taken


def key_bytes(key: Any) -> bytes:
    """Return one of `Keys` as bytes that sort as it does."""
    if isinstance(key, np.unsignedinteger):
        return int(key).to_bytes(8, "big")
    return key.tobytes() if isinstance(key, np.void) else bytes(key)


def _ordered(values: Floats) -> npt.NDArray[np.uint64]:
    """Return floats as integers of the same order (zero has one form)."""
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(ordered: int) -> float:
    bits = np.uint64(ordered)
    bits = bits ^ _SIGN if bits & _SIGN else ~bits
    return float(np.array([bits], np.uint64).view(np.float64)[0])
