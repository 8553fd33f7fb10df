"""From ratings to units and figures: which rating counts for what, and the spec's own mean of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from watari.evals.mtbench.rows import Rating
from watari.evals.mtbench.spec import InvalidPolicy, MTBenchSpec
from watari.evals.result import Result, Unit
from watari.judge.rating import rating_of, why_unreadable

OVERALL = "overall"
OTHER = "other"
"""The category of questions that no set knows."""

UNREADABLE = -1.0
"""FastChat's number for a rating that it could not read."""

_TAKEN = (OVERALL, "win_rate", "loss_rate", "win_rate_adjusted")

Part = tuple[str, tuple[Unit, ...], float | None]
"""What a figure is made of: its name, its units on the spec's scale, its value."""


@dataclass(frozen=True)
class Asked:
    """Which questions there are, where something says so: a question file, or an evaluation folder.

    Args:
        questions: Category by id; empty: only the spec's sets say.
        name: What people call it.
    """

    questions: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


def category_of(spec: MTBenchSpec, asked: Asked, question: str, stated: str) -> str:
    """Return a question's category: as the question file says it, else the row itself, else the range of its id."""
    name = asked.questions.get(question) or stated or spec.category_of(question) or OTHER
    # A category must not be taken for a figure of another kind.
    return f"{name} (category)" if name in _TAKEN or re.search(r"\bturn \d+$", name) else name


def unit_of(spec: MTBenchSpec, policy: InvalidPolicy, one: Rating, category: str) -> Unit:
    """Return a rating as a unit, on the judge's own scale.

    With `as-is` an unreadable rating is worth -1 and one off the scale what it says; both keep their reason.
    """
    score = one.score
    if score is None and not one.stored and one.text is not None:
        score = rating_of(spec.rating, one.text)
    lowest, highest = spec.ratings
    value: float | None
    if score is None or score == UNREADABLE:
        value, reason = UNREADABLE, one.problem or _why(spec, one)
    elif lowest <= score <= highest:
        return Unit(one.question, "", category, one.turn or 1, one.run, float(score))
    else:
        value, reason = float(score), f"outside of {lowest:g} to {highest:g}"
    return Unit(
        one.question, "", category, one.turn or 1, one.run, value if policy == "as-is" else None, 1.0, reason
    )


def parts_of(spec: MTBenchSpec, units: Sequence[Unit]) -> list[Part]:
    """Return what each figure is made of, in the order of tables: overall, turns, categories, categories by turn."""
    found = []
    for name, keep in _wanted(spec, units):
        kept = [unit for unit in units if keep(unit)]
        found.append((name, on_scale(spec, kept), mean_of(spec, kept)))
    return found


def on_scale(spec: MTBenchSpec, units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Return units on the spec's scale, with weights by which their weighted mean is the spec's mean.

    `rows`: all weigh the same; `runs`: each run weighs the same.
    """
    valid = Counter(unit.run for unit in units if unit.value is not None)
    weights = {run: 1.0 if spec.aggregation == "rows" else 1 / (n * len(valid)) for run, n in valid.items()}
    if spec.divide == 1 and spec.aggregation == "rows":
        return tuple(units)
    return tuple(
        Unit(
            unit.item,
            unit.stratum,
            unit.category,
            unit.turn,
            unit.run,
            None if unit.value is None else unit.value / spec.divide,
            weights.get(unit.run, 1.0),
            unit.reason,
        )
        for unit in units
    )


def mean_of(spec: MTBenchSpec, units: Sequence[Unit]) -> float | None:
    """Return the spec's mean of units on the judge's scale, on the spec's; None where none is valid."""
    runs: dict[int, list[float]] = {}
    for unit in units:
        if unit.value is not None:
            runs.setdefault(unit.run if spec.aggregation == "runs" else 0, []).append(unit.value)
    means = [sum(values) / len(values) for _, values in sorted(runs.items())]
    return sum(means) / len(means) / spec.divide if means else None


def split_names(result: Result) -> tuple[dict[int, str], list[str], dict[str, dict[int, str]]]:
    """Return the names of a result's figures: of turns, of categories, and of each category by turn."""
    seen = sorted({unit.turn for unit in result.units})
    turns = {turn: f"turn {turn}" for turn in seen if f"turn {turn}" in result.figures}
    present = {unit.category for unit in result.units}
    categories = [name for name in result.figures if name in present]
    both = {
        category: {turn: name for turn in seen if (name := f"{category} turn {turn}") in result.figures}
        for category in categories
    }
    return turns, categories, both


def _why(spec: MTBenchSpec, one: Rating) -> str:
    if one.text is None or rating_of(spec.rating, one.text) is not None:
        return "stored without a rating"
    return why_unreadable(one.text)


def _wanted(spec: MTBenchSpec, units: Sequence[Unit]) -> list[tuple[str, Callable[[Unit], bool]]]:
    """Return the figures that there are: name, and which units belong to it."""
    turns = sorted({unit.turn for unit in units})
    present = dict.fromkeys(unit.category for unit in units)
    categories = [name for name in spec.categories if name in present]
    categories += [name for name in present if name not in (*spec.categories, OTHER)]
    categories += [OTHER] if OTHER in present else []
    pairs = {(unit.category, unit.turn) for unit in units}
    return [
        (OVERALL, lambda unit: True),
        *((f"turn {turn}", _in_turn(turn)) for turn in turns),
        *((name, _in_category(name)) for name in categories),
        *(
            (f"{name} turn {turn}", _in_both(name, turn))
            for name in categories
            for turn in turns
            if (name, turn) in pairs
        ),
    ]


def _in_turn(turn: int) -> Callable[[Unit], bool]:
    return lambda unit: unit.turn == turn


def _in_category(name: str) -> Callable[[Unit], bool]:
    return lambda unit: unit.category == name


def _in_both(name: str, turn: int) -> Callable[[Unit], bool]:
    return lambda unit: unit.turn == turn and unit.category == name
