"""How far judges agree in each draw of the items: means of models, ranks, correlation of cells.

Columns are models by the one judge, then the same models by the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watari.evals.pairing import CellStratum
from watari.stats.resampling import Floats, Stratum, draw_counts, fixed_point, resampled

_SIGNS = 20_000_000
"""Pairs of models ranked in all draws together; of more models fewer draws are ranked."""


def known_to_both(stratum: CellStratum, count: int) -> npt.NDArray[np.bool_]:
    """Return where both judges have a value: (cells, models)."""
    known: npt.NDArray[np.bool_] = np.isfinite(stratum.values[:, :count]) & np.isfinite(
        stratum.values[:, count:]
    )
    return known


def both(stratum: CellStratum, count: int) -> CellStratum:
    """Return the stratum with what only one of the judges rated taken out, and the same weights for both."""
    known = np.tile(known_to_both(stratum, count), (1, 2))
    weights = np.tile((stratum.weights[:, :count] + stratum.weights[:, count:]) / 2, (1, 2))
    shares = np.tile((stratum.shares[:count] + stratum.shares[count:]) / 2, 2)
    return CellStratum(
        stratum.name,
        stratum.cells,
        np.where(known, stratum.values, np.nan),
        np.where(known, weights, 0.0),
        shares,
    )


def model_means(
    strata: Sequence[CellStratum], columns: list[int], seed: int, rounds: int
) -> tuple[Floats, Floats]:
    """Return the models' means in each draw (rounds, columns), and as they are."""
    weights = [np.add.reduceat(s.weights[:, columns], s.starts(), axis=0) for s in strata]
    tops = [
        np.add.reduceat(np.nan_to_num(s.values[:, columns]) * s.weights[:, columns], s.starts(), axis=0)
        for s in strata
    ]
    shares = np.array(
        [np.where(w.any(axis=0), s.shares[columns], 0.0) for s, w in zip(strata, weights, strict=True)]
    )
    shares /= shares.sum(axis=0)
    draws, means = np.zeros((rounds, len(columns))), np.zeros(len(columns))
    for stratum, top, weight, share in zip(strata, tops, weights, shares, strict=True):
        draws += share * resampled(Stratum(stratum.name, top, weight), seed=seed, rounds=rounds)
        whole = weight.sum(axis=0)
        means += share * np.divide(top.sum(axis=0), whole, out=np.zeros(len(columns)), where=whole > 0)
    return draws, means


def taus(ones: Floats, others: Floats) -> Floats:
    """Return Kendall's tau-b of the models' means in each draw; NaN where all are equal, fewer draws of many models."""
    _rounds, models = ones.shape
    upper = np.triu_indices(models, 1)
    found: list[float] = []
    for one, other in zip(ones, others, strict=True):
        if len(found) * len(upper[0]) > _SIGNS:
            break
        signs = [np.sign(side[upper[0]] - side[upper[1]]) for side in (one, other)]
        scale = math.sqrt(float((signs[0] ** 2).sum()) * float((signs[1] ** 2).sum()))
        found.append(float((signs[0] * signs[1]).sum()) / scale if scale else math.nan)
    return np.array(found)


def correlations(strata: Sequence[CellStratum], count: int, seed: int, rounds: int) -> Floats:
    """Return Pearson's r of the common cells in each draw, from the sums of each item."""
    centre = [_centre(strata, slice(None, count)), _centre(strata, slice(count, None))]
    total = np.zeros((rounds, 6))
    for stratum in strata:
        known = known_to_both(stratum, count)
        one = np.where(known, stratum.values[:, :count] - centre[0], 0.0)
        other = np.where(known, stratum.values[:, count:] - centre[1], 0.0)
        parts = [known * 1.0, one, other, one**2, other**2, one * other]
        sums = np.stack([part.sum(axis=1) for part in parts], axis=1)
        whole, scale = fixed_point(np.add.reduceat(sums, stratum.starts(), axis=0))
        blocks = [counts @ whole / scale for counts in draw_counts(seed, stratum.name, len(whole), rounds)]
        total += np.concatenate(blocks)
    n, x, y, xx, yy, xy = total.T
    n = np.maximum(n, 1)
    square = (xx - x * x / n) * (yy - y * y / n)
    r: Floats = np.divide(
        xy - x * y / n, np.sqrt(np.maximum(square, 0)), out=np.full(rounds, np.nan), where=square > 1e-12
    )
    return r


def _centre(strata: Sequence[CellStratum], side: slice) -> float:
    values = np.concatenate([stratum.values[:, side].ravel() for stratum in strata])
    return float(np.nanmean(values))
