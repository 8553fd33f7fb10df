"""How the harness makes a figure out of its samples, for the rules that need nothing but the samples' own numbers.

The same sums in the same order as lm_eval/api/metrics.py, so that a figure comes out to the last bits. BLEU, chrF, F1,
Matthews and functions of a task's own are not done again: their figures are taken as printed, and marked so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PAIRS = ("word_perplexity", "byte_perplexity", "bits_per_byte")
_CORRELATIONS = ("pearson", "spearman")


def rule_of(metric: str, named: str | None) -> str | None:
    """Return which rule aggregates a metric: what its task says, else the harness's default; None: one not done here."""
    if metric in _CORRELATIONS and "called.correlation" in (named or ""):
        return metric
    if named:
        return named if named in RULES else None
    if metric in _PAIRS:
        return "bits_per_byte" if metric == "bits_per_byte" else "weighted_perplexity"
    if metric == "perplexity":
        return "perplexity"
    return None if metric in _NOT_MEANS else "mean"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _weighted(values: Sequence[tuple[float, float]]) -> float:
    return sum(top for top, _ in values) / sum(bottom for _, bottom in values)


def _correlation(name: str) -> Callable[[Sequence[tuple[float, float]]], float]:
    def of(values: Sequence[tuple[float, float]]) -> float:
        from watari.evals.harness.called import correlation

        return correlation(name, values)

    return of


RULES: Mapping[str, Callable[[Sequence[Any]], float]] = {
    "mean": _mean,
    "median": _median,
    "perplexity": lambda values: math.exp(-_mean(values)),
    "weighted_perplexity": lambda values: math.exp(-_weighted(values)),
    "bits_per_byte": lambda values: -_weighted(values) / math.log(2),
    **{name: _correlation(name) for name in _CORRELATIONS},
}
"""By the harness's name of the aggregation; correlations are those of our own tasks."""

_NOT_MEANS = frozenset(
    {"f1", "mcc", "bleu", "chrf", "chrf++", "ter", "brier_score", "acc_all", "likelihood_diff"}
)
"""Metrics whose aggregation, where the task names none, is none of `RULES`."""


def aggregate(rule: str, values: Sequence[Any]) -> float | None:
    """Return what a rule makes of the samples' values; None where they are not of its form, or there are none."""
    pairs = rule in ("weighted_perplexity", "bits_per_byte", *_CORRELATIONS)
    plain = [_pair(value) if pairs else number_of(value) for value in values]
    if not plain or any(value is None for value in plain):
        return None
    try:
        return float(RULES[rule](plain))
    except (ZeroDivisionError, OverflowError):
        return None


def number_of(value: Any) -> float | None:
    """Return a finite number; true and false are 1 and 0; None for anything else."""
    if not isinstance(value, bool | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _pair(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    top, bottom = number_of(value[0]), number_of(value[1])
    return None if top is None or bottom is None else (top, bottom)
