"""Is A better than B? The paired difference of two weighted means on the clusters that both were asked.

Three answers, which agree where there is much data:
- `low`, `high`, `p`: percentile bootstrap over clusters within strata; p is twice the smaller share of draws on one side
  of 0, each count plus one (Davison and Hinkley 1997, 4.2). It goes with the interval, and is never below 2 / (rounds + 1).
- `p_permutation`: signs of the clusters' differences flipped, all of them up to 14 clusters, else at random with the +1
  rule. Its null hypothesis is the stricter one, that the two are exchangeable.
- `p_t`: Student's t of the difference over its clustered (linearised) standard error. It has no floor, so it is what
  corrections over many pairs are made with.

What the data cannot say is not said:
- Below `FEWEST` clusters (over several strata: below `FEWEST` - 1 degrees of freedom) there is no interval and no p: of
  three questions no test comes below 0.25 by itself, and a bootstrap that says [0, 0] or 0.001 is wrong.
- Where all differences (of each stratum) are the same, their spread is not known: no interval, and each p is that of the
  sign flips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watari.artifact.draws import generator
from watari.stats.intervals import student_t_tail
from watari.stats.resampling import (
    CONFIDENCE,
    FEWEST,
    ROUNDS,
    Floats,
    Stratum,
    column_sums,
    fixed_point,
    percentile_interval,
    resampled,
)

FLIPS = 20_000
_EXACT = 14
_SAME = 1e-12
_CELLS = 2_000_000


@dataclass(frozen=True)
class PairedStratum:
    """One stratum of some pairs: clusters in the order of their ids, a column a pair.

    Args:
        name: Keys the draws.
        differences: A minus B: (clusters, pairs); anything where the weight is 0.
        weights: Of each cluster in the stratum's mean; 0 where a pair has it not in common.
        shares: Of the stratum in the whole: (pairs,).
    """

    name: str
    differences: Floats
    weights: Floats
    shares: Floats

    def contributions(self) -> Floats:
        """Return what each cluster adds to the difference: (clusters, pairs)."""
        products = np.where(self.weights > 0, self.weights * self.differences, 0.0)
        return np.asarray(self.shares * _divided(products, column_sums(self.weights)), np.float64)

    def variances(self) -> Floats:
        """Return the variance of the stratum's part of the difference, from its clusters; 0 with one of them."""
        n = (self.weights > 0).sum(axis=0)
        parts = _divided(self.weights, column_sums(self.weights))
        means = column_sums(np.where(self.weights > 0, parts * self.differences, 0.0))
        residuals = np.where(self.weights > 0, parts * (self.differences - means), 0.0)
        more = np.where(n > 1, n / np.maximum(n - 1, 1), 0.0)
        return np.asarray(self.shares**2 * more * column_sums(residuals**2), np.float64)


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(
        above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0
    )


@dataclass(frozen=True)
class PairedDifference:
    """A minus B.

    Args:
        value: The difference of the means.
        n: Clusters.
        stderr: Clustered standard error; None, as all below, where there are too few clusters.
        low, high: Ends of the bootstrap interval; None, as the standard error, where all differences are the same.
        p: Two-sided, of the same draws.
        p_permutation: Two-sided, of sign flips.
        p_t: Two-sided, of Student's t.
    """

    value: float
    n: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_permutation: float | None = None
    p_t: float | None = None

    @property
    def too_few(self) -> bool:
        """Whether there are too few clusters to say anything."""
        return self.p is None


