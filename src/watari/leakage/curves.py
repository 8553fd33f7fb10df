"""Curves: leakage by temperature, or by any other column, and whether it grows.

The trend is the least-squares slope through the figures at each value of the column. It is taken anew in each draw of
the prompts, which gives its interval and its p; the same prompts are asked at every value, so that they fall out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from watari.leakage.rows import Scalar
from watari.leakage.tally import Count, Drawn, Figure, Mask, Part, Sheet, draw_parts
from watari.stats.paired import two_sided
from watari.stats.resampling import ROUNDS, Floats, percentile_interval

DEFAULTS = ("temperature", "model")
_LARGEST = 1e15
MOST_VALUES = 40
"""Values of a column above which it is no curve but a mere id."""


@dataclass(frozen=True)
class Trend:
    """How a figure changes for one more of the column: the slope with its interval, and p of "not at all"."""

    slope: float
    low: float
    high: float
    p: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"slope": self.slope, "low": self.low, "high": self.high, "p": self.p}


@dataclass(frozen=True)
class Curve:
    """Counts at each value of a column.

    Args:
        column: Its name.
        series: What the responses have in common: {model: m}; empty for all of them.
        values: In order: numbers by size, other values as they first come.
        counts: At each value.
        rate, share: Trends; None where the column is no number, or has one value.
    """

    column: str
    series: Mapping[str, Scalar]
    values: tuple[Scalar, ...]
    counts: tuple[Count, ...]
    rate: Trend | None = None
    share: Trend | None = None

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return all(is_number(value) for value in self.values)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        points = [
            {"value": value} | count.as_json() for value, count in zip(self.values, self.counts, strict=True)
        ]
        trend = None
        if self.rate is not None and self.share is not None:
            trend = {
                "per": f"1 of {self.column}",
                "events_per_1000": self.rate.as_json(),
                "responses_with_any": self.share.as_json(),
            }
        return {"column": self.column, "series": dict(self.series), "points": points, "trend": trend}


def columns_by(sheet: Sheet, wanted: Sequence[str]) -> list[str]:
    """Return the columns to draw curves by: those wanted, else temperature and model where they have several values."""
    if wanted:
        return list(dict.fromkeys(wanted))
    return [name for name in DEFAULTS if 1 < len(values_of(sheet, name)) <= MOST_VALUES]


def values_of(sheet: Sheet, column: str) -> list[Scalar]:
    """Return the values of a column: numbers by size, else in the order in which they first come."""
    found = list(dict.fromkeys(tally.columns[column] for tally in sheet.tallies if column in tally.columns))
    return sorted(found, key=float) if all(map(is_number, found)) else found


def curves(
    sheet: Sheet, columns: Sequence[str], *, language: str | None = None, seed: int = 0, rounds: int = ROUNDS
) -> list[Curve]:
    """Return a curve by each column; by a numeric one also for each value of the first that is none.

    Args:
        sheet: The responses.
        columns: As `columns_by` gives them.
        language: Only responses that should be in this language.
        seed, rounds: Of the bootstrap.
    """
    base = None if language is None else sheet.expecting(language)
    values = {column: values_of(sheet, column) for column in columns}
    named = [column for column in columns if not all(map(is_number, values[column]))]
    found = []
    for column in columns:
        found.append(_curve(sheet, column, values[column], {}, base, seed, rounds))
        if column in named or not named or len(values[named[0]]) > MOST_VALUES:
            continue
        for value in values[named[0]]:
            inside = sheet.where(named[0], value)
            mask = inside if base is None else inside & base
            if mask.any():
                found.append(_curve(sheet, column, values[column], {named[0]: value}, mask, seed, rounds))
    return found


def _curve(
    sheet: Sheet,
    column: str,
    values: Sequence[Scalar],
    series: Mapping[str, Scalar],
    base: Mask | None,
    seed: int,
    rounds: int,
) -> Curve:
    masks = [(value, sheet.where(column, value)) for value in values]
    masks = [(value, mask if base is None else mask & base) for value, mask in masks]
    masks = [(value, mask) for value, mask in masks if mask.any()]
    kept = tuple(value for value, _ in masks)
    drawn = draw_parts(sheet, [Part(mask) for _, mask in masks], seed=seed, rounds=rounds)
    rate, share = trends(kept, drawn) if all(map(is_number, kept)) else (None, None)
    return Curve(column, dict(series), kept, tuple(drawn.counts), rate, share)


def trends(values: Sequence[Scalar], drawn: Drawn) -> tuple[Trend | None, Trend | None]:
    """Return how rate and share change with the values; None with fewer than two of them, or one prompt."""
    places = np.array([float(value) for value in values])
    if len(set(places.tolist())) < 2 or max(count.prompts for count in drawn.counts) < 2:
        return None, None
    pull = places - places.mean()
    pull /= (pull**2).sum()
    rates = np.array([count.rate.value for count in drawn.counts])
    shares = np.array([count.share.value for count in drawn.counts])
    return _trend(pull, rates, drawn.rates), _trend(pull, shares, drawn.shares)


def _trend(pull: Floats, values: Floats, draws: Floats) -> Trend:
    slope = float(pull @ values)
    # Column by column, so that no BLAS decides about the last bit.
    drawn = np.zeros(len(draws))
    for place, weight in enumerate(pull.tolist()):
        drawn += weight * draws[:, place]
    _, low, high = percentile_interval(drawn[:, None])
    return Trend(slope, float(low[0]), float(high[0]), two_sided(drawn, slope))


def figure_text(figure: Figure, *, percent: bool = False, digits: int = 3) -> str:
    """Return a figure with its interval: `0.121 [0.100, 0.150]`, `10.7 % [9.1, 12.4]`."""
    scale, places = (100.0, 1) if percent else (1.0, fewer_places(digits, figure.value, figure.high))
    unit = " %" if percent else ""
    said = f"{figure.value * scale:.{places}f}{unit}"
    if figure.low is None or figure.high is None:
        return said
    return f"{said} [{figure.low * scale:.{places}f}, {figure.high * scale:.{places}f}]"


def fewer_places(digits: int, *values: float | None) -> int:
    """Return how many digits stand behind the point where three figures are enough: `0.121`, `23.81`, `152.4`."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return max(0, digits - sum(largest >= power for power in (10, 100, 1000)))


def is_number(value: Any) -> bool:
    """Return whether a column's value can stand at an axis."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -_LARGEST < value < _LARGEST
