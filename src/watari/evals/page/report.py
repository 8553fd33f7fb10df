"""Writes the page of evaluations into a folder: HTML, plots, Markdown tables, and every figure as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.evals.page.board import Board, boards_of
from watari.evals.page.gathering import Gathered, gather
from watari.evals.refusal import LIMIT
from watari.evals.result import Figure
from watari.pages.noted import rewritten

PAGE, FIGURES = "index.html", "figures.json"


@dataclass(frozen=True)
class Written:
    """What a report came to.

    Args:
        page: The HTML file.
        files: All files, in the order in which they were written.
        boards: The tables.
        notes: What a person must be told: a font that is missing.
    """

    page: Path
    files: tuple[Path, ...]
    boards: tuple[Board, ...]
    notes: tuple[str, ...] = ()


def report(
    paths: Sequence[Path],
    out: Path,
    *,
    spec: str | None = None,
    invalid: str | None = None,
    max_invalid: float = LIMIT,
    judge: str | None = None,
    title: str = "",
    plots: bool = True,
    seed: int = 0,
) -> Written:
    """Score files and evaluation folders, and write their page, tables, plots and figures.

    Args:
        paths: Evaluation folders, files that a spec scores, and files of answers and questions that belong to them.
        out: The folder; made where it is missing. Files in it of the same names are replaced.
        spec: What files are scored by; None: what each looks like.
        invalid: `drop` or `as-is`; given: no model is refused.
        max_invalid: Share of invalid units above which a model is refused.
        judge: Only what this judge rated.
        title: Of the page.
        plots: Write PNG and SVG files too.
        seed: Of the bootstrap.

    Raises:
        UserError: for paths that cannot be read or scored, an `out` that is a file.
    """
    from watari.errors import UserError
    from watari.evals.page.page import page
    from watari.evals.tables import markdown

    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file", "give a folder: --out DIR")
    gathered = without_places(gather(paths, spec, invalid=invalid, judge=judge, seed=seed), paths)
    boards = boards_of(gathered.results, scales(gathered), limit=1.0 if invalid else max_invalid, seed=seed)
    atomic.make_folder(out)
    texts = {
        PAGE: page(boards, gathered, title=title),
        "tables.md": markdown(boards, "en"),
        "tables.ja.md": markdown(boards, "ja"),
    }
    for name, content in texts.items():
        atomic.write_text(out / name, content)
    atomic.write_json(out / FIGURES, figures(boards, gathered))
    files = [*(out / name for name in texts), out / FIGURES]
    notes: tuple[str, ...] = ()
    if plots:
        from watari.evals.plots import write_plots

        drawn, notes = write_plots(boards, out / "plots")
        files += drawn
    return Written(out / PAGE, tuple(files), tuple(boards), notes)


def folder_page(folder: Path, *, title: str = "", seed: int = 0) -> str:
    """Return the page of one evaluation folder, with every answer, as HTML.

    Nothing in it says where the folder lies: the same evaluation gives the same text in a run's store and elsewhere.

    Args:
        folder: What `watari eval run`, or a stage eval.jaster, eval.mtbench or eval.shaberi, leaves.
        title: Shown above everything.
        seed: Of the bootstrap.

    Raises:
        UserError: if it cannot be read.
    """
    from watari.evals.page.page import page

    gathered = gather([folder], seed=seed)
    results = [
        replace(
            result,
            notes=tuple(
                rewritten(note, partial(_renamed, place=str(folder), name=result.model))
                for note in result.notes
            ),
        )
        for result in gathered.results
    ]
    named = replace(gathered, sources=[(result.model, result.spec) for result in results])
    return page(boards_of(results, scales(gathered), seed=seed), named, title=title)


def _renamed(text: str, *, place: str, name: str) -> str:
    return text.replace(place, name)


def without_places(gathered: Gathered, paths: Sequence[Path]) -> Gathered:
    """Return the same without where files lie on this disk, which is nobody's business on a page that is passed on.

    A path that was named from the root is called by its last parts, by as few as tell it from the others; one that was
    named from the current folder stays as it was named.
    """
    rooted = list(dict.fromkeys(path for path in paths if path.is_absolute()))
    names = {path: path.name for path in rooted}
    depth = 1
    while len(set(names.values())) < len(rooted):
        depth += 1
        names = {path: "/".join(path.parts[1:][-depth:]) for path in rooted}
    told = sorted(((str(path), name) for path, name in names.items()), key=lambda pair: -len(pair[0]))

    def hidden(text: str) -> str:
        for place, name in told:
            text = text.replace(place, name)
        return text

    results = [
        replace(
            result,
            notes=tuple(rewritten(note, hidden) for note in result.notes),
            sources=tuple(map(hidden, result.sources)),
        )
        for result in gathered.results
    ]
    return replace(
        gathered, results=results, sources=[(hidden(path), what) for path, what in gathered.sources]
    )


def scales(gathered: Gathered) -> dict[str, tuple[float, float]]:
    """Return the scale of each spec by the label of its results."""
    return {label: spec.scale for label, spec in gathered.specs.items()}


def figures(boards: Sequence[Board], gathered: Gathered) -> dict[str, Any]:
    """Return every figure of the page as JSON data, unrounded."""
    return {
        "sources": [{"path": path, "as": what} for path, what in gathered.sources],
        "tables": [
            {
                "spec": board.spec,
                "judge": board.judge or None,
                "overall": board.overall,
                "scale": list(board.scale),
                "settings": dict(board.settings),
                "notes": [{"note": note, "models": list(models)} for note, models in board.notes],
                "models": [
                    {
                        "model": entry.model,
                        "rank": entry.place,
                        "tied": entry.tied,
                        "refused": entry.refused,
                        "runs": entry.result.runs,
                        "units": entry.units,
                        "invalid": {
                            "units": entry.invalid,
                            "rate": entry.invalid / entry.units if entry.units else 0.0,
                            "reasons": dict(entry.reasons),
                        },
                        "figures": {name: figure_json(figure) for name, figure in entry.result.figures.items()},
                        "sources": list(entry.result.sources),
                    }
                    for entry in board.entries
                ],
            }
            for board in boards
        ],
    }  # fmt: skip


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return a figure as JSON data."""
    return asdict(figure)
