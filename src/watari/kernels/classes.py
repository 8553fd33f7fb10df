"""Counting characters by class: one walk over the texts, whatever the number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Ranges = tuple[tuple[int, int], ...]
"""A class of characters: (first, last) code points, both in it."""

_POINTS = 0x110000


@dataclass(frozen=True)
class ClassTable:
    """Classes that may overlap, as a partition of all code points into kinds.

    Args:
        kind: uint8[0x110000], the kind of each code point; kind 0 is in no class.
        members: int64[kinds, classes], 1 where a kind's characters are in a class.
    """

    kind: npt.NDArray[np.uint8]
    members: npt.NDArray[np.int64]


@lru_cache(maxsize=32)
def class_table(classes: tuple[Ranges, ...]) -> ClassTable:
    """Return the table of these classes.

    Raises:
        ValueError: if there are more than 62 classes, or they cut the code points into more than 255 kinds.
    """
    if len(classes) > 62:
        raise ValueError(f"{len(classes)} classes of characters: 62 at most")
    mask = np.zeros(_POINTS, np.int64)
    for number, ranges in enumerate(classes):
        for first, last in ranges:
            mask[first : last + 1] |= 1 << number
    found = np.unique(np.append(mask, 0))  # sorted: no class at all comes first
    if len(found) > 255:
        raise ValueError(f"the classes of characters overlap in {len(found)} ways: 255 at most")
    members = (found[:, None] >> np.arange(len(classes))[None, :]) & 1
    return ClassTable(np.searchsorted(found, mask).astype(np.uint8), members)


def class_counts(texts: Texts, classes: Sequence[Ranges]) -> npt.NDArray[np.int64]:
    """Return int64[n, classes]: how many characters of each text are in each class."""
    table = class_table(tuple(classes))
    kinds = len(table.members)
    if compiled():
        counts = _histogram(texts.codes, texts.offsets, table.kind, kinds)
    else:
        kind = table.kind[texts.codes]
        counts = np.zeros((len(texts), kinds), np.int64)
        for row in range(len(texts)):
            part = kind[texts.offsets[row] : texts.offsets[row + 1]]
            counts[row] = np.bincount(part, minlength=kinds)
    return counts @ table.members


@jit
def _histogram(
    codes: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64], kind: npt.NDArray[np.uint8], kinds: int
) -> npt.NDArray[np.int64]:
    rows = len(offsets) - 1
    counts = np.zeros((rows, kinds), np.int64)
    # Two sets of counters by turns: a counter just written is not yet ready to be read again.
    even = np.zeros(256, np.int64)
    odd = np.zeros(256, np.int64)
    for row in range(rows):
        start, stop = offsets[row], offsets[row + 1]
        even[:kinds] = 0
        odd[:kinds] = 0
        for at in range(start, stop - 1, 2):
            even[kind[codes[at]]] += 1
            odd[kind[codes[at + 1]]] += 1
        if (stop - start) % 2:
            even[kind[codes[stop - 1]]] += 1
        for number in range(kinds):
            counts[row, number] = even[number] + odd[number]
    return counts
