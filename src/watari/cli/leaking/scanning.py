"""`watari leakage scan`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from watari.cli.evaluation.piped import readable
from watari.cli.leaking.options import Settle, language, licence, settings, stopping
from watari.errors import UserError


def scan_command(
    files: Sequence[str],
    *,
    expected: str | None,
    licensed: str,
    prompts: str | None,
    where: Sequence[str],
    by: Sequence[str],
    out: Path | None,
    title: str,
    on_error: str,
    seed: int,
    as_json: bool,
) -> None:
    """Print every response's events as a JSON line and a summary last, or tables for people.

    Raises:
        UserError: for options, files or rows that cannot be used, or where there is nothing to scan.
    """
    from watari.leakage.reading import read
    from watari.leakage.summary import Collector, collect, summarise, wanted_by
    from watari.leakage.writing import Leaks, write_scan

    code, allowed = language(expected), licence(licensed)
    wanted = wanted_by(settings(where, "--where"))
    settle = Settle(stopping(on_error))
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file", "give a folder: --out DIR")
    found = Collector(wanted, name=", ".join(Path(file).name or file for file in files))
    with readable(files) as paths:
        if not paths:
            raise UserError("no files", "watari leakage scan FILE...")
        rows = read([str(path) for path in paths], prompts=prompts)
        leaks = Leaks(out) if out is not None else None
        for scanned in collect(rows, found, expected=code, licensed=allowed, settle=settle):
            if leaks is not None:
                leaks.add(scanned)
            if as_json:
                typer.echo(json.dumps(scanned.as_json(), ensure_ascii=False))
    if not found.responses:
        what = (
            f"none of {found.passed_over:,} responses is wanted" if found.passed_over else "nothing to scan"
        )
        raise UserError(f"{found.name}: {what}", "check --where" if found.passed_over else None)
    if missing := [column for column in by if not any(column in tally.columns for tally in found.tallies)]:
        raise UserError(f"--by {missing[0]}: no row has this column", "see the columns of the rows")
    summary = summarise(found, by=by, seed=seed)
    if out is not None and leaks is not None:
        write_scan(out, summary, leaks, title=title)
    if as_json:
        typer.echo(json.dumps({"summary": summary.as_json()}, ensure_ascii=False))
        return
    from watari.cli.leaking.tables import summary_text

    typer.echo(summary_text(summary))
    if out is not None:
        typer.echo(f"{out / 'index.html'}")
