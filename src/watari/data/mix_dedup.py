"""Duplicates among the rows of a mixture: of several that are the same, the one that comes first stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watari.data.mix_index import Index, Numbers
from watari.data.mix_params import Dedup
from watari.kernels import lsh
from watari.kernels.minhash import agreement

EXACT = "exact duplicate"
NEAR = "near duplicate"
_LOW = np.uint64(0xFFFFFFFF)


def drop_duplicates(index: Index, dedup: Dedup) -> None:
    """Drop every row that an earlier row, which itself stays, is the same as, or nearly."""
    if dedup.exact:
        rows = index.kept
        order = rows[np.lexsort((rows, index.exact[rows, 1], index.exact[rows, 0]))]
        same = np.zeros(len(order), bool)
        if len(order):
            same[1:] = (index.exact[order[1:]] == index.exact[order[:-1]]).all(axis=1)
        standing = (
            order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))] if len(order) else order
        )
        index.drop(order[same], EXACT, standing[same])
    if dedup.near and index.signed is not None:
        _drop_near(index, index.signed, dedup)


def _drop_near(index: Index, signed: npt.NDArray[np.uint32], dedup: Dedup) -> None:
    rows = index.kept
    rows = rows[index.compared[rows] >= max(dedup.min_characters, 5)]
    # Compared in the order of the rows: in a bucket the earlier ones lead.
    needed = np.ceil(dedup.threshold * dedup.bands * dedup.words - 1e-9)
    pairs = np.zeros(0, np.uint64)
    for band in range(dedup.bands):
        part = np.ascontiguousarray(signed[:, band * dedup.words : (band + 1) * dedup.words])[rows]
        keys = lsh.band_keys(part, 1, dedup.words)[0]
        order = np.lexsort((rows, keys))
        ordered, buckets = rows[order], keys[order]

        def similar(
            left: Numbers, right: Numbers, ordered: Numbers = ordered, known: npt.NDArray[np.uint64] = pairs
        ) -> npt.NDArray[np.bool_]:
            packed = _packed(ordered[left], ordered[right])
            met = np.isin(packed, known)
            asked = np.flatnonzero(~met)
            for start in range(0, len(asked), 1 << 16):
                some = asked[start : start + (1 << 16)]
                met[some] = agreement(signed, ordered[left[some]], ordered[right[some]]) >= needed
            return met

        left, right = lsh.pairs(buckets, similar)
        pairs = np.unique(np.concatenate([pairs, _packed(ordered[left], ordered[right])]))
    index.drop(*_later(pairs))


def _packed(left: Numbers, right: Numbers) -> npt.NDArray[np.uint64]:
    """Return each pair as one word, the later row in its high half: sorted, they go by the later row."""
    later, earlier = np.maximum(left, right), np.minimum(left, right)
    return later.astype(np.uint64) << np.uint64(32) | earlier.astype(np.uint64)


def _later(pairs: npt.NDArray[np.uint64]) -> tuple[Numbers, str, Numbers]:
    """Return (rows that are similar to an earlier one that stays, why they go, that earlier one of each).

    What is only similar to a dropped row stays.
    """
    gone: dict[int, int] = {}
    for later, earlier in zip((pairs >> np.uint64(32)).tolist(), (pairs & _LOW).tolist(), strict=True):
        if earlier not in gone:
            gone.setdefault(later, earlier)
    return np.array(list(gone), np.int64), NEAR, np.array(list(gone.values()), np.int64)
