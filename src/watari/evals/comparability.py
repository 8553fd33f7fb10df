"""What may be compared: one spec, one judge, the same questions; and what a reader of a comparison must be told."""

from __future__ import annotations

from collections.abc import Sequence

from watari.errors import UserError
from watari.evals.intervals import figure_of
from watari.evals.refusal import refusal
from watari.evals.result import Figure, Result

_SHOWN = 20  # characters of a gold answer


def check_comparable(results: Sequence[Result]) -> None:
    """Refuse results that are not on one scale.

    Raises:
        UserError: for judgments of pairs; for several specs or judges; for one model twice; for fewer than two; for other questions under the same
            numbers, as far as results tell (`Unit.content`).
    """
    if any(result.settings.get("mode") == "pairs" for result in results):
        raise UserError(
            "these are judgments of pairs: each is a comparison already",
            "`watari eval score fastchat-mt-bench FILE` counts wins, ties and losses, with intervals",
        )
    specs = sorted({result.spec for result in results})
    if len(specs) > 1:
        raise UserError(
            f"scores of different specs cannot be compared: {', '.join(specs)}",
            "give files of one spec, or score all of them by one with --spec",
        )
    judges = sorted({result.judge or "no judge" for result in results})
    if len(judges) > 1:
        raise UserError(
            f"scores of different judges are never mixed: {', '.join(judges)}",
            "choose one with --judge; `watari eval judges` shows how far they agree",
        )
    models = [result.model for result in results]
    if twice := sorted({model for model in models if models.count(model) > 1}):
        raise UserError(f"{twice[0]}: this model is there twice", "rename one, or leave its file out")
    if len(models) < 2:
        raise UserError(
            f"one model only: {models[0]}" if models else "no model at all",
            "give a second file, or one that holds several models",
        )
    if empty := [result.model for result in results if overall_of(result).value is None]:
        raise UserError(f"{empty[0]}: nothing valid to compare", "leave it out: --model chooses")
    _check_questions(results)


def _check_questions(results: Sequence[Result]) -> None:
    """Refuse results that call different questions by one name: samples of their own, each numbered from 0."""
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for result in results:
        differ = []
        for unit in result.units:
            if unit.content:
                first = known.setdefault((unit.stratum, unit.item), (unit.content, result.model))
                if first[0] != unit.content:
                    differ.append((unit, *first))
        if differ:
            unit, other, model = differ[0]
            where = f"{unit.stratum} {unit.item}".strip()
            more = f", and {len(differ) - 1:,} more" if len(differ) > 1 else ""
            raise UserError(
                f"{model} and {result.model} were asked other questions under the same names: the right answer to {where} is"
                f" {_short(other)} in one, {_short(unit.content)} in the other{more}",
                "compare answers to the same sample of the datasets",
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def overall_of(result: Result) -> Figure:
    """Return the figure that a result is ranked by."""
    return result.figures.get(result.overall) or figure_of(result.units, rounds=0)


def notes_of(results: Sequence[Result]) -> tuple[str, ...]:
    """Return which results should not be believed, and which of their settings differ."""
    notes = [f"{result.model}: {why}" for result in results if (why := refusal(result)) is not None]
    keys = sorted({key for result in results for key in result.settings})
    for key in keys:
        found = [result.settings.get(key) for result in results]
        said = {str(value) for value in found}
        # Lists and maps are facts of the model (means of its runs), not settings.
        if len(said) > 1 and not any(isinstance(value, list | tuple | dict) for value in found):
            notes.append(f"settings differ: {key}: {', '.join(sorted(said))}")
    return tuple(notes)
