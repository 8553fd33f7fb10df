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

from watari.errors import UserError
from watari.evals.agreement_draws import both, correlations, known_to_both, model_means, taus
from watari.evals.pairing import cells_of, counted
from watari.evals.refusal import refusal
from watari.evals.result import Result
from watari.stats.agreement import kendall_tau, krippendorff_alpha, pearson
from watari.stats.resampling import (
    ROUNDS,
    Floats,
    percentile_interval,
)

Interval = tuple[float, float] | None


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
        both(stratum, count) for stratum in cells_of([*(of_a[m] for m in models), *(of_b[m] for m in models)])
    ]
    ones = np.concatenate([s.values[:, :count][known_to_both(s, count)] for s in strata] or [np.zeros(0)])
    others = np.concatenate([s.values[:, count:][known_to_both(s, count)] for s in strata] or [np.zeros(0)])
    if not len(ones):
        return None
    kept = [m for m in range(count) if any(known_to_both(s, count)[:, m].any() for s in strata)]
    columns = [*kept, *(count + m for m in kept)]
    draws, means = model_means(strata, columns, seed, rounds)
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
        _around(tau, taus(draws[:, :half], draws[:, half:])) if tau is not None and spread else None,
        pearson(ones, others),
        _interval(correlations(strata, count, seed, rounds)) if spread else None,
        krippendorff_alpha(list(zip(ones.tolist(), others.tolist(), strict=True))),
        float(means[:half].mean() - means[half:].mean()),
        _interval(shifts) if spread else None,
    )


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
