"""The body of `watari route`."""

from __future__ import annotations

import sys

import orjson
import typer

from watari.errors import UserError

_TOLD = 20


def route_command(file: str, *, language: str, on_error: str, as_json: bool) -> None:
    """Route every row of `file`, and print a line of JSON a row, or a table.

    Raises:
        UserError: for an option or file that cannot be used, and for a broken row with --on-error stop.
    """
    from watari.artifact.records import Fault
    from watari.languages.routing import load_routing
    from watari.synth.routing_rows import Tally, routed_rows

    if on_error not in ("stop", "drop"):
        raise UserError(f"--on-error: '{on_error}' is no way to go on", "give stop or drop")
    load_routing(language)
    tally = Tally()
    faults = 0
    for row in routed_rows(file, language):
        if isinstance(row, Fault):
            if on_error == "stop":
                sys.stdout.flush()
                raise UserError(str(row), "mend the row, or give --on-error drop to go on without such rows")
            faults += 1
            if faults <= _TOLD:
                typer.echo(f"watari: {row}", err=True)
            continue
        tally.add(row)
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(row.as_json()) + b"\n")
    sys.stdout.flush()
    if faults:
        typer.echo(f"watari: {faults} of {tally.rows + faults} rows could not be read", err=True)
    if not tally.rows:
        raise UserError(f"{file}: there is no row in it that can be read")
    if not as_json:
        for line in tally.lines():
            typer.echo(line)
