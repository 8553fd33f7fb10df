"""Answers as units of a result, and which of them each figure rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from watari.evals.jaster.figures import Scored
from watari.evals.jaster.metrics import CORRELATIONS, numbers
from watari.evals.jaster.ratio import Backend
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.spec import JasterSpec
from watari.evals.result import Unit


def units_of(spec: JasterSpec, answers: Answers, scored: Scored, backend: Backend) -> list[Unit]:
    """Return every answer to a dataset of the spec with its score and its weight in the overall figure.

    Items of a dataset that has a correlation only have no scores of their own and weigh nothing; their value is how near
    the number is to the gold one: 1 - |difference| / the widest difference of two golds, at least 0.
    """
    scores = scored.items[backend]
    there = {
        category: sum(f"{name}_{spec.datasets[name].metrics[0]}" in scores for name in names)
        for category, names in spec.categories.items()
    }
    present = sum(count > 0 for count in there.values())
    units: list[Unit] = []
    for dataset, rule in spec.datasets.items():
        column = answers.columns.get(dataset)
        if column is None or not column.items:
            continue
        category, metric = spec.category_of(dataset) or "", rule.metrics[0]
        found = scores.get(f"{dataset}_{metric}")
        if found is None and metric not in CORRELATIONS:
            continue  # nobody here can compute it
        weight = 0.0
        values = _nearness(column) if found is None else found.tolist()
        if found is not None and category:
            weight = 1.0 / (present * there[category] * len(values))
        reasons = column.reasons
        units += [
            Unit(item, dataset, category, 1, run, value, weight, reasons.get(place, ""), gold)
            for place, (item, run, value, gold) in enumerate(
                zip(column.items, column.runs, values, column.golds, strict=True)
            )
        ]
    return units


def groups_of(
    spec: JasterSpec, scored: Scored, units: Sequence[Unit], backend: Backend
) -> Mapping[str, Sequence[Unit]]:
    """Return, by figure, the units that it is the weighted mean of; correlations are left out."""
    strata: dict[str, list[Unit]] = {}
    for unit in units:
        strata.setdefault(unit.stratum, []).append(unit)
    groups: dict[str, Sequence[Unit]] = {spec.overall: [unit for unit in units if unit.weight]}
    for category, datasets in spec.categories.items():
        groups[category] = [unit for name in datasets for unit in strata.get(name, ()) if unit.weight]
    for name, dataset, metric in spec.dataset_figures():
        scores = scored.items[backend].get(name)
        if scores is None:
            continue
        group = strata.get(dataset, [])
        if metric != spec.datasets[dataset].metrics[0]:
            group = [replace(unit, value=score) for unit, score in zip(group, scores.tolist(), strict=True)]
        groups[name] = group
    return {name: group for name, group in groups.items() if group}


def _nearness(column: Column) -> list[float]:
    golds, preds = numbers(column.golds), numbers(column.preds)
    widest = float(np.ptp(golds)) or 1.0
    near: list[float] = np.clip(1 - np.abs(golds - preds) / widest, 0.0, 1.0).tolist()
    return near
