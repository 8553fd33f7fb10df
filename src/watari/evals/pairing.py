"""What models have in common: the same question, the same turn, scored for both.

A cell is (stratum, item, turn). Its score is the mean over runs, so that models with different numbers of runs can be
compared. A cell that is invalid for one of two models is left out for both: a mean of easy first turns is not set against
one of both turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from watari.evals.result import Result, Unit
from watari.stats.paired import PairedStratum
from watari.stats.power import PowerStratum
from watari.stats.resampling import Floats

Cell = tuple[str, int]
"""(item, turn) within a stratum."""


@dataclass(frozen=True)
class CellStratum:
    """The cells of one stratum, sorted; a column a model.

    Args:
        name: The stratum.
        cells: (item, turn) of each row.
        values: Mean over runs; NaN where there is nothing valid.
        weights: Mean weight of the units; 0 likewise.
        shares: Of the stratum in each model's whole: (models,).
    """

    name: str
    cells: tuple[Cell, ...]
    values: Floats
    weights: Floats
    shares: Floats

    def starts(self) -> list[int]:
        """Return the row at which each item begins."""
        items = [item for item, _ in self.cells]
        return [place for place in range(len(items)) if not place or items[place] != items[place - 1]]

    def against(self, one: int, others: Sequence[int]) -> PairedStratum:
        """Return the differences of one model and others, item by item."""
        mine, theirs = self.values[:, [one]], self.values[:, others]
        common = np.isfinite(mine) & np.isfinite(theirs)
        weights = np.where(common, (self.weights[:, [one]] + self.weights[:, others]) / 2, 0.0)
        differences = np.where(common, mine - theirs, 0.0)
        starts = self.starts()
        sums = np.add.reduceat(weights, starts, axis=0)
        tops = np.add.reduceat(weights * differences, starts, axis=0)
        means = np.divide(tops, sums, out=np.zeros_like(tops), where=sums > 0)
        shares = np.where(sums.any(axis=0), (self.shares[one] + self.shares[others]) / 2, 0.0)
        return PairedStratum(self.name, means, sums, shares)


def counted(units: Iterable[Unit]) -> list[Unit]:
    """Return the units that an overall figure rests on; all of them, where none has a weight."""
    units = list(units)
    return [unit for unit in units if unit.weight > 0] or units


def cells_of(
    results: Sequence[Result], wanted: Callable[[Unit], bool] = lambda unit: True
) -> list[CellStratum]:
    """Return the cells of some models by stratum, sorted; with `wanted`, of a part of the units."""
    sums: dict[str, dict[Cell, dict[int, tuple[list[float], list[float]]]]] = {}
    shares: dict[str, list[float]] = {}
    for model, result in enumerate(results):
        weights: dict[str, list[float]] = {}
        for unit in counted(unit for unit in result.units if wanted(unit)):
            weight = unit.weight if unit.weight > 0 else 1.0
            cells = sums.setdefault(unit.stratum, {})
            cell = cells.setdefault((unit.item, unit.turn), {})
            if unit.value is not None:
                values = cell.setdefault(model, ([], []))
                values[0].append(unit.value)
                values[1].append(weight)
                weights.setdefault(unit.stratum, []).append(weight)
        whole = math.fsum(weight for part in weights.values() for weight in part)
        for name, part in weights.items():
            shares.setdefault(name, [0.0] * len(results))[model] = math.fsum(part) / whole
    return [_stratum(name, sums[name], shares.get(name), len(results)) for name in sorted(sums)]


def _stratum(
    name: str,
    cells: dict[Cell, dict[int, tuple[list[float], list[float]]]],
    shares: list[float] | None,
    models: int,
) -> CellStratum:
    keys = sorted(cells)
    values = np.full((len(keys), models), np.nan)
    weights = np.zeros((len(keys), models))
    for row, key in enumerate(keys):
        for model, (scores, own) in cells[key].items():
            values[row, model] = math.fsum(scores) / len(scores)
            weights[row, model] = math.fsum(own) / len(own)
    return CellStratum(name, tuple(keys), values, weights, np.array(shares or [0.0] * models))


def normalised(strata: Sequence[PairedStratum]) -> list[PairedStratum]:
    """Return the strata with shares that sum to 1 for each pair, over the strata that it has in common."""
    total = np.sum([stratum.shares for stratum in strata], axis=0)
    safe = np.where(total > 0, total, 1.0)
    return [
        PairedStratum(stratum.name, stratum.differences, stratum.weights, stratum.shares / safe)
        for stratum in strata
    ]


def common_only(stratum: PairedStratum) -> PairedStratum | None:
    """Return a stratum of one pair without the items that it has not in common; None if none is left."""
    rows = stratum.weights[:, 0] > 0
    if not rows.any():
        return None
    return PairedStratum(stratum.name, stratum.differences[rows], stratum.weights[rows], stratum.shares)


def run_scores(a: Result, b: Result) -> list[PowerStratum]:
    """Return two models' scores of their common items, run by run: what a question scores in a run is the mean of its
    turns, of those that both have."""
    both = cells_of([a, b])
    found = []
    for stratum in both:
        common = [not any(math.isnan(value) for value in row) for row in stratum.values]
        cells = {cell for cell, wanted in zip(stratum.cells, common, strict=True) if wanted}
        if not cells:
            continue
        items = {item: row for row, item in enumerate(sorted({item for item, _ in cells}))}
        weights = np.zeros(len(items))
        for cell, weight in zip(stratum.cells, stratum.weights.mean(axis=1), strict=True):
            if cell in cells:
                weights[items[cell[0]]] += weight
        sides = [_by_run(result, stratum.name, cells, items) for result in (a, b)]
        found.append(PowerStratum(sides[0], sides[1], weights, float(stratum.shares.mean())))
    total = math.fsum(stratum.share for stratum in found)
    return [PowerStratum(s.a, s.b, s.weights, s.share / total) for s in found] if total else []


def _by_run(result: Result, stratum: str, cells: set[Cell], items: dict[str, int]) -> Floats:
    units = [
        unit
        for unit in counted(result.units)
        if unit.stratum == stratum and unit.value is not None and (unit.item, unit.turn) in cells
    ]
    runs = {run: column for column, run in enumerate(sorted({unit.run for unit in units}))}
    tops, bottoms = np.zeros((len(items), len(runs))), np.zeros((len(items), len(runs)))
    for unit in units:
        weight = unit.weight if unit.weight > 0 else 1.0
        assert unit.value is not None
        tops[items[unit.item], runs[unit.run]] += weight * unit.value
        bottoms[items[unit.item], runs[unit.run]] += weight
    scores: Floats = np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms > 0)
    return scores
