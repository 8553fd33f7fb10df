"""Where texts hold items of an evaluation set: the search with an index of `contamination_index`."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.kernels.contamination_index import ContaminationIndex
from watari.kernels.fold import fold, kept_places, units
from watari.kernels.overlap import Hits, find_grams, find_whole

_GAP = 8
"""Folded characters that may be other ones inside a run: a changed word."""


@dataclass
class Run:
    """One place of a document at which evaluation texts were found.

    Args:
        start, stop: Characters of the document.
        size: Folded characters.
        ngrams: How many n-grams of the index it is; a short text is one.
        owners: Numbers of the items found.
    """

    start: int
    stop: int
    size: int
    ngrams: int
    owners: set[int] = field(default_factory=set)


def runs(texts: pa.Array | pa.ChunkedArray, index: ContaminationIndex) -> dict[int, list[Run]]:
    """Return the runs found in each text that holds any, by its place in the column, in order."""
    folded = fold(texts)
    found: dict[int, list[Run]] = {}
    hits = find_grams(folded, index.gram_set)
    for first, last in _chains(hits, index.ngram):
        row = int(hits.rows[first])
        starts = hits.starts[first:last]
        begin, end = int(starts[0]), int(starts[-1]) + index.ngram
        steps = np.zeros(end - begin + 1, np.int64)
        np.add.at(steps, starts - begin, 1)
        np.add.at(steps, starts - begin + index.ngram, -1)
        covered = np.cumsum(steps)[:-1] > 0
        slots = hits.slots[first:last]
        said = int(units(folded.row(row)[begin:end])[covered].sum())
        if said >= index.needs[slots].min():
            run = Run(begin, end, end - begin, last - first)
            for slot in slots.tolist():
                run.owners.update(index.owners[index.offsets[slot] : index.offsets[slot + 1]].tolist())
            found.setdefault(row, []).append(run)
    whole = find_whole(folded, int(index.lengths[0]), int(index.lengths[1]), index.whole_set)
    for row, start, length, slot in zip(whole.rows, whole.starts, whole.lengths, whole.slots, strict=True):
        at = len(index.grams) + int(slot)
        owners = set(index.owners[index.offsets[at] : index.offsets[at + 1]].tolist())
        found.setdefault(int(row), []).append(Run(int(start), int(start + length), int(length), 1, owners))
    for row, listed in found.items():
        listed.sort(key=lambda run: (run.start, run.stop))
        places = kept_places(_codes(texts[row].as_py()))
        for run in listed:
            run.start, run.stop = int(places[run.start]), int(places[run.stop - 1]) + 1
    return dict(sorted(found.items()))


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _chains(hits: Hits, n: int) -> list[tuple[int, int]]:
    """Return [first, last) of hits that follow one another with at most `_GAP` other characters between them."""
    if not len(hits):
        return []
    breaks = np.flatnonzero((np.diff(hits.rows) != 0) | (np.diff(hits.starts) > n + _GAP)) + 1
    edges = [0, *breaks.tolist(), len(hits)]
    return list(pairwise(edges))
