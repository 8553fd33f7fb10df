"""The figures of llm-jp-eval, by a spec's own rule: items to datasets to categories to one number.

Means of items and of datasets are exact and rounded once, the mean of the categories is a sum of plain floats: so published
figures come out at every decimal (exact ones throughout flip half-way cases at the fourth).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

from watari.evals.jaster.correlation import Floats, pearson, ranks
from watari.evals.jaster.metrics import (
    CORRELATIONS,
    exact_mean,
    item_metric,
    numbers,
    or_zero,
    plain_mean,
)
from watari.evals.jaster.ratio import Backend, token_sort_ratios
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.spec import JasterSpec, Metric

_HUNDREDTHS = [value / 100 for value in range(101)]


@dataclass(frozen=True)
class Scored:
    """What one model's answers are worth.

    Args:
        items: By backend and figure of a dataset, the score of each item in the column's order; none of correlations.
        figures: By backend, every figure, in the order of the spec; means over runs, where there are several.
        by_run: The same of each run, in the order of their numbers.
        undefined: Correlations that do not exist (a constant column) and count as 0.
    """

    items: dict[Backend, dict[str, list[float]]] = field(default_factory=dict)
    figures: dict[Backend, dict[str, float]] = field(default_factory=dict)
    by_run: dict[Backend, list[dict[str, float]]] = field(default_factory=dict)
    undefined: list[str] = field(default_factory=list)


def score(spec: JasterSpec, answers: Sequence[Answers], backends: Sequence[Backend]) -> list[Scored]:
    """Return what the answers of each model are worth, all models at once: equal answers are compared once.

    Args:
        spec: The spec; datasets that it does not know are passed over.
        answers: Of each model.
        backends: String ratios to use for char_f1.
    """
    scored = [Scored({b: {} for b in backends}, {b: {} for b in backends}) for _ in answers]
    figures, order = list(spec.dataset_figures()), in_order(spec)
    _char_f1(figures, answers, backends, scored)
    gold_columns = _Golds()
    for one, of in zip(scored, answers, strict=True):
        runs = _runs(spec, of)
        shared: list[dict[str, float]] = [{} for _ in runs]
        for name, dataset, metric in figures:
            column = of.columns.get(dataset)
            if column is None or not column.items or metric == "char_f1":
                continue
            if metric in CORRELATIONS:
                _correlate(name, metric, column, gold_columns, runs, shared, one)
            elif (function := item_metric(metric)) is not None:
                values = list(function(column.preds, column.golds))
                for backend in backends:
                    one.items[backend][name] = values
                _mean(name, column, values, runs, shared)
        for backend in backends:
            by_run = [dict(means) for means in shared]
            for name, dataset, metric in figures:
                if metric == "char_f1" and name in one.items[backend]:
                    _mean(name, of.columns[dataset], one.items[backend][name], runs, by_run)
            whole = one.by_run[backend] = [_whole(spec, means, order) for means in by_run]
            one.figures[backend] = whole[0] if len(whole) == 1 else _over_runs(whole)
    return scored


def in_order(spec: JasterSpec) -> list[str]:
    """Return the names of all figures: the overall one, categories, datasets."""
    return [spec.overall, *spec.categories, *(name for name, _, _ in spec.dataset_figures())]


def _char_f1(
    figures: Sequence[tuple[str, str, Metric]],
    answers: Sequence[Answers],
    backends: Sequence[Backend],
    scored: Sequence[Scored],
) -> None:
    wanted = [
        (one, name, column)
        for one, of in zip(scored, answers, strict=True)
        for name, dataset, metric in figures
        if metric == "char_f1" and (column := of.columns.get(dataset)) is not None and column.items
    ]
    preds = [pred for _, _, column in wanted for pred in column.preds]
    golds = [gold for _, _, column in wanted for gold in column.golds]
    for backend, ratios in token_sort_ratios(preds, golds, backends).items():
        values = list(map(_HUNDREDTHS.__getitem__, ratios.tolist()))
        start = 0
        for one, name, column in wanted:
            end = start + len(column.items)
            one.items[backend][name] = values[start:end]
            start = end


class _Golds(dict[tuple[str, ...], tuple[Floats, Floats]]):
    """Numbers and ranks of a column of gold answers, which all models of a file share."""

    def __missing__(self, golds: tuple[str, ...]) -> tuple[Floats, Floats]:
        column = numbers(golds)
        found = self[golds] = (column, ranks(column))
        return found


def _correlate(
    name: str,
    metric: Metric,
    column: Column,
    gold_columns: _Golds,
    runs: Sequence[int],
    by_run: Sequence[dict[str, float]],
    one: Scored,
) -> None:
    for run, means in zip(runs, by_run, strict=True):
        golds, preds = column.golds, column.preds
        if len(runs) > 1:
            mine = [of == run for of in column.runs]
            golds, preds = list(compress(golds, mine)), list(compress(preds, mine))
        if not golds:
            continue
        right, ranked = gold_columns[tuple(golds)]
        given = numbers(preds)
        found = pearson(ranked, ranks(given)) if metric == "spearman" else pearson(right, given)
        if found != found and name not in one.undefined:
            one.undefined.append(name)
        means[name] = or_zero(found)


def _mean(
    name: str,
    column: Column,
    values: Sequence[float],
    runs: Sequence[int],
    by_run: Sequence[dict[str, float]],
) -> None:
    """Put the mean of each run's items into its figures."""
    if len(runs) == 1:
        by_run[0][name] = exact_mean(values)
        return
    for run, means in zip(runs, by_run, strict=True):
        if mine := [value for value, of in zip(values, column.runs, strict=True) if of == run]:
            means[name] = exact_mean(mine)


def _runs(spec: JasterSpec, answers: Answers) -> list[int]:
    """Return the numbers of the runs that there are answers of."""
    there = (column.runs for name, column in answers.columns.items() if name in spec.datasets)
    return sorted(set().union(*there)) or [0]


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
