"""The body of `watari eval report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

_TOLD = 5
"""Refused models that are named."""


def report_command(
    files: Sequence[str],
    *,
    out: Path,
    spec: str | None,
    invalid: str | None = None,
    max_invalid: float = 0.05,
    judge: str | None = None,
    title: str = "",
    plots: bool = True,
    seed: int = 0,
) -> None:
    """Write the page, tables and plots, and say what was written."""
    from watari.evals.page.report import report

    made = report(
        [Path(file) for file in files],
        out,
        spec=spec,
        invalid=invalid,
        max_invalid=max_invalid,
        judge=judge,
        title=title,
        plots=plots,
        seed=seed,
    )
    for board in made.boards:
        best = board.shown[0] if board.shown else None
        who = f" by {board.judge}" if board.judge else ""
        first = f"; first: {best.model} {board.written(best.overall.value)}" if best else ""
        typer.echo(f"{board.spec}{who}: {len(board.entries):,} models{first}")
        refused = [entry for entry in board.entries if entry.refused]
        for entry in refused[:_TOLD]:
            typer.echo(f"  refused: {entry.model}: {entry.refused}")
        if refused:
            more = f"  and {len(refused) - _TOLD:,} more; " if len(refused) > _TOLD else "  "
            typer.echo(f"{more}--invalid drop, or --max-invalid SHARE, shows them all the same")
    for note in made.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{made.page}  ({len(made.files)} files in {out})")
