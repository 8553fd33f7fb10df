"""Pearson's and Spearman's correlation of two columns, and their bootstrap of pairs; what has none is NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from watari.stats.resampling import ROUNDS, draw_counts, percentile_interval

Floats = npt.NDArray[np.float64]


def pearson(one: Floats, other: Floats) -> float:
    """Return Pearson's r; NaN for fewer than two pairs, a constant column or a value that is not finite."""
    if len(one) < 2:
        return float("nan")
    x, y = _centred(one), _centred(other)
    length = float(x @ x) * float(y @ y)
    # Not where it is 0 nor where it is NaN.
    return max(-1.0, min(1.0, float(x @ y) / length**0.5)) if length > 0 else float("nan")


def spearman(one: Floats, other: Floats) -> float:
    """Return Spearman's rho: Pearson's r of the ranks, ties at the middle of theirs."""
    return pearson(ranks(one), ranks(other))


def ranks(column: Floats) -> Floats:
    """Return the rank of each value from 1, equal ones at the mean of theirs."""
    ordered = np.sort(column)
    below = ordered.searchsorted(column, "left")
    up_to = ordered.searchsorted(column, "right")
    return (below + up_to + 1) / 2


def pearson_rows(rows: Floats, others: Floats) -> Floats:
    """Return `pearson` of each row of the one with the row of the other, or with its only one."""
    if rows.shape[1] < 2:
        return np.full(len(rows), np.nan)
    x, y = _centred_rows(rows), _centred_rows(others)
    length = (x * x).sum(axis=1) * (y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip((x * y).sum(axis=1) / np.sqrt(length), -1.0, 1.0)
    return np.where(length > 0, r, np.nan)


def ranks_of_rows(rows: Floats) -> Floats:
    """Return `ranks` of each row."""
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    size = rows.shape[1]
    new = np.ones((len(rows), size + 1), bool)
    new[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
    places = np.arange(size + 1)
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)[:, :-1]
    end = np.minimum.accumulate(np.where(new, places, size)[:, :0:-1], axis=1)[:, ::-1]
    found = np.empty(rows.shape)
    np.put_along_axis(found, order, (first + end + 1) / 2, axis=1)
    return found


def bootstrap(
    one: Floats,
    other: Floats,
    *,
    ranked: bool,
    stratum: str,
    seed: int,
    rounds: int = ROUNDS,
    of: Callable[[Floats], Floats] = lambda values: values,
) -> tuple[float | None, float | None, float | None]:
    """Return (standard error, low, high) of a correlation, pairs drawn with replacement.

    Args:
        one, other: The columns, in the order of the items' names: so draws are the same for every model.
        ranked: Spearman's: each draw is ranked anew.
        stratum, seed, rounds: Of the draws, as in `evals.intervals`.
        of: What is made of the correlations of all draws, NaN among them, before anything is read off them.
    """
    size = len(one)
    if size < 2 or rounds < 2:
        return None, None, None
    correlate = _ranked if ranked else _plain
    drawn = np.concatenate(
        [correlate(counts, one, other) for counts in draw_counts(seed, stratum, size, rounds)]
    )
    drawn = of(drawn)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < 2:
        return None, None, None
    stderr, low, high = percentile_interval(drawn[:, None])
    return float(stderr[0]), float(low[0]), float(high[0])


def _centred(column: Floats) -> Floats:
    """Return the values less their mean, on a scale of their own: NaN if one is not finite, 0 if all are the same."""
    low, high = float(column.min()), float(column.max())
    largest = max(-low, high)
    if low == high:
        return np.zeros_like(column)  # the mean of equal values may be off by a rounding, and then r is noise
    if not math.isfinite(largest):
        return np.full_like(column, np.nan)
    scaled = column / largest  # squares of huge numbers would overflow
    centred: Floats = scaled - scaled.sum() / len(scaled)
    return centred


def _centred_rows(rows: Floats) -> Floats:
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    largest = np.maximum(-low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = rows / largest
        centred = scaled - scaled.sum(axis=1, keepdims=True) / rows.shape[1]
    found: Floats = np.where(low == high, 0.0, np.where(np.isfinite(largest), centred, np.nan))
    return found


def _plain(counts: Floats, one: Floats, other: Floats) -> Floats:
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.full(len(counts), np.nan)
    x, y = _centred(one), _centred(other)
    size = len(one)
    return _r(
        *(counts @ column for column in (x, y, x * x, y * y, x * y)),
        size=size,
    )


def _r(x: Floats, y: Floats, xx: Floats, yy: Floats, xy: Floats, *, size: int) -> Floats:
    """Return r of each draw from its sums."""
    across = xx - x * x / size
    down = yy - y * y / size
    # A draw of equal values only has no spread but a rounding error of it.
    flat = (across <= 1e-12 * np.maximum(xx, 1e-300)) | (down <= 1e-12 * np.maximum(yy, 1e-300))
    length = np.sqrt(np.where(flat, np.nan, across * down))
    r: Floats = np.clip((xy - x * y / size) / length, -1.0, 1.0)
    return r


def _ranked(counts: Floats, one: Floats, other: Floats) -> Floats:
    size = len(one)
    x, y = _drawn_ranks(counts, one), _drawn_ranks(counts, other)
    return _r(
        (counts * x).sum(axis=1),
        (counts * y).sum(axis=1),
        (counts * x * x).sum(axis=1),
        (counts * y * y).sum(axis=1),
        (counts * x * y).sum(axis=1),
        size=size,
    )


def _drawn_ranks(counts: Floats, column: Floats) -> Floats:
    """Return the rank of each item's value within each draw, less the middle rank: (draws, items)."""
    values, group = np.unique(column, return_inverse=True)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(len(values)))
    of_value = np.add.reduceat(counts[:, order], first, axis=1)
    up_to = np.cumsum(of_value, axis=1)
    middle = up_to - (of_value - 1) / 2
    placed: Floats = (middle - (len(column) + 1) / 2)[:, group]
    return placed
