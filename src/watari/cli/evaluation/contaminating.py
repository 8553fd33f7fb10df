"""`watari eval contamination` and `watari eval texts`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from watari.artifact import atomic
from watari.errors import UserError
from watari.evals.contamination import Contamination, WithoutTouched, find_contamination, without_touched
from watari.evals.folder import is_evaluation, read_about
from watari.evals.registry import evaluation_texts, write_texts
from watari.evals.result import Figure
from watari.evals.scoring import score_files
from watari.evals.training_rows import training_rows

TOUCHED = "touched.jsonl"
TABLE = "contamination.json"


def contamination_command(
    training: Sequence[str], *, tests: Sequence[str], out: Path | None, as_json: bool
) -> None:
    """Print which test items stand in training data, by task, and each evaluation's scores with and without them.

    Raises:
        UserError: for data or tests that cannot be read.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out}: not a folder", "name another")
    found = find_contamination(evaluation_texts(tests), training_rows(training))
    scores = [
        without_touched(result, found.touches)
        for test in tests
        if is_evaluation(Path(test))
        for result in score_files(read_about(Path(test)).spec, [Path(test)])
    ]
    data = as_data(found, scores)
    if out is not None:
        atomic.make_folder(out)
        lines = (json.dumps(asdict(touch), ensure_ascii=False) + "\n" for touch in found.touches)
        atomic.write_text(out / TOUCHED, "".join(lines))
        atomic.write_json(out / TABLE, data)
    typer.echo(json.dumps(data, ensure_ascii=False) if as_json else as_text(found, scores))


def texts_command(names: Sequence[str], *, out: Path) -> None:
    """Write what evaluations ask as rows {task, id, text}.

    Raises:
        UserError: for a name that is no evaluation, or a file that cannot be written.
    """
    texts = evaluation_texts(names)
    try:
        count = write_texts(out, texts)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}", "name another file") from None
    typer.echo(f"{out}: {count:,} texts", err=True)


def as_data(found: Contamination, scores: Sequence[WithoutTouched]) -> dict[str, Any]:
    """Return the JSON form."""
    return {
        "tasks": [
            {
                "task": task.task,
                "items": task.items,
                "touched": task.touched,
                "share": task.share,
                "how": {"exact": task.exact, "run": task.touched - task.exact},
                "too_short": task.too_short,
                "examples": [asdict(touch) for touch in task.examples],
            }
            for task in found.tasks
        ],
        "touched": [{"task": touch.task, "item": touch.item, "how": touch.how} for touch in found.touches],
        "training": {"rows": found.rows, "characters": found.characters},
        "ngram": found.ngram,
        "scores": [
            {
                "model": one.model,
                "judge": one.judge,
                "units": one.units[0],
                "touched_units": one.units[1],
                "all": _figure(one.overall),
                "clean": _figure(one.clean),
                "touched": _figure(one.touched),
                "categories": {
                    name: {"all": _figure(whole), "clean": _figure(clean)}
                    for name, (whole, clean) in one.categories.items()
                },
            }
            for one in scores
        ],
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n}


def as_text(found: Contamination, scores: Sequence[WithoutTouched]) -> str:
    """Return tables for people, 80 columns wide."""
    width = min(28, max(len(task.task) for task in found.tasks))
    lines = [
        f"{found.rows:,} rows of training data, {found.characters:,} characters, searched for runs of {found.ngram}",
        "",
        f"{'task':{width}}  {'items':>6}  {'touched':>8}  {'share':>7}  {'exact':>6}  {'run':>6}  {'too short':>9}",
    ]
    for task in found.tasks:
        lines.append(
            f"{_short(task.task, width):{width}}  {task.items:>6,}  {task.touched:>8,}  {task.share:>7.1%}"
            f"  {task.exact:>6,}  {task.touched - task.exact:>6,}  {task.too_short:>9,}"
        )
    for task in found.tasks:
        for touch in task.examples[:1]:
            lines += ["", f"{touch.task} {touch.item} ({touch.how}) in {touch.place}:"]
            lines.append(f"  {' '.join(touch.text.split())[:70]}")
    for one in scores:
        lines += [
            "",
            one.model + (f", judge {one.judge}" if one.judge else ""),
            f"  all      {_shown(one.overall)}",
            f"  clean    {_shown(one.clean)}",
            f"  touched  {_shown(one.touched)}",
        ]
    return "\n".join(lines)


def _shown(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "-"
    ends = "" if figure.low is None else f"  [{figure.low:.4f}, {figure.high:.4f}]"
    return f"{figure.value:.4f}{ends}  n = {figure.n:,}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]
