"""Figures out of units: a weighted mean with n, invalid units, standard error, interval and run-to-run deviation.

Intervals are percentile bootstraps clustered by item, drawn within each stratum (`stats.resampling`). Models that were
asked the same items share the draws, whatever the order of their rows.

What a figure's interval is of: the mean over strata, each with the share of weight that it has in the data, of the
weighted mean of the drawn items. With one stratum that is FastChat's mean over valid rows, with equal weights per dataset
the mean of means of llm-jp-eval and Shaberi.

With few items percentile intervals are too short: of skewed ratings they hold the truth in 94 of 100 cases with 80 questions,
in 92 with 20, in 89 with the ten of one MT-Bench category (simulated; `tests/stats/test_stats_resampling.py`).

No interval, and no standard error, where it would be a false certainty: below 5 items (below 4 items more than strata), or
where all draws are the same, as with equal values. Only of shares that are all 0 or all 1 something can be said: Wilson's
interval of as many items (`stats.intervals.wilson`); none of 20 is [0, 0.16].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watari.evals.result import Figure, Unit
from watari.stats.intervals import wilson
from watari.stats.resampling import (
    FEWEST,
    ROUNDS,
    Floats,
    Stratum,
    column_sums,
    interval_says,
    percentile_interval,
    resampled,
)

Interval = tuple[float | None, float | None, float | None]
"""Standard error, low, high."""

_AT_ONCE = 500  # figures drawn together: 8 MB of draws


def figure_of(
    units: Sequence[Unit],
    value: float | None = None,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    shares: bool = False,
) -> Figure:
    """Return the figure that some units make. For many figures `figures_of` is faster.

    Args:
        units: Of one model (and judge). Those of weight 0 count for nothing, unless all are: then they weigh the same.
        value: The figure as the spec's own rule gives it; default: the weighted mean.
        seed: Of the bootstrap.
        rounds: Draws; 0: no interval.
        shares: Whether values are shares of one, not ratings: 1 is all that can be had.
    """
    return figures_of([units], [value], seed=seed, rounds=rounds, shares=shares)[0]


def figures_of(
    groups: Sequence[Sequence[Unit]],
    values: Sequence[float | None] | None = None,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    shares: bool = False,
) -> list[Figure]:
    """Return the figure of each group of units, all drawn together: many models, many figures.

    Args:
        groups: As `figure_of`'s units, one for each figure.
        values: As `figure_of`'s value, one for each figure.
        seed: Of the bootstrap.
        rounds: Draws; 0: no intervals.
        shares: As `figure_of`'s.

    Raises:
        ValueError: if there are not as many values as groups.
    """
    given = [None] * len(groups) if values is None else list(values)
    if len(given) != len(groups):
        raise ValueError(f"{len(given)} values for {len(groups)} groups of units")
    parts = [_Parts.of(units) for units in groups]
    intervals = _intervals(parts, seed, rounds, shares) if rounds > 1 else {}
    figures = []
    for place, (part, value) in enumerate(zip(parts, given, strict=True)):
        shown = part.mean if value is None and part.n else value
        stderr, low, high = intervals.get(place, (None, None, None))
        figures.append(Figure(shown, part.n, part.invalid, stderr, low, high, part.run_sd))
    return figures


@dataclass(frozen=True)
class _Parts:
    """One group's sums: by stratum, over its items in the order of their names."""

    n: int
    invalid: int
    mean: float
    run_sd: float | None
    strata: dict[str, tuple[Floats, Floats]]

    @staticmethod
    def of(units: Sequence[Unit]) -> _Parts:
        counted = [unit for unit in units if unit.weight > 0]
        weights = [unit.weight for unit in counted]
        if not counted:
            counted, weights = list(units), [1.0] * len(units)
        tops: dict[str, dict[str, list[float]]] = {}
        bottoms: dict[str, dict[str, list[float]]] = {}
        runs: dict[int, tuple[list[float], list[float]]] = {}
        invalid = 0
        for unit, weight in zip(counted, weights, strict=True):
            if (top := tops.get(unit.stratum)) is None:
                top, bottoms[unit.stratum] = tops.setdefault(unit.stratum, {}), {}
            bottom = bottoms[unit.stratum]
            if unit.item not in top:
                top[unit.item], bottom[unit.item] = [], []
            value = unit.value
            if value is None:
                invalid += 1
                continue
            product = weight * value
            top[unit.item].append(product)
            bottom[unit.item].append(weight)
            if (run := runs.get(unit.run)) is None:
                run = runs.setdefault(unit.run, ([], []))
            run[0].append(product)
            run[1].append(weight)
        # fsum is exact, so that the order of the units is no matter.
        own = [math.fsum(above) / math.fsum(below) for above, below in runs.values()]
        above = math.fsum(value for part in runs.values() for value in part[0])
        below = math.fsum(value for part in runs.values() for value in part[1])
        return _Parts(
            len(counted) - invalid,
            invalid,
            above / below if below else math.nan,
            float(np.std(sorted(own), ddof=1)) if len(own) > 1 else None,
            {name: (_sums(tops[name]), _sums(bottoms[name])) for name in sorted(tops)},
        )

    @property
    def freedom(self) -> int:
        """Items with something valid, less the strata that they stand in."""
        counts = [int((bottom > 0).sum()) for _, bottom in self.strata.values()]
        return sum(counts) - sum(count > 0 for count in counts)

    def all_or_nothing(self) -> Interval:
        """Return Wilson's interval if all values are 0 or all are 1: of as many items as their weights are worth (Kish)."""
        tops = np.concatenate([top[bottom > 0] for top, bottom in self.strata.values()])
        bottoms = np.concatenate([bottom[bottom > 0] for _, bottom in self.strata.values()])
        right = bool((tops == bottoms).all())
        if len(tops) < 2 or not (right or not tops.any()):
            return None, None, None
        n = int(bottoms.sum() ** 2 / (bottoms**2).sum() + 1e-9)
        found = wilson(n if right else 0, n)
        return None, found.low, found.high


