"""Confidence intervals: Wilson for shares, Student's t for means, the clustered percentile bootstrap for the rest.

Nothing here draws from a global generator: the bootstrap is seeded, and sorts its clusters by id first, so that the
interval does not depend on the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from watari.artifact.draws import generator

CONFIDENCE = 0.95
ROUNDS = 2000
_CELLS = 4_000_000  # indices drawn at a time: 32 MB


@dataclass(frozen=True)
class Estimate:
    """A figure with its uncertainty.

    Args:
        value: The figure.
        n: How many independent units (items, clusters) it rests on.
        stderr: Its standard error; None where one unit alone says nothing about it.
        low: Lower end of the interval, or None likewise.
        high: Upper end of the interval, or None likewise.
    """

    value: float
    n: int
    stderr: float | None
    low: float | None
    high: float | None


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Return the share successes / n with Wilson's score interval.

    It stays inside [0, 1] and is honest for shares near the ends, where the normal interval collapses
    (Wilson 1927; Brown, Cai and DasGupta 2001 recommend it for small n). `stderr` is sqrt(p(1-p)/n).

    Raises:
        ValueError: if n is not positive or successes is not within 0…n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the end is exact; rounding must not push it past the share.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(share, n, math.sqrt(share * (1 - share) / n), low, high)


def mean_t(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of independent values with Student's t interval.

    Raises:
        ValueError: if there are no values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("the mean of no values")
    mean = float(array.mean())
    if array.size == 1:
        return Estimate(mean, 1, None, None, None)
    stderr = float(array.std(ddof=1)) / math.sqrt(array.size)
    half = student_t_quantile(0.5 + confidence / 2, array.size - 1) * stderr
    return Estimate(mean, int(array.size), stderr, mean - half, mean + half)


def bootstrap_mean(
    values: Sequence[float],
    clusters: Sequence[str],
    *,
    seed: int,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return the mean of `values` with a percentile bootstrap over clusters.

    Args:
        values: One value a row.
        clusters: The cluster of each row (question, document): rows of one cluster are drawn together.
        seed: Of the resampling.
        rounds: Resamples.
        confidence: Of the interval.

    Raises:
        ValueError: if the lengths differ or there are no rows.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values for {len(clusters)} clusters")
    sums: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value)
    names = sorted(sums)
    # fsum is exact, so the order of rows inside a cluster does not matter either.
    return bootstrap_ratio(
        [math.fsum(sums[name]) for name in names],
        [len(sums[name]) for name in names],
        names,
        seed=seed,
        rounds=rounds,
        confidence=confidence,
    )


def bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    ids: Sequence[str],
    *,
    seed: int,
    rounds: int = ROUNDS,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return Σ numerators / Σ denominators with a percentile bootstrap over units (e.g. bits and characters of documents).

    Args:
        numerators: One a unit.
        denominators: One a unit, not negative, not all zero.
        ids: One a unit; units are sorted by it before anything is drawn.
        seed: Of the resampling.
        rounds: Resamples.
        confidence: Of the interval.

    Raises:
        ValueError: if the lengths differ, there are no units, or the denominators sum to nothing.
    """
    order = sorted(range(len(ids)), key=lambda index: ids[index])
    top = np.asarray(numerators, dtype=np.float64)[order]
    bottom = np.asarray(denominators, dtype=np.float64)[order]
    if not top.size == bottom.size == len(ids) or top.size == 0 or bottom.min() < 0 or bottom.sum() <= 0:
        raise ValueError("a ratio needs as many numerators as denominators, and something to divide by")
    value = float(top.sum() / bottom.sum())
    if top.size == 1:
        return Estimate(value, 1, None, None, None)
    resampled = _resample(top, bottom, generator(seed, "stats.bootstrap"), rounds)
    low, high = np.quantile(resampled, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Estimate(value, int(top.size), float(resampled.std(ddof=1)), float(low), float(high))


def _resample(
    top: npt.NDArray[np.float64], bottom: npt.NDArray[np.float64], draws: np.random.Generator, rounds: int
) -> npt.NDArray[np.float64]:
    step = max(1, _CELLS // top.size)
    parts = []
    for start in range(0, rounds, step):
        picks = draws.integers(top.size, size=(min(step, rounds - start), top.size))
        below = bottom[picks].sum(axis=1)
        # A resample of units without any length has no ratio; the point value stands for it.
        whole = top.sum() / bottom.sum()
        above = top[picks].sum(axis=1)
        parts.append(np.divide(above, below, out=np.full_like(above, whole), where=below > 0))
    return np.concatenate(parts)


def student_t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution with `freedom` degrees of freedom, to about 1e-10.

    By bisection of the distribution function, which is the regularised incomplete beta function
    (continued fraction of Abramowitz and Stegun 26.5.8, summed by Lentz's method).
    """
    if not 0 < probability < 1 or freedom <= 0:
        raise ValueError("0 < probability < 1 and positive degrees of freedom are wanted")
    if probability < 0.5:
        return -student_t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while _student_t(high, freedom) < probability:
        high *= 2
    while high - low > 1e-12 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_t(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def student_t_tail(value: float, freedom: float) -> float:
    """Return the probability that Student's t is above `value` (not negative), relatively exact also far out."""
    return _incomplete_beta(freedom / (freedom + value * value), freedom / 2, 0.5) / 2


def _student_t(value: float, freedom: float) -> float:
    return 1 - student_t_tail(value, freedom)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only below its mean
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(400):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / ((1 + term * d) or tiny)
        c = (1 + term / c) or tiny
        fraction *= c * d
        if abs(1 - c * d) < 1e-15 and step:
            break
    return front * (fraction - 1) / a
