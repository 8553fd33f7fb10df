"""`watari eval score`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import typer

from watari.cli.evaluation.piped import readable
from watari.errors import CheckFailed, UserError
from watari.evals.refusal import refusal
from watari.evals.result import Result
from watari.evals.scoring import score_files
from watari.evals.spec import SpecHead, load_spec

_WIDTH = 80


def score_command(
    spec: str,
    files: Sequence[str],
    *,
    backend: str | None,
    invalid: str | None,
    max_invalid: float,
    judge: str | None,
    seed: int,
    as_json: bool,
    questions: Path | None = None,
) -> None:
    """Print the scores of every model in some files, by the table or the JSON of the spec's family.

    Raises:
        UserError: for an unknown spec, a file or a row that cannot be read, an option that the family has not.
        CheckFailed: after printing, if every model is refused: each has a larger share of invalid rows than `max_invalid`,
            and `invalid` is not given. Where some are not, those that are stand in a line on stderr.
    """
    if not files:
        raise UserError("no files", "watari eval score SPEC FILE...")
    found = load_spec(spec)
    with readable(files) as paths:
        results = score_files(
            spec, paths, backend=backend, invalid=invalid, judge=judge, questions=questions, seed=seed
        )
    if not results:
        raise UserError(f"{', '.join(files)}: nothing to score")
    limit = None if invalid is not None else max_invalid
    content = _form(found, "as_json", results, limit)
    if as_json:
        typer.echo(json.dumps(content, ensure_ascii=False))
    else:
        from rich.console import Console

        Console(width=_WIDTH, highlight=False).print(_form(found, "as_table", results, limit))
    refused = list(_refused(content))
    if not refused:
        return
    names = ", ".join(refused[:3]) + (f" and {len(refused) - 3} more" if len(refused) > 3 else "")
    mend = "score with --max-invalid SHARE" + _policy(found)
    if len(refused) >= len(results):
        raise CheckFailed(f"refused: {names}", mend)
    typer.echo(f"watari: refused: {names}: {mend}", err=True)


def _form(spec: SpecHead, name: str, results: Sequence[Result], limit: float | None) -> Any:
    """Return results in one of the forms of the spec's family."""
    module = import_module(f"watari.evals.{spec.family}.scoring")
    form: Callable[..., Any] | None = getattr(module, name, None)
    if form is None:
        return _plain_table(results, limit)
    given = {"max_invalid": limit} if "max_invalid" in signature(form).parameters else {}
    return form(results, spec, **given)


def _policy(spec: SpecHead) -> str:
    return "" if spec.family in ("jaster", "harness") else ", or --invalid drop|as-is"


def _refused(content: dict[str, Any]) -> Iterator[str]:
    """Yield who is refused, once for each judge."""
    tables = content.get("judges", {"": content})
    for judge, table in tables.items():
        for name, inside in table.get("models", {}).items():
            if "refused" in inside:
                yield f"{name} ({inside['refused']}{f'; {judge}' if len(tables) > 1 else ''})"


def _plain_table(results: Sequence[Result], limit: float | None) -> Any:
    """Return a table of every figure of every model."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for result in results:
        table = Table(title=Text(result.model), title_justify="left", box=None, pad_edge=False)
        table.add_column("", overflow="fold", ratio=1)
        for heading in ("score", "95 %", "n"):
            table.add_column(heading, justify="right", no_wrap=True)
        why = refusal(result, limit) if limit is not None else None
        for name, figure in result.figures.items():
            ends = (
                f"{figure.low:.4f}-{figure.high:.4f}"
                if figure.low is not None and figure.high is not None
                else ""
            )
            value = "-" if figure.value is None or why else f"{figure.value:.4f}"
            table.add_row(Text(name), value, "" if why else ends, f"{figure.n:,}")
        parts += [
            table,
            *([Text(f"refused: {why}")] if why else []),
            *(Text(f"- {n}") for n in result.notes),
            Text(),
        ]
    return Group(*parts)
