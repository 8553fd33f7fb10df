"""Rows by similarity: what base tokens a piece is like in the text, whatever it is spelled with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.model.rows.cooccurrence import Vectors
from watari.model.rows.mixture import Mixture, mixture
from watari.pretrained.graft import Graft

if TYPE_CHECKING:
    from torch import Tensor

_NEIGHBOURS = 512
"""Most base tokens that share a row; sparsemax over more would be cut (its support is far smaller)."""
_ATOMS = 8
"""Base tokens that matching pursuit spells a piece with."""
_BLOCK = 1024


def focus(graft: Graft, vectors: Vectors) -> tuple[Mixture, int]:
    """Return the mixture of FOCUS, and how many pieces have it; the rest (too rare) have their parents' mean.

    A piece's weights are sparsemax of the cosines between its vector and those of the base's tokens (Dobler & de Melo
    2023, §3.2). Theirs are fastText vectors of a text in the new tokenisation; ours are those of `cooccurrence`.
    """
    import torch

    places, mine, ids, theirs = _sides(graft, vectors)
    chosen = {}
    for start in range(0, len(places), _BLOCK):
        cosines = torch.from_numpy(mine[start : start + _BLOCK] @ theirs.T)
        best = torch.topk(cosines, min(_NEIGHBOURS, len(ids)), dim=1)
        weights = _sparsemax(best.values)
        for row, place in enumerate(places[start : start + _BLOCK].tolist()):
            kept = weights[row] > 0
            chosen[place] = (ids[best.indices[row][kept].numpy()].tolist(), weights[row][kept].tolist())
    return _or_mean(graft, chosen)


def matching_pursuit(graft: Graft, vectors: Vectors) -> tuple[Mixture, int]:
    """Return the mixture of orthogonal matching pursuit, and how many pieces have it; the rest have the mean.

    Greedy: the base token whose vector is most like what is left of the piece's joins, all coefficients are fitted
    anew (Pati, Rezaiifar & Krishnaprasad 1993), eight times. The coefficients, found among the text's vectors, are
    used on the base's rows (Goddard & Fernandes Neto 2025, where another model's embedding is what the text is here).
    """
    import torch

    places, mine, ids, theirs = _sides(graft, vectors)
    chosen = {}
    atoms = min(_ATOMS, len(ids))
    dictionary = torch.from_numpy(theirs)
    for start in range(0, len(places) if atoms else 0, _BLOCK):
        wanted = torch.from_numpy(mine[start : start + _BLOCK])
        rest, picked = wanted, torch.zeros(len(wanted), 0, dtype=torch.int64)
        coefficients = torch.zeros(len(wanted), 0)
        for _ in range(atoms):
            likeness = (rest @ dictionary.T).abs().scatter(1, picked, -1.0)
            picked = torch.cat([picked, likeness.argmax(1, keepdim=True)], 1)
            basis = dictionary[picked]
            gram = basis @ basis.transpose(1, 2) + 1e-6 * torch.eye(picked.shape[1])
            coefficients = torch.linalg.solve(gram, (basis @ wanted[:, :, None])[:, :, 0])
            rest = wanted - (coefficients[:, None, :] @ basis)[:, 0]
        for row, place in enumerate(places[start : start + _BLOCK].tolist()):
            chosen[place] = (ids[picked[row].numpy()].tolist(), coefficients[row].tolist())
    return _or_mean(graft, chosen)


def _sides(
    graft: Graft, vectors: Vectors
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return places and vectors of the pieces, ids and vectors of the base's tokens."""
    new, mine = vectors.of(graft.base_vocabulary, graft.vocabulary)
    ids, theirs = vectors.of(0, graft.base_vocabulary)
    return (new - graft.base_vocabulary)[: len(new) if len(ids) else 0], mine, ids, theirs


def _or_mean(graft: Graft, chosen: dict[int, tuple[list[int], list[float]]]) -> tuple[Mixture, int]:
    rows = [chosen.get(place, (ids, [1 / len(ids)] * len(ids))) for place, ids in enumerate(graft.parents)]
    return mixture([ids for ids, _ in rows], [weights for _, weights in rows]), len(chosen)


def _sparsemax(scores: Tensor) -> Tensor:
    """Return the projection of each row of `scores` (sorted, largest first) onto the simplex (Martins & Astudillo 2016)."""
    import torch

    sums = scores.cumsum(1) - 1
    rank = torch.arange(1, scores.shape[1] + 1)
    support = (scores * rank > sums).sum(1, keepdim=True)
    threshold = sums.gather(1, support - 1) / support
    return (scores - threshold).clamp(min=0)
