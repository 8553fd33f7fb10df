"""Where tokens end, in bytes: whether one segmentation only joins what the other has cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watari.tokenizer.encoder import Ids

Lengths = npt.NDArray[np.int64]


def not_coarser(base: Sequence[Ids], extended: Sequence[Ids], before: Lengths, after: Lengths) -> list[int]:
    """Return the places of the texts whose extended segmentation is not a coarsening of the base's.

    Args:
        base: Ids of each text by the base.
        extended: Ids of each text by the extended tokenizer.
        before: Bytes of each of the base's ids.
        after: Bytes of each of the extended ids.
    """
    if not base:
        return []
    ends, starts, totals = _ends(base, before)
    other_ends, other_starts, other_totals = _ends(extended, after)
    # Texts that the two spell with different numbers of bytes cannot be laid side by side.
    wrong = totals != other_totals
    edge = np.zeros(int(totals.sum()) + 1, dtype=bool)
    edge[ends] = True
    counts = np.array([len(ids) for ids in extended])
    owner = np.repeat(np.arange(len(extended)), counts)
    laid = ~wrong[owner]
    moved = other_ends[laid] + np.repeat(starts - other_starts, counts)[laid]
    wrong[owner[laid][~edge[moved]]] = True
    return [int(place) for place in np.flatnonzero(wrong)]


def first_cut(base: Ids, extended: Ids, before: Lengths, after: Lengths) -> int:
    """Return the first byte at which the extended segmentation cuts and the base's does not."""
    cuts = np.setdiff1d(np.cumsum(after[extended]), np.cumsum(before[base]))
    return int(cuts[0]) if cuts.size else int(min(before[base].sum(), after[extended].sum()))


def _ends(encoded: Sequence[Ids], lengths: Lengths) -> tuple[Lengths, Lengths, Lengths]:
    """Return (end of every token, texts laid one behind the other; start of every text; bytes of every text)."""
    flat = np.concatenate([*encoded, np.zeros(0, dtype=np.int32)])
    ends = np.cumsum(lengths[flat])
    stops = np.cumsum([len(ids) for ids in encoded])
    last = np.concatenate([[0], ends])[stops]
    starts = np.concatenate([[0], last[:-1]])
    return ends, starts, last - starts
