"""`watari doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watari.model.doctor import Report

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    model: Annotated[Path, typer.Argument(help="A model folder, an artifact, or RUN/stages/STAGE.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Examine a model: BOS, template, end tokens, rows, settings.

    Each finding comes with what it means and how to mend it. Exit code 3 if a check fails; warnings do not count.

    Example: watari doctor runs/demo/stages/dpo
    """
    import json

    from transformers.utils import logging

    from watari.errors import CheckFailed
    from watari.model.doctor import examine
    from watari.pretrained import find_model

    # Reports are of the checks; what transformers remarks while loading is in them, in words.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    report = examine(find_model(model), name=str(model))
    if json_output:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(report)
    if not report.ok:
        failed = [check.name for check in report.checks if check.status == "fail"]
        raise CheckFailed(
            f"{model}: {len(failed)} of {len(report.checks)} checks failed: {', '.join(failed)}"
        )


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, padding=(0, 1), show_header=False, expand=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in report.checks:
        body = Text(check.found)
        if check.status != "ok":
            body.append(f"\n{check.meaning}", style="dim")
            body.append(f"\nmend: {check.mend}", style=_STYLES[check.status])
        table.add_row(Text(check.status, style=_STYLES[check.status]), Text(check.name), body)
    console.print(Text(report.model, style="bold"))
    console.print(table)
    console.print(
        f"ok {report.count('ok')} · warn {report.count('warn')} · fail {report.count('fail')}",
        highlight=False,
    )
