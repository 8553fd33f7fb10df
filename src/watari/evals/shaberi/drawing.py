"""Intervals of all figures of many models at once: the clustered bootstrap of `stats.resampling`, a matrix a benchmark.

The same as `evals.intervals.figures_of` over each figure's units, without a step for each unit: some 800 sheets a benchmark
have the same items, and a draw of them all is one matrix product. There too few items, or equal values, have no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watari.stats.resampling import FEWEST, Floats, Stratum, interval_says, percentile_interval, resampled

_AT_ONCE = 500  # figures drawn together: 8 MB of draws each benchmark

Interval = tuple[float | None, float | None, float | None]
"""Standard error, low, high."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one mean is taken of.

    Args:
        stratum: The benchmark; keys the draws.
        items: The item of each value; those of one item are drawn together.
        values: None: invalid.
    """

    stratum: str
    items: tuple[str, ...]
    values: tuple[float | None, ...]

    @property
    def valid(self) -> int:
        """Items with a value."""
        return len(
            {item for item, value in zip(self.items, self.values, strict=True) if value is not None}
            if None in self.values
            else set(self.items)
        )


def draw(
    columns: Sequence[Column], figures: Sequence[Sequence[int]], *, seed: int, rounds: int
) -> list[Interval]:
    """Return the standard error and the interval of figures, each the plain mean of some columns' means.

    Args:
        columns: What means are taken of.
        figures: The places of each one's columns; none: no interval.
        seed: Of the bootstrap.
        rounds: Draws; below 2: no intervals.
    """
    found: list[Interval] = [(None, None, None)] * len(figures)
    if rounds < 2:
        return found
    for start in range(0, len(figures), _AT_ONCE):
        part = [
            at
            for at in range(start, min(start + _AT_ONCE, len(figures)))
            if figures[at] and _freedom(columns, figures[at]) >= FEWEST - 1
        ]
        if not part:
            continue
        drawn = _drawn(columns, sorted({place for at in part for place in figures[at]}), seed, rounds)
        means = np.empty((rounds, len(part)))
        for at, figure in enumerate(part):
            places = figures[figure]
            total = drawn[places[0]]
            for place in places[1:]:
                total = total + drawn[place]
            means[:, at] = total / len(places)
        ends = percentile_interval(means)
        for figure, stderr, low, high in zip(part, *(end.tolist() for end in ends), strict=True):
            if interval_says(low, high, _freedom(columns, figures[figure])):
                found[figure] = (stderr, low, high)
    return found


def _freedom(columns: Sequence[Column], places: Sequence[int]) -> int:
    """Return how many items with something valid some columns have, less the columns that have any."""
    counts = [columns[place].valid for place in places]
    return sum(counts) - sum(count > 0 for count in counts)


def _drawn(columns: Sequence[Column], places: Sequence[int], seed: int, rounds: int) -> dict[int, Floats]:
    """Return each column's mean in each draw, by its place."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for place in places:
        groups.setdefault((columns[place].stratum, columns[place].items), []).append(place)
    drawn: dict[int, Floats] = {}
    for (stratum, items), members in groups.items():
        names = sorted(set(items))
        rows = {name: at for at, name in enumerate(names)}
        which = np.array([rows[item] for item in items])
        values = np.array([columns[place].values for place in members], np.float64).T  # None becomes NaN
        valid = ~np.isnan(values)
        values[~valid] = 0.0
        tops = np.zeros((len(names), len(members)))
        bottoms = np.zeros((len(names), len(members)))
        np.add.at(tops, which, values)
        np.add.at(bottoms, which, valid.astype(np.float64))
        means = resampled(Stratum(stratum, tops, bottoms), seed=seed, rounds=rounds)
        for at, place in enumerate(members):
            drawn[place] = means[:, at]
    return drawn
