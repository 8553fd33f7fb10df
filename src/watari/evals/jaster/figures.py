"""The figures of llm-jp-eval, by a spec's own rule: items to datasets to categories to one number.

Means of items and of datasets are exact and rounded once, the mean of the categories is a sum of plain floats: so published
figures come out at every decimal (exact ones throughout flip half-way cases at the fourth).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress
from operator import eq
from typing import NamedTuple

import numpy as np

from watari.evals.jaster.correlation import Floats, pearson_rows, ranks_of_rows
from watari.evals.jaster.metrics import (
    CORRELATIONS,
    exact_mean,
    item_metric,
    numbers,
    or_zero,
    plain_mean,
)
from watari.evals.jaster.ratio import Backend, Places, ratios_between
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.rows import Ints
from watari.evals.jaster.spec import JasterSpec, Metric

_HUNDREDTHS = np.arange(101) / 100
_SHIFT, _LIMB = 60, 30
# The same as integers over 2 ** _SHIFT, which they are exactly; in two halves, so that no sum is too large.
_NUMERATORS = [int(math.ldexp(value, _SHIFT)) for value in _HUNDREDTHS.tolist()]
_HIGH = np.array([numerator >> _LIMB for numerator in _NUMERATORS])
_LOW = np.array([numerator & (1 << _LIMB) - 1 for numerator in _NUMERATORS])


@dataclass(frozen=True)
class Scored:
    """What one model's answers are worth.

    Args:
        items: By backend and figure of a dataset, the score of each item in the column's order; none of correlations.
        figures: By backend, every figure, in the order of the spec; means over runs, where there are several.
        by_run: The same of each run, in the order of their numbers.
        undefined: Correlations that do not exist (a constant column) and count as 0.
    """

    items: dict[Backend, dict[str, Floats]] = field(default_factory=dict)
    figures: dict[Backend, dict[str, float]] = field(default_factory=dict)
    by_run: dict[Backend, list[dict[str, float]]] = field(default_factory=dict)
    undefined: list[str] = field(default_factory=list)


class _Part(NamedTuple):
    """One dataset's answers of one model, of which a figure is made."""

    scored: Scored
    name: str
    column: Column
    runs: Sequence[int]

    def put(self, backend: Backend, values: Floats, mean: float) -> None:
        """Put the items' scores and their mean where they belong; `mean` is that of all runs."""
        self.scored.items[backend][self.name] = values
        by_run = self.scored.by_run[backend]
        if len(self.runs) == 1:
            by_run[0][self.name] = mean
            return
        for run, figures in zip(self.runs, by_run, strict=True):
            mine = [of == run for of in self.column.runs]
            if any(mine):
                figures[self.name] = exact_mean(list(compress(values.tolist(), mine)))


def score(spec: JasterSpec, answers: Sequence[Answers], backends: Sequence[Backend]) -> list[Scored]:
    """Return what the answers of each model are worth, all models at once: equal answers are compared once.

    Args:
        spec: The spec; datasets that it does not know are passed over.
        answers: Of each model.
        backends: String ratios to use for char_f1.
    """
    scored = []
    parts: dict[tuple[Metric, str], list[_Part]] = {}
    figures, order = list(spec.dataset_figures()), in_order(spec)
    for of in answers:
        runs = _runs(spec, of)
        one = Scored({b: {} for b in backends}, {}, {b: [{} for _ in runs] for b in backends})
        scored.append(one)
        for name, dataset, metric in figures:
            column = of.columns.get(dataset)
            if column is not None and column.items:
                # Correlations are of whole columns: of one dataset at a time.
                key = metric, dataset if metric in CORRELATIONS else ""
                parts.setdefault(key, []).append(_Part(one, name, column, runs))
    for (metric, _), some in parts.items():
        if metric == "char_f1":
            _char_f1(some, backends)
        elif metric == "exact_match":
            _exact_match(some, backends)
        elif metric in CORRELATIONS:
            _correlate(some, backends, ranked=metric == "spearman")
        elif (function := item_metric(metric)) is not None:
            for part in some:
                values = list(function(part.column.preds, part.column.golds))
                for backend in backends:
                    part.put(backend, np.array(values, np.float64), exact_mean(values))
    for one in scored:
        for backend, by_run in one.by_run.items():
            by_run[:] = [_whole(spec, means, order) for means in by_run]
            one.figures[backend] = by_run[0] if len(by_run) == 1 else _over_runs(by_run)
    return scored


def in_order(spec: JasterSpec) -> list[str]:
    """Return the names of all figures: the overall one, categories, datasets."""
    return [spec.overall, *spec.categories, *(name for name, _, _ in spec.dataset_figures())]


