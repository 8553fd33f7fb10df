"""The difference of one figure between two sides that answered the same prompts: interval and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from watari.artifact.draws import generator
from watari.stats.paired import t_p, two_sided
from watari.stats.resampling import Floats, percentile_interval

_EXACT = 14
_LEVEL = 0.05
_CELLS = 2_000_000


@dataclass(frozen=True)
class Difference:
    """A minus B of one figure; `None` where fewer than two prompts differ in what they were asked.

    Args:
        a, b: The figures.
        value: Their difference.
        low, high: Ends of its interval.
        p, p_permutation, p_t: Two-sided p values; see the module.
    """

    a: float
    b: float
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_permutation: float | None = None
    p_t: float | None = None

    @property
    def apart(self) -> bool:
        """Whether the interval excludes 0 and swaps say the same: with few events the bootstrap alone sees too much."""
        excluded = self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
        return excluded and (self.p_permutation is None or self.p_permutation < _LEVEL)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "a": self.a,
            "b": self.b,
            "difference": self.value,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "p_permutation": self.p_permutation,
            "p_t": self.p_t,
        }


def difference_of(
    sides: Sequence[tuple[Floats, Floats]], draws: Floats, per: int, seed: int, flips: int
) -> Difference:
    """Return the difference of two ratios of sums over the same prompts.

    Args:
        sides: Tops and bottoms of each prompt, of A and of B.
        draws: A minus B in each draw of the bootstrap.
        per: What the figures are counted per: 1,000 characters, 1 response.
        seed, flips: Of the swaps.
    """
    (top_a, bottom_a), (top_b, bottom_b) = sides
    means = [_ratio(top.sum(), bottom.sum()) for top, bottom in sides]
    a, b = means[0] * per, means[1] * per
    asked = int(((bottom_a > 0) & (bottom_b > 0)).sum())
    if asked < 2:
        return Difference(a, b, a - b)
    _, low, high = percentile_interval(draws[:, None])
    # What each prompt adds to the difference, to the first order.
    added = (top_a - means[0] * bottom_a) / bottom_a.sum() - (top_b - means[1] * bottom_b) / bottom_b.sum()
    stderr = math.sqrt(math.fsum((added**2).tolist()) * asked / (asked - 1)) * per
    return Difference(
        a,
        b,
        a - b,
        float(low[0]),
        float(high[0]),
        two_sided(draws, a - b),
        swap_p(
            *(values[:, None] for side in sides for values in side), pull=np.ones(1), seed=seed, flips=flips
        ),
        t_p(a - b, stderr, asked - 1),
    )


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else 0.0


def swap_p(
    top_a: Floats,
    bottom_a: Floats,
    top_b: Floats,
    bottom_b: Floats,
    *,
    pull: Floats,
    seed: int,
    flips: int,
) -> float:
    """Return the two-sided p of a difference if the sides change places prompt by prompt at random.

    All ways are tried with up to 14 prompts that differ, else `flips` at random with the +1 rule.

    Args:
        top_a, bottom_a, top_b, bottom_b: Of each prompt, at each value of a column: (prompts, values).
        pull: What the ratio at each value counts for: [1] for the ratio itself, least squares for a slope.
        seed, flips: Of the swaps.
    """
    more_top, more_bottom = top_b - top_a, bottom_b - bottom_a
    differing = (more_top != 0).any(axis=1) | (more_bottom != 0).any(axis=1)
    n = int(differing.sum())
    if not n or not flips:
        return 1.0
    more_top, more_bottom = more_top[differing], more_bottom[differing]

    def statistic(swapped: Floats) -> Floats:
        # Whole numbers: every sum is exact.
        tops, bottoms = swapped @ more_top, swapped @ more_bottom
        one = _divided(top_a.sum(axis=0) + tops, bottom_a.sum(axis=0) + bottoms)
        other = _divided(top_b.sum(axis=0) - tops, bottom_b.sum(axis=0) - bottoms)
        return np.asarray(np.abs((pull * (one - other)).sum(axis=1)), np.float64)

    wanted = float(statistic(np.zeros((1, n)))[0]) * (1 - 1e-9)
    if n <= _EXACT:
        codes = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.float64)
        return float((statistic(codes) >= wanted).mean())
    draws = generator(seed, "leakage.swap")
    hits, step = 0, max(1, _CELLS // n)
    for start in range(0, flips, step):
        size = min(step, flips - start)
        hits += int((statistic(draws.integers(2, size=(size, n)).astype(np.float64)) >= wanted).sum())
    return (hits + 1) / (flips + 1)


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
