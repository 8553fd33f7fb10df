"""How far judges agree on the same answers: in the models' ranks, item by item, and in level.

Ranks travel from judge to judge, levels do not (facts/evaluation.md §3). Only cells (model, item, turn) that both judges
rated count. Intervals are bootstraps clustered by item: a drawn item comes along for all models and both judges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.evals.pairing import CellStratum, cells_of, counted
from watari.evals.refusal import refusal
from watari.evals.result import Result
from watari.stats.agreement import kendall_tau, krippendorff_alpha, pearson
from watari.stats.resampling import (
    ROUNDS,
    Floats,
    Stratum,
    draw_counts,
    fixed_point,
    percentile_interval,
    resampled,
)

Interval = tuple[float, float] | None
_SIGNS = 20_000_000
"""Pairs of models ranked in all draws together; of more models fewer draws are ranked."""


@dataclass(frozen=True)
class JudgeFacts:
    """One judge.

    Args:
        judge: Its name.
        models: How many it rated.
        n, invalid: Ratings that could be read, and that could not.
        reasons: Why not.
        mean: Of the models' overall figures; None if there is none.
        refused: Models with too many invalid ratings, and how many those are.
    """

    judge: str
    models: int
    n: int
    invalid: int
    reasons: dict[str, int]
    mean: float | None
    refused: dict[str, str]

    @property
    def invalid_rate(self) -> float:
        """Share of ratings that could not be read."""
        return self.invalid / (self.n + self.invalid) if self.n + self.invalid else 0.0


@dataclass(frozen=True)
class JudgePair:
    """Two judges on what both rated.

    Args:
        a, b: The judges.
        models, n: Models and cells (model, item, turn) in common.
        tau: Kendall's tau-b of the models' means; None with fewer than two models.
        r: Pearson's, of the cells' ratings.
        alpha: Krippendorff's (interval data), of the cells' ratings.
        shift: Mean over models of A's mean minus B's: who is more lenient, by how much.
        tau_interval, r_interval, shift_interval: 95 %; None where there is nothing to draw.
    """

    a: str
    b: str
    models: int
    n: int
    tau: float | None
    tau_interval: Interval
    r: float | None
    r_interval: Interval
    alpha: float | None
    shift: float
    shift_interval: Interval


@dataclass(frozen=True)
class Agreement:
    """Judges of one spec: each, every two, and all together (Krippendorff's alpha over all)."""

    spec: str
    judges: tuple[JudgeFacts, ...]
    pairs: tuple[JudgePair, ...]
    alpha: float | None


def agreement_of(results: Sequence[Result], *, seed: int = 0, rounds: int = ROUNDS) -> Agreement:
    """Return how far the judges of some results agree.

    Args:
        results: Of one spec, each of one model and judge.
        seed: Of the bootstrap.
        rounds: Draws.

    Raises:
        UserError: for several specs, results without a judge, fewer than two judges, or a judge twice for one model.
    """
    specs = sorted({result.spec for result in results})
    if len(specs) > 1:
        raise UserError(f"ratings under different specs cannot be compared: {', '.join(specs)}")
    by_judge: dict[str, dict[str, Result]] = {}
    for result in results:
        if result.judge is None:
            raise UserError(f"{result.spec}: nobody judges", "give judgments")
        models = by_judge.setdefault(result.judge, {})
        if result.model in models:
            raise UserError(f"{result.model}: {result.judge} rated this model twice", "leave one file out")
        models[result.model] = result
    if len(by_judge) < 2:
        raise UserError(
            f"one judge only: {', '.join(by_judge)}" if by_judge else "no judge at all",
            "give the judgments of a second one",
        )
    judges = sorted(by_judge)
    pairs = [_pair(a, b, by_judge[a], by_judge[b], seed, rounds) for a, b in combinations(judges, 2)]
    return Agreement(
        specs[0],
        tuple(_facts(judge, list(by_judge[judge].values())) for judge in judges),
        tuple(pair for pair in pairs if pair is not None),
        _alpha(by_judge),
    )


def _facts(judge: str, results: Sequence[Result]) -> JudgeFacts:
    units = [unit for result in results for unit in result.units]
    reasons = Counter(unit.reason or "no score" for unit in units if unit.value is None)
    means = [
        figure.value
        for result in results
        if (figure := result.figures.get(result.overall)) is not None and figure.value is not None
    ]
    return JudgeFacts(
        judge,
        len(results),
        len(units) - reasons.total(),
        reasons.total(),
        dict(sorted(reasons.items())),
        math.fsum(means) / len(means) if means else None,
        {result.model: why for result in results if (why := refusal(result)) is not None},
    )


def _pair(
    a: str, b: str, of_a: dict[str, Result], of_b: dict[str, Result], seed: int, rounds: int
) -> JudgePair | None:
    models = sorted(set(of_a) & set(of_b))
    count = len(models)
    # Columns: A's models, then B's. Cells are common where both judges have a value.
    strata = [
        _both(stratum, count)
        for stratum in cells_of([*(of_a[m] for m in models), *(of_b[m] for m in models)])
    ]
    ones = np.concatenate([s.values[:, :count][_known(s, count)] for s in strata] or [np.zeros(0)])
    others = np.concatenate([s.values[:, count:][_known(s, count)] for s in strata] or [np.zeros(0)])
    if not len(ones):
        return None
    kept = [m for m in range(count) if any(_known(s, count)[:, m].any() for s in strata)]
    columns = [*kept, *(count + m for m in kept)]
    draws, means = _model_means(strata, columns, seed, rounds)
    half = len(kept)
    shifts = draws[:, :half].mean(axis=1) - draws[:, half:].mean(axis=1)
    spread = any(len(s.starts()) > 1 for s in strata)
    tau = kendall_tau(means[:half].tolist(), means[half:].tolist()) if half > 1 else None
    return JudgePair(
        a,
        b,
        half,
        len(ones),
        tau,
        _around(tau, _taus(draws[:, :half], draws[:, half:])) if tau is not None and spread else None,
        pearson(ones, others),
        _interval(_correlations(strata, count, seed, rounds)) if spread else None,
        krippendorff_alpha(list(zip(ones.tolist(), others.tolist(), strict=True))),
        float(means[:half].mean() - means[half:].mean()),
        _interval(shifts) if spread else None,
    )


def _known(stratum: CellStratum, count: int) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.isfinite(stratum.values[:, :count]) & np.isfinite(
        stratum.values[:, count:]
    )
    return known


def _both(stratum: CellStratum, count: int) -> CellStratum:
    """Return the stratum with what only one of the judges rated taken out, and the same weights for both."""
    known = np.tile(_known(stratum, count), (1, 2))
    weights = np.tile((stratum.weights[:, :count] + stratum.weights[:, count:]) / 2, (1, 2))
    shares = np.tile((stratum.shares[:count] + stratum.shares[count:]) / 2, 2)
    return CellStratum(
        stratum.name,
        stratum.cells,
        np.where(known, stratum.values, np.nan),
        np.where(known, weights, 0.0),
        shares,
    )


def _model_means(
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


def _taus(ones: Floats, others: Floats) -> Floats:
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


def _correlations(strata: Sequence[CellStratum], count: int, seed: int, rounds: int) -> Floats:
    """Return Pearson's r of the common cells in each draw, from the sums of each item."""
    centre = [_centre(strata, slice(None, count)), _centre(strata, slice(count, None))]
    total = np.zeros((rounds, 6))
    for stratum in strata:
        known = _known(stratum, count)
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


def _around(tau: float, draws: Floats) -> Interval:
    """Return tau with 1.96 standard deviations of its draws on both sides, within [-1, 1].

    Not the draws' percentiles: drawing items adds noise to every rank, so that the draws lie lower than the data.
    """
    known = draws[np.isfinite(draws)]
    if len(known) < 2:
        return None
    half = NormalDist().inv_cdf(0.975) * float(known.std(ddof=1))
    return max(-1.0, tau - half), min(1.0, tau + half)


def _interval(draws: Floats) -> Interval:
    known = draws[np.isfinite(draws)]
    if len(known) < 2:
        return None
    _, low, high = percentile_interval(known[:, None])
    return float(low[0]), float(high[0])


def _alpha(by_judge: dict[str, dict[str, Result]]) -> float | None:
    judges = sorted(by_judge)
    ratings: dict[tuple[str, str, str, int], dict[str, list[float]]] = {}
    for judge in judges:
        for model, result in by_judge[judge].items():
            for unit in counted(result.units):
                if unit.value is not None:
                    cell = ratings.setdefault((model, unit.stratum, unit.item, unit.turn), {})
                    cell.setdefault(judge, []).append(unit.value)
    rows = [
        [math.fsum(row[judge]) / len(row[judge]) if judge in row else None for judge in judges]
        for _, row in sorted(ratings.items())
    ]
    return krippendorff_alpha(rows)
