"""`watari graft`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def graft(
    model: Annotated[Path, typer.Option("--model", help="The base: a Hugging Face folder, safetensors.")],
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", help="An extension of its tokenizer, with graft.json.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must be new or empty.")],
    init: Annotated[
        str | None,
        typer.Option("--init", help="How new rows begin (docs/tokenizer.md) [default: by what is given]."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", metavar="FILE...", help="Documents in both languages, for inits that need them."
        ),
    ] = None,
    field: Annotated[str, typer.Option("--field", help="The column of a row that holds its text.")] = "text",
    align: Annotated[int, typer.Option("--align", help="Make the rows a multiple of this.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of every draw.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Graft a model: one new row for each new token.

    Every weight of the base keeps its bits; files are streamed, so the model need not fit in memory.

    Example: watari graft --model base --tokenizer extended --init count-bias --text both.jsonl --out grafted
    """
    from watari.cli.options import check_new_folder, print_json
    from watari.cli.progress import LineProgress
    from watari.model.graft_model import graft_model
    from watari.tokenizer.texts import read_texts

    check_new_folder(out)
    progress = LineProgress()
    texts = read_texts(text, field=field) if text else None
    figures = graft_model(
        model, tokenizer, out, init=init, text=texts, align=align, seed=seed, progress=progress
    )
    progress.clear()
    if json_output:
        print_json({**figures, "out": str(out)})
        return
    typer.echo(f"{figures['vocabulary_before']:,} + {figures['rows_added']:,} rows by {figures['init']}")
    before, after = figures["parameters_before"], figures["parameters"]
    typer.echo(f"{before:,} -> {after:,} parameters; written: {out}")
