"""`watari check FILE`: every check on any file of conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.options import JsonOption


def check(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Rows: .jsonl, .json, .parquet (.gz, .zst), a folder, hf://."),
    ],
    source_lang: Annotated[
        str, typer.Option("--source-lang", metavar="CODE", help="Language of the sources.")
    ] = "en",
    target_lang: Annotated[
        str, typer.Option("--target-lang", metavar="CODE", help="Language of the targets.")
    ] = "ja",
    target_only: Annotated[
        bool, typer.Option("--target-only", help="The rows have no source: only checks that need none.")
    ] = False,
    on_error: Annotated[
        str, typer.Option("--on-error", metavar="stop|drop", help="At a row that cannot be read.")
    ] = "stop",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes [default: the machine's cores]; 1: none more.")
    ] = 0,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page with examples too.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Run every check on a file of conversations.

    A row is {id, kind, src, tgt, finish_reason, free} or {id, messages, source_messages}; each side is a list of {role, content}.
    With --json one line a row, in order. Exit code 0 whatever is found in the rows.

    Example: watari check pairs.jsonl.gz --source-lang en --target-lang ja --json
    """
    from watari.cli.checking import check_command

    check_command(
        file, source=source_lang, target=target_lang, target_only=target_only, on_error=on_error, workers=workers,
        report=report, as_json=json_output,
    )  # fmt: skip
