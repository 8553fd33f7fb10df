"""Axes of charts: round numbers to stand at them, even and logarithmic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10


@dataclass(frozen=True)
class Scale:
    """An axis.

    Args:
        low, high: Its ends.
        marks: The numbers that stand at it, all within its ends.
        share: Returns how far along a value lies: 0 at `low`, 1 at `high`; values beyond an end are put there.
    """

    low: float
    high: float
    marks: list[float]
    share: Callable[[float], float]


def even(low: float, high: float, count: int, *, floored: bool = False, exact: bool = False) -> Scale:
    """Return an even axis with about `count` numbers.

    Args:
        low, high: What it shows; it ends at round numbers at or beyond them.
        count: About how many numbers stand at it.
        floored: Begin at `low` itself.
        exact: Begin and end at `low` and `high` themselves.
    """
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    marks = ticks(low, high, count)
    low = low if floored or exact else min(low, marks[0])
    high = high if exact else max(high, marks[-1])
    span = high - low
    # An end that was computed may miss its round number by a hair.
    inside = [mark for mark in marks if low - 1e-9 * span <= mark <= high + 1e-9 * span]
    return Scale(low, high, inside, lambda value: min(1.0, max(0.0, (value - low) / span)))


def logarithmic(low: float, high: float, count: int) -> Scale:
    """Return a logarithmic axis from `low` to `high` with up to about `count` numbers; both ends above 0.

    Raises:
        ValueError: if `low` is not above 0.
    """
    if low <= 0:
        raise ValueError(f"no logarithmic axis from {low}")
    low, high = (low / 2, high * 2) if high < low * (1 + 1e-6) else (low, high)
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    marks: list[float] = []
    for steps in ((1, 2, 5), (1, 3), (1,)):
        marks = [float(f"{m}e{power}") for power in decades for m in steps]
        marks = [mark for mark in marks if low <= mark <= high]
        if len(marks) <= count + 1:
            break
    if len(marks) > count + 1:
        marks = marks[:: ceil(len(marks) / count)]
    if len(marks) < 2:
        marks = [mark for mark in ticks(low, high, 2) if low <= mark <= high]
    start, span = log10(low), log10(high) - log10(low)

    def share(value: float) -> float:
        return min(1.0, max(0.0, (log10(value) - start) / span)) if value > 0 else 0.0

    return Scale(low, high, marks, share)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten) from at or below `low` to at or above `high`.

    Raises:
        ValueError: if an end is not finite.
    """
    if not (isfinite(low) and isfinite(high)):
        raise ValueError(f"no axis from {low} to {high}")
    span = (high - low) or abs(high) or 1.0
    rough = span / max(1, count)
    power = 10.0 ** floor(log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5) if m * power >= rough * 0.999), 10 * power)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    # Rounded by their digits, not their decimals: rates of 1e-12 are numbers too.
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]
