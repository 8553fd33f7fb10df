"""`watari route FILE`: which conversations may be translated, and which must be made in the target language."""

from __future__ import annotations

from typing import Annotated

import typer

from watari.cli.options import JsonOption


def route(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Rows: .jsonl, .json, .parquet (.gz, .zst), a folder, hf://."),
    ],
    source_lang: Annotated[
        str, typer.Option("--source-lang", metavar="CODE", help="Language of the rows.")
    ] = "en",
    on_error: Annotated[
        str, typer.Option("--on-error", metavar="stop|drop", help="At a row that cannot be read.")
    ] = "stop",
    json_output: JsonOption = False,
) -> None:
    """Tell which rows must not be translated, and why.

    To count letters, to rhyme, to proofread: such tasks are about the words of their language. A row has `messages`, `prompt`,
    `prompt_en` or `instruction`. With --json one line a row, in order: {id, translate, reason, category, matched}.

    Example: watari route prompts.jsonl --json
    """
    from watari.cli.routing import route_command

    route_command(file, language=source_lang, on_error=on_error, as_json=json_output)
