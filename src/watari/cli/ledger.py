"""`watari ledger ...`: what was asked of endpoints, what came back and what it cost; while a run goes on, and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ledger_app = typer.Typer(
    help="Look at what endpoints were asked and what it cost; ask again.", no_args_is_help=True
)

PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="DIR", help="A run's folder, an --out folder, a ledger file, or postgresql://host/base."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]


@ledger_app.callback()
def _ledger() -> None:
    """Look at what endpoints were asked and what it cost; ask again."""


@ledger_app.command("status")
def status(place: PlaceArgument, json_output: JsonOption = False) -> None:
    """Show what was asked, answered, accepted, found and spent.

    Only reads; a run may be going on. Rows count once each: accepted by the checks, answered and not judged, faulty
    (judged, never accepted), failed (never answered), or waiting to be asked again.

    Example: watari ledger status runs/demo --json
    """
    from watari.cli.ledgers import status_command

    status_command(place, as_json=json_output)


@ledger_app.command("tail")
def tail(
    place: PlaceArgument,
    count: Annotated[int, typer.Option("-n", min=0, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with those to come, until Ctrl-C.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show the newest attempts.

    With --json one line each, whole, with request, response and verdicts.

    Example: watari ledger tail runs/demo -n 5 --follow
    """
    from watari.cli.ledgers import tail_command

    tail_command(place, count=count, follow=follow, as_json=json_output)


@ledger_app.command("export")
def export(
    place: PlaceArgument,
    out: Annotated[
        Path, typer.Option("--out", dir_okay=False, help="The file to write: .parquet or .jsonl.")
    ],
    json_output: JsonOption = False,
) -> None:
    """Write every attempt with its answer and verdicts to a file.

    The same ledger gives the same bytes.

    Example: watari ledger export runs/demo --out attempts.parquet
    """
    from watari.cli.ledgers import export_command

    export_command(place, out, as_json=json_output)


@ledger_app.command("retry")
def retry(
    place: PlaceArgument,
    check: Annotated[
        str | None, typer.Option("--check", metavar="CODE", help="Rows whose last answer has this finding.")
    ] = None,
    status_: Annotated[
        str | None,
        typer.Option("--status", metavar="WORD", help="Rows whose last attempt ended so: timeout, ..."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="STAGE", help="Only this stage; given alone: all of its rows."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Have rows asked again by the next run.

    Nothing is deleted: their answers stay on record and are no longer used. A stage that is finished is run again with
    `watari run RECIPE --force STAGE`.

    Example: watari ledger retry runs/demo --check numbers
    """
    from watari.cli.ledgers import retry_command

    retry_command(place, check=check, status=status_, label=label, as_json=json_output)
