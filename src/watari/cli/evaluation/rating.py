"""`watari eval rating`: judges' texts to ratings, held against those stored."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import typer

from watari.cli.evaluation.piped import readable
from watari.errors import UserError
from watari.evals.spec import SpecHead, load_spec
from watari.judge.rating import NO_TEXT

_SHOWN = 20


def rating_command(file: str, *, spec: str, as_json: bool) -> None:
    """Read the rating in every judge's text of a file, by a spec's rule.

    Prints {"spec", "file", "ratings": [{"row", "question_id", "model", "turn", "rating", "stored", "same"}], "n",
    "unreadable", "different", "reasons"}; `rating` and `stored` are null where there is none (-1 is none), `same` is null
    where nothing is stored. A row that holds several texts (one a run) makes several, with `run`.

    Raises:
        UserError: for a file without judges' texts, a row that cannot be read, or a spec that asks no judge.
    """
    found = load_spec(spec)
    with readable([file]) as paths:
        if len(paths) > 1:
            raise UserError(
                f"{file}: {len(paths)} files of rows", f"name one: {', '.join(path.name for path in paths)}"
            )
        ratings = _ratings(found, paths[0])
    reasons = Counter(one.get("reason", "") for one in ratings if one["rating"] is None)
    unreadable = reasons.total()
    content = {
        "spec": found.label,
        "file": file,
        "ratings": ratings,
        "n": len(ratings),
        "unreadable": unreadable,
        "different": sum(one["same"] is False for one in ratings),
        "reasons": reasons,
    }
    if as_json:
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    stored = sum(one["same"] is not None for one in ratings)
    from watari.evals.shaberi.rating import NO_TEXT as NONE_IN_ROW

    bare = sum(reasons[reason] for reason in (NO_TEXT, NONE_IN_ROW))
    rows = (
        f"{len(ratings):,} rows, {bare:,} of them without a judge's text"
        if bare
        else f"{len(ratings):,} texts"
    )
    typer.echo(
        f"{file}: {rows}; {unreadable - bare:,} {'texts ' if bare else ''}without a readable rating;"
        f" {content['different']:,} of {stored:,} stored ratings differ"
    )
    for one in [one for one in ratings if one["same"] is False][:_SHOWN]:
        typer.echo(
            f"  row {one['row']}: question {one['question_id']}, {one['model']}, turn {one['turn']}:"
            f" read {one['rating']}, stored {one['stored']}"
        )


def _ratings(spec: SpecHead, path: Path) -> list[dict[str, Any]]:
    from watari.evals.mtbench.spec import MTBenchSpec

    if isinstance(spec, MTBenchSpec):
        from watari.evals.mtbench.rating import rate_file

        return rate_file(spec, path)
    from watari.evals.shaberi.spec import ShaberiSpec

    if isinstance(spec, ShaberiSpec):
        from watari.evals.shaberi.rating import rate_file as rate_shaberi

        return rate_shaberi(spec, path)
    raise UserError(f"{spec.name}: no judge rates its answers", "e.g. --spec fastchat-mt-bench")
