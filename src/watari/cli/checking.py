"""The body of `watari check`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import orjson
import typer

from watari.errors import UserError


def check_command(
    file: str,
    *,
    source: str,
    target: str,
    target_only: bool,
    on_error: str,
    workers: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Check every row of `file`, and print a line of JSON a row, or a report.

    Raises:
        UserError: for an option or file that cannot be used, and for a broken row with --on-error stop.
    """
    from watari.synth.checked.rows import FaultHandler, checked_rows
    from watari.synth.checked.tally import Tally
    from watari.synth.checked.text_report import report_lines
    from watari.synth.checks.finding import Meta

    if on_error not in ("stop", "drop"):
        raise UserError(f"--on-error: '{on_error}' is no way to go on", "give stop or drop")
    source, target = _language("--source-lang", source), _language("--target-lang", target)
    if report is not None and not report.absolute().parent.is_dir():
        raise UserError(f"--report: {report.parent} is no folder", "make it first")
    faults = FaultHandler(stop=on_error == "stop")
    tally = Tally()
    rows = checked_rows(
        file,
        Meta(source=source, target=target),
        target_only=target_only,
        workers=_processes(workers),
        on_fault=faults,
    )
    for row in rows:
        tally.add(row)
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(row.as_json()) + b"\n")
    sys.stdout.flush()
    if not tally.rows:
        raise UserError(f"{file}: there is no row in it")
    if report is not None:
        # Before anything is printed: `| head` must not cost the page.
        from watari.synth.checked.page import write_page

        write_page(report, tally, title=Path(file).name)
    if not as_json:
        for line in report_lines(tally):
            typer.echo(line)
    for fault in faults.faults:
        typer.echo(f"watari: {fault}", err=True)
    if faults.count:
        typer.echo(f"watari: {faults.count} of {tally.rows} rows could not be read", err=True)
    if report is not None and not as_json:
        typer.echo(f"\npage: {report}")


def _language(option: str, value: str) -> str:
    from watari.text.language_codes import is_language_code, language_code

    code = language_code(value)
    if not is_language_code(code):
        raise UserError(f"{option}: '{value}' is no language code", "write en, ja, ...: ISO 639")
    return code


def _processes(workers: int) -> int:
    """Return how many processes work beside this one: as many as there are cores, none where there is one or with 1."""
    count = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or 1
    return count if count > 1 else 0
