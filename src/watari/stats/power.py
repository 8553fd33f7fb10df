"""How many questions, or how many runs, would tell two models apart?

The variance of a paired difference has two parts. One is between questions: on some A is better, on some B; it falls
only with more questions. The other is within a question: another run gives another answer; it falls with runs too.

    variance = share of questions / questions + share of runs / (questions x runs)

With one run of each the two parts cannot be told apart, and nothing is said about runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from watari.stats.resampling import Floats

POWER = 0.8
LEVEL = 0.05
_MOST = 10**9


@dataclass(frozen=True)
class PowerStratum:
    """The common questions of one stratum.

    Args:
        a, b: Scores by run: (questions, runs); NaN where a run has none. The two may have different numbers of runs.
        weights: Of each question in the stratum's mean.
        share: Of the stratum in the whole.
    """

    a: Floats
    b: Floats
    weights: Floats
    share: float


@dataclass(frozen=True)
class Power:
    """What it would take to tell a difference of this size apart.

    Args:
        difference: The size that is asked about.
        questions_now, runs_now: What the data have (runs: of the model with fewer).
        power_now: Chance that such data tell a difference of this size apart.
        smallest: The difference that such data tell apart with the power asked for.
        questions: Questions that are needed at the runs there are; None: the difference is 0.
        runs: Runs of each model that are needed at the questions there are; None: no number of runs will do, or
            `within_sd` is not known.
        between_sd: Standard deviation of the difference between questions, runs apart; with one run, with them.
        within_sd: Standard deviation of a question's score between runs (of both models together); None with one run.
        enough_runs: False: no number of runs will do. None: not known.
    """

    difference: float
    questions_now: int
    runs_now: int
    power_now: float
    smallest: float
    questions: int | None
    runs: int | None
    between_sd: float
    within_sd: float | None
    enough_runs: bool | None


def power_of(
    strata: Sequence[PowerStratum],
    difference: float,
    *,
    power: float = POWER,
    level: float = LEVEL,
) -> Power | None:
    """Return what would separate two models whose true difference is `difference`, by the normal approximation.

    Args:
        strata: Their scores on the common questions.
        difference: On the spec's scale; its sign is no matter.
        power: Wanted chance to separate them.
        level: Two-sided level of the test.

    Returns:
        None where no stratum has two questions: nothing is known of the variance.
    """
    normal = NormalDist()
    quantile = normal.inv_cdf(1 - level / 2)
    needed = quantile + normal.inv_cdf(power)
    parts = [part for part in (_variances(stratum) for stratum in strata) if part is not None]
    n = sum(len(stratum.weights) for stratum in strata)
    if not parts:
        return None
    total = math.fsum(part.total for part in parts)
    known = [part.within for part in parts if part.within is not None]
    within = math.fsum(known) if len(known) == len(parts) else None
    runs_a = min(stratum.a.shape[1] for stratum in strata)
    runs_b = min(stratum.b.shape[1] for stratum in strata)
    size = abs(difference)
    questions = runs = None
    enough: bool | None = None
    between = total
    if within is not None:
        # `within` is of one run each; by chance it may come out above the whole.
        between = max(0.0, total - math.fsum(part.noise for part in parts))
    if size > 0:
        questions = _whole(n * total * needed**2 / size**2)
        if within is not None:
            room = size**2 / needed**2 - between
            enough = room > 0
            runs = _whole(within / room) if enough else None
    stderr = math.sqrt(total)
    return Power(
        size,
        n,
        min(runs_a, runs_b),
        1.0 if stderr == 0 and size else _power(size, stderr, quantile),
        needed * stderr,
        questions,
        runs,
        math.sqrt(between * n),
        None if within is None else math.sqrt(within * n),
        enough,
    )


def _power(size: float, stderr: float, quantile: float) -> float:
    if stderr == 0:
        return 0.0
    normal = NormalDist()
    return normal.cdf(size / stderr - quantile) + normal.cdf(-size / stderr - quantile)


def _whole(number: float) -> int:
    return max(1, min(_MOST, math.ceil(number - 1e-9)))


@dataclass(frozen=True)
class _Variances:
    """Of a stratum's part of the difference: as it is; its part from runs; that part with one run of each."""

    total: float
    noise: float
    within: float | None


def _variances(stratum: PowerStratum) -> _Variances | None:
    n = len(stratum.weights)
    if n < 2:
        return None
    shares = stratum.weights / stratum.weights.sum()
    differences = np.nanmean(stratum.a, axis=1) - np.nanmean(stratum.b, axis=1)
    residuals = shares * (differences - float((shares * differences).sum()))
    scale = stratum.share**2
    total = float(scale * n / (n - 1) * (residuals**2).sum())
    sides = [_within(scores) for scores in (stratum.a, stratum.b)]
    if any(side is None for side in sides):
        return _Variances(total, 0.0, None)
    counts = [np.maximum(1, np.isfinite(scores).sum(axis=1)) for scores in (stratum.a, stratum.b)]
    noise = sum(float((shares**2 * side / count).sum()) for side, count in zip(sides, counts, strict=True))
    within = sum(float((shares**2 * side).sum()) for side in sides)
    return _Variances(total, scale * noise, scale * within)


def _within(scores: Floats) -> float | None:
    """Return the pooled variance between runs of a question's score; None if no question has two."""
    counts = np.isfinite(scores).sum(axis=1)
    if (counts > 1).sum() == 0:
        return None
    rows = scores[counts > 1]
    squares = float(np.nansum((rows - np.nanmean(rows, axis=1, keepdims=True)) ** 2))
    return squares / float((counts[counts > 1] - 1).sum())