def _exact_match(parts: Sequence[_Part], backends: Sequence[Backend]) -> None:
    ends = _ends(parts)
    preds = chain.from_iterable(part.column.preds for part in parts)
    golds = chain.from_iterable(part.column.golds for part in parts)
    values = np.fromiter(map(eq, preds, golds), bool, ends[-1]).astype(np.float64)
    for part, mine in zip(parts, _split(values, ends), strict=True):
        mean = np.count_nonzero(mine) / len(mine)
        for backend in backends:
            part.put(backend, mine, mean)


def _char_f1(parts: Sequence[_Part], backends: Sequence[Backend]) -> None:
    ends, places = _ends(parts), Places()
    left = places.of(list(chain.from_iterable(part.column.preds for part in parts)))
    known: dict[str, tuple[Sequence[str], Ints]] = {}
    right = []
    for part in parts:  # most models have answered the same items
        golds, found = known.get(part.name, ((), None))
        if found is None or golds != part.column.golds:
            found = places.of(part.column.golds)
            known[part.name] = part.column.golds, found
        right.append(found)
    for backend, ratios in ratios_between(list(places), left, np.concatenate(right), backends).items():
        starts = [0, *ends[:-1]]
        high = np.add.reduceat(_HIGH[ratios], starts).tolist()
        low = np.add.reduceat(_LOW[ratios], starts).tolist()
        columns = _split(_HUNDREDTHS[ratios], ends)
        for part, mine, most, rest in zip(parts, columns, high, low, strict=True):
            part.put(backend, mine, ((most << _LIMB) + rest) / (len(mine) << _SHIFT))


def _ends(parts: Iterable[_Part]) -> list[int]:
    return list(accumulate(len(part.column.items) for part in parts))


def _split(values: Floats, ends: Sequence[int]) -> list[Floats]:
    return [values[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _correlate(parts: Sequence[_Part], backends: Sequence[Backend], *, ranked: bool) -> None:
    """Put the correlation of each model's column, or of each run's part of it, into its figures."""
    alike: list[tuple[Sequence[str], list[tuple[_Part, int, Sequence[str]]]]] = []
    for part in parts:
        for place, run in enumerate(part.runs):
            golds: Sequence[str] = part.column.golds
            preds: Sequence[str] = part.column.preds
            if len(part.runs) > 1:
                mine = [of == run for of in part.column.runs]
                golds, preds = list(compress(golds, mine)), list(compress(preds, mine))
            if not golds:
                continue
            if not alike or alike[-1][0] != golds:  # most models have answered the same items
                alike.append((golds, []))
            alike[-1][1].append((part, place, preds))
    prepare: Callable[[Floats], Floats] = ranks_of_rows if ranked else np.asarray
    for right, some in alike:
        given = numbers(list(chain.from_iterable(preds for _, _, preds in some))).reshape(len(some), -1)
        found = pearson_rows(prepare(given), prepare(numbers(right)[None]))
        for (part, place, _), value in zip(some, found.tolist(), strict=True):
            if value != value and part.name not in part.scored.undefined:
                part.scored.undefined.append(part.name)
            for backend in backends:
                part.scored.by_run[backend][place][part.name] = or_zero(value)


def _runs(spec: JasterSpec, answers: Answers) -> list[int]:
    """Return the numbers of the runs that there are answers of."""
    found: set[int] = set()
    for name, column in answers.columns.items():
        if name in spec.datasets and column.runs:
            first = column.runs[0]
            found.update((first,) if column.runs.count(first) == len(column.runs) else column.runs)
    return sorted(found) or [0]


def _whole(spec: JasterSpec, means: Mapping[str, float], order: Sequence[str]) -> dict[str, float]:
    """Return all figures of one run from those of its datasets."""
    categories: dict[str, float] = {}
    for category, datasets in spec.categories.items():
        counted = [
            means[name]
            for dataset in datasets
            if (name := f"{dataset}_{spec.datasets[dataset].metrics[0]}") in means
        ]
        if counted:
            categories[category] = exact_mean(counted)
        elif spec.missing_category == "zero":
            categories[category] = 0.0
    added = [categories[name] for name in spec.sum_order or spec.categories if name in categories]
    whole = {spec.overall: plain_mean(added)} | categories if added else categories
    found = {**whole, **means}
    return {name: found[name] for name in order if name in found}


def _over_runs(by_run: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for figures in by_run for name in figures)
    return {name: plain_mean([figures[name] for figures in by_run if name in figures]) for name in names}
