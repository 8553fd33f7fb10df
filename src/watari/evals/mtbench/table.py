"""Scores of MT-Bench for people, in 80 columns: each judge apart, the best model first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.mtbench.units import split_names
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH = 80
_DASH = "–"
_PAIRS = "win_rate_adjusted"
_LEAST = 24  # columns for a model's name


def as_table(
    results: Sequence[Result], spec: MTBenchSpec, *, max_invalid: float | None = LIMIT
) -> RenderableType:
    """Return the tables of all judges: figures with intervals, categories, and the notes on each model.

    Args:
        results: Of `score_files`.
        spec: Theirs.
        max_invalid: Share of invalid ratings above which a model has a dash and the reason; None: never.
    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for judge in dict.fromkeys(result.judge for result in results):
        of = sorted((result for result in results if result.judge == judge), key=_rank)
        refused = {
            place: why
            for place, one in enumerate(of)
            if max_invalid is not None and (why := refusal(one, max_invalid))
        }
        parts += [Text(_face(spec, str(judge), of), style="bold"), _overall(of, spec, set(refused))]
        if (categories := _categories(of, set(refused))) is not None:
            parts.append(categories)
        parts += [Text(f"refused: {of[place].model}: {why}") for place, why in refused.items()]
        parts += [Text(line) for line in _notes(of)]
        parts.append(Text())
    return Group(*parts)


def _rank(result: Result) -> tuple[bool, float, str]:
    value = result.figures[result.overall].value
    return (value is None, -(value or 0.0), result.model)


def _face(spec: MTBenchSpec, judge: str, results: Sequence[Result]) -> str:
    labels = " and ".join(dict.fromkeys(result.spec for result in results)) or spec.label
    # Each pair is a unit of both its models.
    share, what = (2, "pairs") if _of_pairs(results) else (1, "ratings")
    units = sum(len(result.units) for result in results) // share
    invalid = sum(bool(unit.reason) for result in results for unit in result.units) // share
    done = "averaged in as-is" if results[0].settings["invalid"] == "as-is" else "dropped"
    told = f"{invalid:,} of {units:,} {what} invalid" + (f", {done}" if invalid else "")
    return f"{labels} · judge {judge} · {told}"


def _of_pairs(results: Sequence[Result]) -> bool:
    return results[0].overall == _PAIRS


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, width=WIDTH)
    table.add_column(headings[0], overflow="fold", ratio=1)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _overall(results: Sequence[Result], spec: MTBenchSpec, refused: set[int]) -> Table:
    pairs = _of_pairs(results)
    runs = any(result.runs > 1 for result in results)
    turns = sorted({turn for result in results for turn in split_names(result)[0]})
    headings = ["adjusted" if pairs else "overall", "95 % interval"]
    headings += ["win", "tie", "loss"] if pairs else [f"turn {turn}" for turn in turns]
    headings += ["sd of runs"] if runs and not pairs else []
    table = _table("model", *headings, "n", "invalid")
    decimals = 3 if pairs or spec.scale[1] <= 1 else 2
    for place, result in enumerate(results):
        overall = result.figures[result.overall]
        cells = [_shown(overall.value, decimals), _interval(overall, decimals)]
        if pairs:
            cells += [str(n) for n in result.settings["outcomes"].values()]
        else:
            cells += [_of(result, f"turn {turn}", decimals) for turn in turns]
            cells += [f"{_shown(overall.run_sd, decimals)} ({result.runs})"] if runs else []
        if place in refused:
            cells = [_DASH] * len(cells)
        invalid = sum(bool(unit.reason) for unit in result.units)
        table.add_row(_plain(result.model), *cells, f"{overall.n:,}", f"{invalid:,}")
    return table


def _categories(results: Sequence[Result], refused: set[int]) -> Table | None:
    """Return the table of categories; as many as fit, by their first letters where their names do not."""
    names = list(dict.fromkeys(name for result in results for name in split_names(result)[1]))
    if len(names) < 2:
        return None
    room = WIDTH - _LEAST
    headings = {name: name if sum(len(one) + 1 for one in names) <= room else _short(name) for name in names}
    while sum(max(len(heading), 5) + 1 for heading in headings.values()) > room:
        headings.popitem()
    table = _table("", *headings.values())
    for place, result in enumerate(results):
        cells = [_DASH if place in refused else _of(result, name, 2) for name in headings]
        table.add_row(_plain(result.model), *cells)
    if left := len(names) - len(headings):
        table.caption = f"{left} more categories: see --json"
    return table


def _short(name: str) -> str:
    return name if len(name) <= 5 else f"{name[:4]}."


def _notes(results: Sequence[Result]) -> list[str]:
    """Return each note once, with the models that it holds for."""
    models: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            models.setdefault(note, []).append(result.model)
    return [
        f"note: {note}" if len(of) == len(results) else f"note: {', '.join(of)}: {note}"
        for note, of in models.items()
    ]


def _plain(name: str) -> str:
    from rich.markup import escape

    return escape(name)


def _of(result: Result, name: str, decimals: int) -> str:
    figure = result.figures.get(name)
    return _shown(figure.value if figure else None, decimals)


def _shown(value: float | None, decimals: int) -> str:
    return _DASH if value is None else f"{value:.{decimals}f}"


def _interval(figure: Figure, decimals: int) -> str:
    if figure.low is None or figure.high is None:
        return _DASH
    return f"{figure.low:.{decimals}f}{_DASH}{figure.high:.{decimals}f}"