def paired_differences(
    strata: Sequence[PairedStratum],
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    flips: int = FLIPS,
    confidence: float = CONFIDENCE,
) -> list[PairedDifference]:
    """Return the difference of two weighted means of each pair, with its interval and tests.

    Args:
        strata: What both of a pair were asked; a pair's shares sum to 1.
        seed: Of the draws; strata are taken in the order of their names.
        rounds: Of the bootstrap.
        flips: Of the permutation test, where not all are tried; 0: no such test.
        confidence: Of the interval.

    Raises:
        ValueError: if a pair has no cluster in common.
    """
    strata = sorted(strata, key=lambda stratum: stratum.name)
    counts = np.array([(stratum.weights > 0).sum(axis=0) for stratum in strata])
    if not len(strata) or not counts.sum(axis=0).all():
        raise ValueError("no cluster is common to both")
    added = np.concatenate([stratum.contributions() for stratum in strata])
    freedom = np.maximum(counts - 1, 0).sum(axis=0)
    draws = _draws(strata, seed, rounds)
    _, low, high = percentile_interval(draws, confidence=confidence)
    variances = np.array([stratum.variances() for stratum in strata])
    found = []
    for pair in range(added.shape[1]):
        value, n = math.fsum(added[:, pair].tolist()), int(counts[:, pair].sum())
        if freedom[pair] < FEWEST - 1:
            found.append(PairedDifference(value, n))
            continue
        stderr = math.sqrt(math.fsum(variances[:, pair].tolist()))
        if stderr <= _SAME * float(np.abs(added[:, pair]).max()):
            p = sign_flip_p(added[:, pair], seed=seed, flips=flips or FLIPS)
            found.append(PairedDifference(value, n, p=p, p_permutation=p, p_t=p))
            continue
        found.append(
            PairedDifference(
                value,
                n,
                stderr,
                float(low[pair]),
                float(high[pair]),
                two_sided(draws[:, pair], value),
                sign_flip_p(added[:, pair], seed=seed, flips=flips) if flips else None,
                t_p(value, stderr, int(freedom[pair])),
            )
        )
    return found


def _draws(strata: Sequence[PairedStratum], seed: int, rounds: int) -> Floats:
    """Return each pair's difference in each draw of the clusters: (rounds, pairs)."""
    total = np.zeros((rounds, strata[0].weights.shape[1]))
    for stratum in strata:
        tops = np.where(stratum.weights > 0, stratum.weights * stratum.differences, 0.0)
        total += stratum.shares * resampled(
            Stratum(stratum.name, tops, stratum.weights), seed=seed, rounds=rounds
        )
    return total


def two_sided(draws: Floats, value: float) -> float:
    """Return the p of "no difference": twice the smaller share of draws at or beyond 0, with the +1 rule.

    Draws within a rounding error of 0 stand on both sides.
    """
    close = 1e-9 * max(abs(value), float(draws.max(initial=0.0)), -float(draws.min(initial=0.0)), 1e-300)
    below, above = int((draws <= close).sum()), int((draws >= -close).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(draws) + 1))


def sign_flip_p(contributions: Floats, *, seed: int = 0, flips: int = FLIPS) -> float:
    """Return the two-sided p of the sum of contributions under random signs: exact up to 14 of them that are not 0.

    Args:
        contributions: What each cluster adds to the difference, in an order that depends on ids alone.
        seed: Of the flips.
        flips: How many, where not all are tried.
    """
    added = contributions[contributions != 0]
    n = len(added)
    if not n:
        return 1.0
    values = fixed_point(added[:, None])[0]
    # As many last places may be lost in rounding: sums that close are equal.
    wanted = abs(float(values.sum())) - n
    if n <= _EXACT:
        codes = np.arange(1 << n)[:, None] >> np.arange(n) & 1
        return float((np.abs((2.0 * codes - 1) @ values) >= wanted).mean())
    draws = generator(seed, "stats.sign_flip")
    hits, step = 0, max(1, _CELLS // n)
    for start in range(0, flips, step):
        signs = 2.0 * draws.integers(2, size=(min(step, flips - start), n)) - 1
        hits += int((np.abs(signs @ values) >= wanted).sum())
    return (hits + 1) / (flips + 1)


def t_p(value: float, stderr: float, freedom: float) -> float:
    """Return the two-sided p of Student's t; 1 or 0 where the standard error is 0."""
    if stderr == 0:
        return 1.0 if value == 0 else 0.0
    return min(1.0, 2 * student_t_tail(abs(value) / stderr, freedom))