def _sums(items: dict[str, list[float]]) -> Floats:
    return np.array([sum(part) if len(part) < 3 else math.fsum(part) for _, part in sorted(items.items())])


def _intervals(parts: Sequence[_Parts], seed: int, rounds: int, shares: bool) -> dict[int, Interval]:
    """Return (standard error, low, high) of each group of which something can be said, by its place."""
    found: dict[int, Interval] = {}
    wanted = [place for place, part in enumerate(parts) if part.n and part.freedom >= FEWEST - 1]
    for first in range(0, len(wanted), _AT_ONCE):
        places = wanted[first : first + _AT_ONCE]
        ends = percentile_interval(_drawn([parts[place] for place in places], seed, rounds))
        for place, stderr, low, high in zip(places, *(end.tolist() for end in ends), strict=True):
            if interval_says(low, high, parts[place].freedom):
                found[place] = (stderr, low, high)
    if shares:
        for place, part in enumerate(parts):
            if part.n and place not in found:
                found[place] = part.all_or_nothing()
    return found


def _drawn(parts: Sequence[_Parts], seed: int, rounds: int) -> Floats:
    """Return each group's mean in each draw: (rounds, groups)."""
    batches: dict[tuple[str, int], list[int]] = {}
    for place, part in enumerate(parts):
        for name, (top, _) in part.strata.items():
            batches.setdefault((name, len(top)), []).append(place)
    weights = np.array([math.fsum(bottom.sum() for _, bottom in part.strata.values()) for part in parts])
    drawn = np.zeros((rounds, len(parts)))
    # In the order of the strata's names, so that each group's sum is taken in one order.
    for (name, _), places in sorted(batches.items()):
        tops = np.stack([parts[place].strata[name][0] for place in places], axis=1)
        bottoms = np.stack([parts[place].strata[name][1] for place in places], axis=1)
        means = resampled(Stratum(name, tops, bottoms), seed=seed, rounds=rounds)
        drawn[:, places] += means * (column_sums(bottoms) / weights[places])
    return drawn
