"""Compare models: two of them in depth, or a table with groups that are not told apart.

Everything is paired: a hard question is hard for both, and falls out of the difference. Only what was asked of both
counts. Specs and judges are never mixed: judges agree on ranks, not on levels (facts/evaluation.md §3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from watari.errors import UserError
from watari.evals.comparability import check_comparable, notes_of, overall_of
from watari.evals.pairing import cells_of, common_only, counted, normalised, run_scores
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result, Unit
from watari.stats.paired import PairedDifference, paired_differences
from watari.stats.power import Power, power_of
from watari.stats.resampling import ROUNDS
from watari.stats.ties import LEVEL, apart_pairs, holm, letters

MOST = 400
"""Models of a table at most: their pairs grow with the square."""


@dataclass(frozen=True)
class Comparison:
    """Two models on what both were asked.

    Args:
        a, b: The models.
        spec, judge: Of both.
        means: Of A and B on the common part.
        difference: A minus B.
        n_units: Scores that it rests on, of both together.
        only_a, only_b: Items that only one of them was asked.
        unpaired: (item, turn)s asked of both that have no valid score of one.
        categories: The same for each category that has something in common.
        power: What would separate a difference of this size; None where nothing is known of the variance, or the
            questions are too few.
        notes: What a reader must be told.
    """

    a: str
    b: str
    spec: str
    judge: str | None
    means: tuple[float, float]
    difference: PairedDifference
    n_units: int
    only_a: int
    only_b: int
    unpaired: int
    categories: dict[str, PairedDifference]
    power: Power | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """A model's place in a table.

    Args:
        model: Its name.
        figure: Its overall figure.
        group: Letters; models that share one are not told apart.
        tied_with_best: Whether it is not told apart from the first.
        refused: Why its figure should not be believed; None otherwise.
    """

    model: str
    figure: Figure
    group: str
    tied_with_best: bool
    refused: str | None


@dataclass(frozen=True)
class RankedPair:
    """Two models of a table: A stands above B.

    Args:
        a, b: The models.
        difference: A minus B on what both were asked.
        p_holm: `difference.p_t` corrected for all pairs of the table.
        apart: Whether the two are told apart over all pairs at once.
    """

    a: str
    b: str
    difference: PairedDifference
    p_holm: float
    apart: bool


@dataclass(frozen=True)
class Ranking:
    """A table: models from the best down, and all pairs of them."""

    spec: str
    judge: str | None
    models: tuple[Ranked, ...]
    pairs: tuple[RankedPair, ...]
    level: float
    notes: tuple[str, ...] = ()


def compare(a: Result, b: Result, *, seed: int = 0, rounds: int = ROUNDS) -> Comparison:
    """Return the paired comparison of two models.

    Raises:
        UserError: if they are not on one scale, or have nothing in common.
    """
    check_comparable([a, b])
    strata = cells_of([a, b])
    items = [{(unit.stratum, unit.item) for unit in counted(result.units)} for result in (a, b)]
    only_a, only_b = len(items[0] - items[1]), len(items[1] - items[0])
    difference = _difference(a, b, seed, rounds)
    if difference is None:
        raise UserError(
            f"{a.model} and {b.model} have no scored question in common",
            "were they asked the same questions?",
        )
    common = {
        (stratum.name, *cell)
        for stratum in strata
        for cell, row in zip(stratum.cells, stratum.values, strict=True)
        if not any(math.isnan(value) for value in row)
    }
    asked = [{(unit.stratum, unit.item, unit.turn) for unit in counted(result.units)} for result in (a, b)]
    sides = [
        [
            unit
            for unit in counted(result.units)
            if (unit.stratum, unit.item, unit.turn) in common and unit.value is not None
        ]
        for result in (a, b)
    ]
    names = list(dict.fromkeys(unit.category for unit in counted(a.units)))
    parts = {
        name: _difference(a, b, seed, rounds, lambda unit, name=name: unit.category == name)  # type: ignore[misc]
        for name in names
        if name and len(names) > 1
    }
    mean_b = _mean_on(strata, 1)
    return Comparison(
        a.model,
        b.model,
        a.spec,
        a.judge,
        (mean_b + difference.value, mean_b),
        difference,
        sum(len(side) for side in sides),
        only_a,
        only_b,
        len((asked[0] & asked[1]) - common),
        {name: part for name, part in parts.items() if part is not None},
        None if difference.too_few else power_of(run_scores(a, b), difference.value),
        notes_of([a, b]),
    )


def rank(
    results: Sequence[Result],
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    level: float = LEVEL,
    limit: float | None = LIMIT,
) -> Ranking:
    """Return the table of some models, best first, with groups that are not told apart at a family-wise level.

    Pairs with too few questions in common are not told apart; a note says how many.

    Args:
        results: Of one spec and judge.
        seed, rounds: Of the bootstrap.
        level: Of all pairs at once.
        limit: Share of invalid units above which a model is refused; None: none is.

    Raises:
        UserError: if they are not on one scale, two of them have nothing in common, or there are more than `MOST`.
    """
    check_comparable(results)
    if len(results) > MOST:
        raise UserError(
            f"{len(results)} models are too many for a table of pairs", "choose some with --model"
        )
    best_first = sorted(results, key=lambda result: (-(overall_of(result).value or 0.0), result.model))
    pairs = _pairs(best_first, seed, rounds)
    order = list(pairs)
    p_values = [_p(pairs[pair]) for pair in order]
    apart = apart_pairs(dict(zip(order, p_values, strict=True)), level=level)
    adjusted = holm(p_values)
    groups = letters(len(best_first), apart)
    return Ranking(
        best_first[0].spec,
        best_first[0].judge,
        tuple(
            Ranked(result.model, overall_of(result), group, (0, place) not in apart, _refused(result, limit))
            for place, (result, group) in enumerate(zip(best_first, groups, strict=True))
        ),
        tuple(
            RankedPair(
                best_first[one].model, best_first[other].model, pairs[one, other], p, (one, other) in apart
            )
            for (one, other), p in zip(order, adjusted, strict=True)
        ),
        level,
        (*notes_of(best_first), *_too_few(pairs.values())),
    )


def _refused(result: Result, limit: float | None) -> str | None:
    return None if limit is None else refusal(result, limit)


def _too_few(pairs: Collection[PairedDifference]) -> list[str]:
    few = sum(pair.too_few for pair in pairs)
    return [f"too few questions in common to tell {few:,} of {len(pairs):,} pairs apart"] if few else []


def tied_letters(results: Sequence[Result], *, seed: int = 0, level: float = LEVEL) -> dict[str, str]:
    """Return, by model, the letters of its groups: two that share one are not told apart.

    Only p values are needed, so nothing is drawn; they are those of `rank`.
    """
    table = rank(results, seed=seed, rounds=2, level=level)
    return {model.model: model.group for model in table.models}


def _p(difference: PairedDifference) -> float:
    return 1.0 if difference.p_t is None else difference.p_t


def _difference(
    a: Result, b: Result, seed: int, rounds: int, wanted: Callable[[Unit], bool] = lambda unit: True
) -> PairedDifference | None:
    strata = [
        common
        for stratum in cells_of([a, b], wanted)
        if (common := common_only(stratum.against(0, [1]))) is not None
    ]
    return paired_differences(normalised(strata), seed=seed, rounds=rounds)[0] if strata else None


def _pairs(results: Sequence[Result], seed: int, rounds: int) -> dict[tuple[int, int], PairedDifference]:
    """Return the difference of every two models, one against all that stand below it at a time."""
    strata = cells_of(results)
    found = {}
    for one in range(len(results) - 1):
        others = list(range(one + 1, len(results)))
        paired = normalised([stratum.against(one, others) for stratum in strata])
        for place, other in enumerate(others):
            if not any(stratum.weights[:, place].any() for stratum in paired):
                raise UserError(
                    f"{results[one].model} and {results[other].model} have no scored question in common",
                    "were they asked the same questions?",
                )
        for other, difference in zip(
            others, paired_differences(paired, seed=seed, rounds=rounds, flips=0), strict=True
        ):
            found[one, other] = difference
    return found


def _mean_on(strata: Sequence[Any], model: int) -> float:
    """Return a model's mean on what both have, weighted as the difference is."""
    parts = []
    for stratum in strata:
        paired = stratum.against(0, [1])
        if paired.weights.any():
            rows = [
                (weight, values[model])
                for values, weight in zip(stratum.values, stratum.weights.mean(axis=1), strict=True)
                if not any(math.isnan(value) for value in values)
            ]
            whole = math.fsum(weight for weight, _ in rows)
            parts.append((float(paired.shares[0]), math.fsum(w * v for w, v in rows) / whole))
    total = math.fsum(share for share, _ in parts)
    return math.fsum(share * mean for share, mean in parts) / total
