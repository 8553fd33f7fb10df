"""`watari convert`: checkpoints of other programs to Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

convert_app = typer.Typer(
    help="Convert checkpoints of other programs to Hugging Face folders.", no_args_is_help=True
)


@convert_app.callback()
def _convert() -> None:
    """Convert checkpoints of other programs to Hugging Face folders."""


@convert_app.command("llama2c")
def llama2c(
    checkpoint: Annotated[Path, typer.Argument(help="A llama2.c checkpoint, version 0 (legacy).")],
    tokenizer: Annotated[Path, typer.Argument(help="Its tokenizer.bin.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must not exist yet.")],
) -> None:
    """Convert a llama2.c checkpoint.

    Writes safetensors, an exact tokenizer.json and tokenizer.model.

    Example: watari convert llama2c stories260K.bin tok512.bin stories260K
    """
    from transformers.utils import logging

    from watari.model.llama2c import convert

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    convert(checkpoint, tokenizer, out)
    typer.echo(f"written: {out}")
