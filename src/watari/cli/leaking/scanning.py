"""`watari leakage scan`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watari.cli.evaluation.piped import located
from watari.cli.leaking.options import (
    TELL,
    Settle,
    check_columns,
    language,
    licence,
    once,
    settings,
    stopping,
)
from watari.cli.progress import LineProgress
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.leakage.summary import Collector
    from watari.leakage.writing import Leaks


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
    from watari.leakage.curves import DEFAULTS
    from watari.leakage.reading import read
    from watari.leakage.summary import Collector, collect, summarise, wanted_by
    from watari.leakage.writing import PAGE, write_scan

    code, allowed = language(expected), licence(licensed)
    wanted = wanted_by(settings(where, "--where"))
    settle = Settle(stopping(on_error))
    shown = ", ".join(Path(file).name or file for file in files)
    found = Collector(wanted, name=shown, columns=tuple(by) or DEFAULTS)
    progress = LineProgress()
    with ExitStack() as stack:
        locations = stack.enter_context(located(once(files)))
        if not locations:
            raise UserError("no files", "watari leakage scan FILE...")
        rows = read(locations, prompts=prompts)
        leaks = stack.enter_context(_leaks(out)) if out is not None else None
        stack.callback(progress.clear)
        for scanned in collect(rows, found, expected=code, licensed=allowed, settle=settle):
            if leaks is not None:
                leaks.add(scanned)
            if as_json:
                # A live line would stand between the rows on a terminal.
                sys.stdout.write(json.dumps(scanned.as_json(), ensure_ascii=False) + "\n")
            if found.responses % TELL == 0 and not (as_json and sys.stdout.isatty()):
                progress.update(found.responses, unit="responses")
        _refuse_nothing(found, by)
        progress.clear()
        summary = summarise(found, by=by, seed=seed)
        if out is not None and leaks is not None:
            write_scan(out, summary, leaks, title=title)
    if as_json:
        typer.echo(json.dumps({"summary": summary.as_json()}, ensure_ascii=False))
        return
    from watari.cli.leaking.tables import summary_text

    typer.echo(summary_text(summary))
    if out is not None:
        typer.echo(f"{out / PAGE}")


def _leaks(out: Path) -> Leaks:
    """Open the folder of a scan.

    Raises:
        UserError: if there can be none, or it holds files that are none of a scan's.
    """
    from watari.leakage.writing import Leaks, foreign_file

    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file", "give a folder: --out DIR")
    if (name := foreign_file(out)) is not None:
        raise UserError(f"{out / name}: is there, and no scan wrote it", "give another folder: --out DIR")
    try:
        return Leaks(out)
    except (FileNotFoundError, FileExistsError) as error:
        raise UserError(f"{out}: cannot be made", "check the path: --out DIR") from error


def _refuse_nothing(found: Collector, by: Sequence[str]) -> None:
    """Refuse a scan of nothing, and a column that there is not.

    Raises:
        UserError: naming it.
    """
    if not found.responses:
        lost = sum(found.unreadable.values())
        what = (
            f"none of {found.passed_over:,} responses is wanted" if found.passed_over else "nothing to scan"
        )
        if lost:
            what += f"; {lost:,} cannot be read: {', '.join(found.unreadable)}"
        raise UserError(f"{found.name}: {what}", "check --where" if found.passed_over else None)
    check_columns(by, found.column_names)
