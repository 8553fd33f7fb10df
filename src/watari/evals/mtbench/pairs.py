"""Pairs: two models' answers held against each other, in both orders; FastChat's win rates.

A tie, or a winner that changes with the order, is a tie; a pair with an error in one order is left out, and counted. The
adjusted win rate counts a tie as half a win.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from watari.evals.intervals import figures_of
from watari.evals.mtbench.rows import Pair
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.mtbench.units import Asked, category_of, split_names
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Result, Unit
from watari.pages.noted import Note, counted

MODE = "pairs"
ADJUSTED = "win_rate_adjusted"
ERROR = "the judge named no winner"

Outcome = Literal["win", "tie", "loss", "error"]

_WORTH: Mapping[Outcome, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}


def pair_results(
    spec: MTBenchSpec, asked: Asked, pairs: Sequence[Pair], sources: Sequence[str], *, seed: int
) -> list[Result]:
    """Return a result for each judge and model, over all its pairs: overall is the adjusted win rate.

    Args:
        spec: For its categories; pairs are counted alike under every spec.
        asked: The questions that there are, where something says so.
        pairs: As read.
        sources: The files' names.
        seed: Of the bootstrap.
    """
    groups: dict[tuple[str, str], list[_Side]] = {}
    judges = list(dict.fromkeys(pair.judge for pair in pairs))
    seen: Counter[tuple[str, int, tuple[str, str], str]] = Counter()
    for pair in pairs:
        key = (pair.question, pair.turn, pair.models, pair.judge)
        category = category_of(spec, asked, pair.question, pair.category)
        for place, model in enumerate(pair.models):
            groups.setdefault((pair.judge, model), []).append(
                _Side(pair, _outcome(pair, place), category, seen[key])
            )
        seen[key] += 1
    ordered = sorted(groups, key=lambda group: judges.index(group[0]))
    return [_result(spec, *group, groups[group], sources, seed) for group in ordered]


def pairs_json(
    results: Sequence[Result], spec: MTBenchSpec, *, max_invalid: float | None = LIMIT
) -> dict[str, Any]:
    """Return results of pairs in the form of `--json`: by judge, then by model; with one judge also at the top."""
    judges: dict[str, dict[str, Any]] = {}
    for result in results:
        invalid = result.invalid
        turns, categories, _ = split_names(result)
        shown: dict[str, Any] = {
            **result.settings["outcomes"],
            "win_rate": result.figures["win_rate"].value,
            "loss_rate": result.figures["loss_rate"].value,
            ADJUSTED: result.figures[ADJUSTED].value,
            "turns": {str(turn): result.figures[name].value for turn, name in turns.items()},
            "categories": {name: result.figures[name].value for name in categories},
            "n": result.figures[ADJUSTED].n,
            "invalid": {
                "rows": invalid,
                "rate": invalid / len(result.units),
                "reasons": {ERROR: invalid} if invalid else {},
            },
            "changed_with_order": result.settings["changed_with_order"],
            "duplicates": result.settings["duplicates"],
            "intervals": {
                name: None if figure.low is None else [figure.low, figure.high]
                for name, figure in result.figures.items()
            },
            "notes": list(result.notes),
        }
        if max_invalid is not None and (why := refusal(result, max_invalid)):
            shown["refused"] = why
        judges.setdefault(result.judge or "", {"models": {}})["models"][result.model] = shown
    content: dict[str, Any] = {
        "spec": spec.label,
        "digest": spec.digest,
        "mode": MODE,
        "scale": [0, 1],
        "invalid_policy": "drop",
        "judges": judges,
    }
    if len(judges) == 1:
        ((only, rest),) = judges.items()
        content |= {"judge": only, "models": rest["models"]}
    return content


@dataclass(frozen=True, slots=True)
class _Side:
    """A pair as one of its models sees it; `again` counts the same pair's earlier rows."""

    pair: Pair
    outcome: Outcome
    category: str
    again: int

    def unit(self, worth: Mapping[Outcome, float]) -> Unit:
        """Return it as a unit that is worth so much by its outcome; an error is worth nothing and invalid."""
        value = worth.get(self.outcome)
        reason = ERROR if value is None else ""
        turn = self.pair.turn or 1
        return Unit(self.pair.question, "", self.category, turn, self.again, value, 1.0, reason)


def _outcome(pair: Pair, place: int) -> Outcome:
    if pair.winner in ("tie", "error"):
        return "tie" if pair.winner == "tie" else "error"
    return "win" if pair.winner == ("model_1", "model_2")[place] else "loss"


def _result(
    spec: MTBenchSpec, judge: str, model: str, sides: Sequence[_Side], sources: Sequence[str], seed: int
) -> Result:
    units = tuple(side.unit(_WORTH) for side in sides)
    parts: dict[str, list[Unit]] = {
        ADJUSTED: list(units),
        "win_rate": [side.unit({"win": 1.0, "tie": 0.0, "loss": 0.0}) for side in sides],
        "loss_rate": [side.unit({"win": 0.0, "tie": 0.0, "loss": 1.0}) for side in sides],
    }
    for turn in sorted({unit.turn for unit in units}):
        parts[f"turn {turn}"] = [unit for unit in units if unit.turn == turn]
    present = {unit.category for unit in units}
    for name in (*spec.categories, *sorted(present - set(spec.categories))):
        if name in present:
            parts[name] = [unit for unit in units if unit.category == name]
    # What stands in `run` tells a pair that was judged again from its first row: no runs, so no deviation over them.
    figures = {
        name: replace(figure, run_sd=None)
        for name, figure in zip(parts, figures_of(list(parts.values()), seed=seed, shares=True), strict=True)
    }
    outcomes = Counter(side.outcome for side in sides)
    again = sum(side.again > 0 for side in sides)
    turned = sum(set(side.pair.verdicts) == {"model_1", "model_2"} for side in sides)
    notes: list[str] = []
    if turned:
        notes.append(
            Note(
                f"{counted(turned, 'winner')} changed with the order of the answers: ties",
                f"回答の順序で勝者が変わった {turned:,} 組は、引き分けとしています",
            )
        )
    if again:
        notes.append(
            Note(
                f"{counted(again, 'pair')} judged again: counted as well",
                f"再度判定された {again:,} 組も数えています",
            )
        )
    return Result(
        spec=spec.label,
        model=model,
        judge=judge,
        overall=ADJUSTED,
        figures=figures,
        units=units,
        settings={
            "mode": MODE,
            "invalid": "drop",
            "outcomes": {name: outcomes[name] for name in ("win", "tie", "loss")},
            "changed_with_order": turned,
            "duplicates": again,
        },
        notes=tuple(notes),
        sources=tuple(sources),
    )
