"""Vectors of tokens out of a text alone: which tokens stand near which, in the extended tokenisation.

Positive pointwise mutual information and a truncated SVD, with the settings that Levy, Goldberg & Dagan (2015,
"Improving Distributional Similarity with Lessons Learned from Word Embeddings") found to matter: a window of five
with weights falling by distance, contexts' counts to the power 0.75, singular values to the power 0.5. The SVD is the
randomised one of Halko, Martinsson & Tropp (2011) with two power iterations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.artifact.draws import generator

if TYPE_CHECKING:
    from torch import Tensor

_STAGE = "model.graft"
_WINDOW = 5
_SMOOTH = 0.75
_OVERSAMPLE = 16
_POWER = 2
_LEAST = 5
"""Occurrences below which a token has no vector: one made of chance neighbours misleads."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of length 1 of the tokens that occur often enough.

    Args:
        ids: (t,) token ids, ascending, int64.
        unit: (t, dimensions), float32.
    """

    ids: npt.NDArray[np.int64]
    unit: npt.NDArray[np.float32]

    def of(self, first: int, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return ids and vectors of the tokens with first <= id < last."""
        start, end = np.searchsorted(self.ids, [first, last])
        return self.ids[start:end], self.unit[start:end]


def token_vectors(documents: Sequence[Sequence[int]], *, dimensions: int = 200, seed: int = 0) -> Vectors:
    """Return the vectors of the tokens of some documents, given as ids; `dimensions` at most."""
    lengths = np.array([len(ids) for ids in documents], dtype=np.int64)
    text = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in documents])
    document = np.repeat(np.arange(len(lengths)), lengths)
    ids, place, counts = np.unique(text, return_inverse=True, return_counts=True)
    kept = counts >= _LEAST
    ids, renamed = ids[kept], np.where(kept, np.cumsum(kept) - 1, -1)[place]
    if not len(ids):
        return Vectors(ids, np.zeros((0, 1), dtype=np.float32))
    rows, columns, weights = _pairs(renamed, document, len(ids))
    matrix = _ppmi(rows, columns, weights, len(ids))
    unit = _left_singular(matrix, min(dimensions, len(ids)), seed)
    norms = np.linalg.norm(unit, axis=1, keepdims=True)
    return Vectors(ids, (unit / np.maximum(norms, 1e-12)).astype(np.float32))


def _pairs(
    text: npt.NDArray[np.int64], document: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return (row, column, weight) of every pair within the window of one document, both ways round."""
    keys: list[npt.NDArray[np.int64]] = []
    values: list[npt.NDArray[np.float64]] = []
    for distance in range(1, _WINDOW + 1):
        left, right = text[:-distance], text[distance:]
        near = (left >= 0) & (right >= 0) & (document[:-distance] == document[distance:])
        found, times = np.unique(left[near] * size + right[near], return_counts=True)
        keys.append(found)
        values.append(times.astype(np.float64) * ((_WINDOW + 1 - distance) / _WINDOW))
    found, place = np.unique(np.concatenate(keys), return_inverse=True)
    weights = np.bincount(place, weights=np.concatenate(values), minlength=len(found))
    row, column = found // size, found % size
    return np.concatenate([row, column]), np.concatenate([column, row]), np.concatenate([weights, weights])


def _ppmi(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    size: int,
) -> Tensor:
    """Return max(0, log(P(row, column) / P(row) P(column)^0.75)) as a sparse (size, size) float32 tensor."""
    import torch

    keys, place = np.unique(rows * size + columns, return_inverse=True)
    joint = np.bincount(place, weights=weights, minlength=len(keys))
    row, column = keys // size, keys % size
    total = joint.sum()
    word = np.bincount(row, weights=joint, minlength=size) / total
    context = np.bincount(column, weights=joint, minlength=size) ** _SMOOTH
    context /= context.sum()
    values = np.log(joint / total / (word[row] * context[column]))
    kept = values > 0
    indices = torch.from_numpy(np.stack([row[kept], column[kept]]))
    return torch.sparse_coo_tensor(
        indices,
        torch.from_numpy(values[kept].astype(np.float32)),
        (size, size),
        is_coalesced=True,
        check_invariants=False,
    )


def _left_singular(matrix: Tensor, dimensions: int, seed: int) -> npt.NDArray[np.float32]:
    """Return U·√S of the largest `dimensions` singular values."""
    import torch

    size = matrix.shape[0]
    width = min(size, dimensions + _OVERSAMPLE)
    start = generator(seed, _STAGE, "co-occurrence").standard_normal((size, width), dtype=np.float32)
    flipped = matrix.t().coalesce()
    basis = torch.linalg.qr(torch.sparse.mm(matrix, torch.from_numpy(start)))[0]
    for _ in range(_POWER):
        basis = torch.linalg.qr(torch.sparse.mm(flipped, basis))[0]
        basis = torch.linalg.qr(torch.sparse.mm(matrix, basis))[0]
    small = torch.sparse.mm(flipped, basis).T
    left, values, _ = torch.linalg.svd(small, full_matrices=False)
    found: npt.NDArray[np.float32] = (basis @ left[:, :dimensions] * values[:dimensions].sqrt()).numpy()
    return found
