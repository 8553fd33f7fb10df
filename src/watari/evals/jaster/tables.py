"""Results of the family jaster as JSON for programs and as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from watari.evals.jaster.ratio import Backend, other_backend
from watari.evals.jaster.spec import JasterSpec
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_DASH = "-"
_CATEGORIES = 4  # beside the overall figure
_ACROSS = 6  # figures of datasets beside each other
_WIDE = 7  # characters of such a column
_SHORT = 7  # of the other backend's name


def refused(result: Result, max_invalid: float | None = LIMIT) -> str | None:
    """Return why a result is refused, None if it is not: too many items without an answer.

    Args:
        result: Of one model.
        max_invalid: Largest share that is let through; None: any.
    """
    return None if max_invalid is None else refusal(result, max_invalid)


def as_json(
    results: Sequence[Result], spec: JasterSpec, *, max_invalid: float | None = LIMIT
) -> dict[str, Any]:
    """Return results as plain data.

    {"spec", "digest", "models": {model: {"scores": {figure: value}, "n", "invalid", "invalid_reasons": {reason: count},
    "intervals": {figure: [low, high]}, "stderr": {figure: value}, "backend", "other_backend": {"backend", "scores"},
    "true_char_f1": {dataset: value}, "runs", "run_sd": {figure: value}, "notes", "refused"?}}}; models by name, so that the
    order of rows is no matter.

    Args:
        results: Of `score_files`.
        spec: Theirs.
        max_invalid: See `refused`.
    """
    return {
        "spec": spec.label,
        "digest": spec.digest,
        "models": {
            result.model: _model(result, max_invalid)
            for result in sorted(results, key=lambda result: result.model)
        },
    }


def _model(result: Result, max_invalid: float | None) -> dict[str, Any]:
    reasons = Counter(unit.reason for unit in result.units if unit.reason)
    made: dict[str, Any] = {
        "scores": {name: figure.value for name, figure in result.figures.items()},
        "n": len(result.units),
        "invalid": reasons.total(),
        "invalid_reasons": dict(reasons),
        "intervals": {name: [figure.low, figure.high] for name, figure in result.figures.items()},
        "stderr": {name: figure.stderr for name, figure in result.figures.items()},
        **result.settings,
        "runs": result.runs,
        "notes": list(result.notes),
    }
    if result.runs > 1:
        made["run_sd"] = {name: figure.run_sd for name, figure in result.figures.items()}
    if (said := refused(result, max_invalid)) is not None:
        made["refused"] = said
    return made


def as_table(
    results: Sequence[Result], spec: JasterSpec, *, max_invalid: float | None = LIMIT
) -> RenderableType:
    """Return tables 80 columns wide: of one model every figure, of several the league, best first, then datasets."""
    from rich.console import Group
    from rich.text import Text

    backend: Backend = results[0].settings["backend"] if results else "levenshtein"
    refusals = {
        result.model: said for result in results if (said := refused(result, max_invalid)) is not None
    }
    ranked = sorted(results, key=lambda result: _rank(result, spec, refusals))
    parts: list[RenderableType] = []
    if len(results) == 1 and not refusals:
        parts = [_one(results[0]), Text()]
    else:
        shown = [result for result in ranked if result.model not in refusals]
        parts = [_league(ranked, shown, spec), Text(), *_datasets(shown, spec)]
    parts += [Text(f"refused: {model}: {said}") for model, said in refusals.items()]
    parts.append(
        Text(f"{spec.label}: char_f1 by {backend}, {other_backend(backend)} beside; 95 %: item bootstrap")
    )
    return Group(*parts, *_notes(ranked))


def _rank(result: Result, spec: JasterSpec, refusals: Mapping[str, str]) -> tuple[bool, float, str]:
    value = result.figures[spec.overall].value if spec.overall in result.figures else None
    return (result.model in refusals, -(value if value is not None else -1.0), result.model)


def _one(result: Result) -> RenderableType:
    """Return every figure of one model."""
    from rich.text import Text

    other = result.settings["other_backend"]
    table = _table(result.model, ("score", "95 %", "items", "invalid", other["backend"]))
    for name, figure in result.figures.items():
        theirs = other["scores"].get(name)
        table.add_row(
            Text(name),
            _shown(figure),
            _interval(figure),
            str(figure.n + figure.invalid) if figure.n else "",
            str(figure.invalid) if figure.invalid else "",
            f"{theirs:.4f}" if theirs is not None and theirs != figure.value else "",
        )
    for dataset, value in result.settings["true_char_f1"].items():
        table.add_row(Text(f"{dataset}, F1 of characters"), f"{value:.4f}")
    return table


def _league(results: Sequence[Result], believed: Sequence[Result], spec: JasterSpec) -> RenderableType:
    """Return the overall figure, with the other backend too, and the categories as far as they go into the width.

    Those who are not believed have a dash; where nobody is, nothing but the dashes stands there.
    """
    from rich.text import Text

    other = results[0].settings["other_backend"]["backend"]
    shown = [name for name in spec.categories if any(name in result.figures for result in believed)][
        :_CATEGORIES
    ]
    table = _table("model", (spec.overall, *(("95 %", *shown, other[:_SHORT]) if believed else ())))
    for result in results:
        figures = result.figures
        if result.model not in {one.model for one in believed}:
            table.add_row(Text(result.model), _DASH)
            continue
        theirs = result.settings["other_backend"]["scores"].get(spec.overall)
        overall = figures.get(spec.overall)
        table.add_row(
            Text(result.model),
            _shown(overall),
            _interval(overall),
            *(_shown(figures.get(name)) for name in shown),
            f"{theirs:.4f}" if theirs is not None else _DASH,
        )
    return table


def _datasets(results: Sequence[Result], spec: JasterSpec) -> list[RenderableType]:
    """Return the figures of datasets and further categories, in as many tables as the width wants."""
    from rich.text import Text

    names = [*list(spec.categories)[_CATEGORIES:], *(name for name, _, _ in spec.dataset_figures())]
    names = [name for name in names if any(name in result.figures for result in results)]
    parts: list[RenderableType] = []
    for first in range(0, len(names), _ACROSS):
        across = names[first : first + _ACROSS]
        table = _table("model", [_heading(name) for name in across])
        for result in results:
            table.add_row(Text(result.model), *(_shown(result.figures.get(name)) for name in across))
        parts += [table, Text()]
    return parts


def _table(first: str, headings: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Text(first), overflow="fold", ratio=1, vertical="bottom")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _heading(figure: str) -> str:
    """Return a figure's name in lines of as many characters as its column has."""
    dataset, _, metric = figure.partition("_")
    words = [dataset, *metric.split("_")]
    return "\n".join(word[at : at + _WIDE] for word in words for at in range(0, len(word), _WIDE))


def _notes(results: Sequence[Result]) -> list[RenderableType]:
    """Return what is to be told of each model; what many have in common, once."""
    from rich.text import Text

    if len(results) == 1:
        return [Text(f"- {note}") for note in results[0].notes]
    told: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            if not note.startswith(f"{result.overall} is "):  # of the other backend, which has a column
                told.setdefault(note, []).append(result.model)
    return [
        Text(f"- {models[0] if len(models) == 1 else f'{len(models)} models'}: {note}")
        for note, models in told.items()
    ]


def _shown(figure: Figure | None) -> str:
    return _DASH if figure is None or figure.value is None else f"{figure.value:.4f}"


def _interval(figure: Figure | None) -> str:
    return (
        ""
        if figure is None or figure.low is None or figure.high is None
        else f"{figure.low:.3f}-{figure.high:.3f}"
    )
