"""The body of `watari tokenizer trim`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from watari.errors import UserError


def trim_command(
    base: str, out: Path, files: list[str], *, field: str, as_json: bool, asked: dict[str, Any]
) -> None:
    """Trim the tokenizer `base`, write it to `out` and print the figures.

    Raises:
        UserError: for a choice, file or base that cannot be used.
        CheckFailed: if a promise of the certificate is broken.
    """
    from watari.cli.options import check_new_folder, checked, print_json
    from watari.cli.progress import LineProgress
    from watari.tokenizer.opening import locate
    from watari.tokenizer.texts import read_texts
    from watari.tokenizer.trim import Asked, metrics, trim_tokenizer

    chosen = checked(Asked, asked)
    check_new_folder(out)
    texts = read_texts(files, field=field) if files else []
    if chosen.min_frequency is not None and not texts:
        raise UserError("--min-frequency counts tokens in --text, which is not given")
    progress = LineProgress()
    source = Path(base) if Path(base).is_dir() else locate(base)
    trimming = trim_tokenizer(source, out, chosen, texts, name=base, progress=progress)
    progress.clear()
    figures = {"base": base, **metrics(trimming, texts), "out": str(out)}
    if as_json:
        print_json(figures)
        return
    before, after = figures["vocabulary_before"], figures["vocabulary"]
    typer.echo(
        f"{before:,} - {before - after:,} = {after:,} ids; {figures['needed_by_others']:,} kept for others' sake"
    )
    saved = figures["parameters_saved"]
    typer.echo(f"saves {saved['a_table'] / 1e6:.0f}M parameters a table at hidden size {saved['hidden']:,}")
    typer.echo(f"written: {out}")
