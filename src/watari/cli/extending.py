"""The body of `watari tokenizer extend`: from files to a folder, with what was found on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from watari.errors import UserError


def extend_command(
    base: str,
    files: list[str],
    out: Path,
    *,
    weights: list[float] | None,
    field: str,
    unit: str,
    fuzz: int,
    dry_run: bool,
    as_json: bool,
    choices: dict[str, Any],
) -> None:
    """Extend the tokenizer `base` by pieces learned from `files`, write it to `out` and print the figures.

    Raises:
        UserError: for a choice, file or base that cannot be used.
        CheckFailed: if a promise of the certificate is broken.
    """
    from watari.cli.options import check_new_folder, checked, print_json
    from watari.cli.progress import LineProgress
    from watari.tokenizer.build import extend_tokenizer, write_extension
    from watari.tokenizer.certificate import certify
    from watari.tokenizer.extend import Choices, compared, is_held_out, teller
    from watari.tokenizer.opening import locate, open_base
    from watari.tokenizer.texts import read_texts

    chosen = checked(Choices, choices, {"language": "script", "characters_per_token": "chars-per-token"})
    if weights is not None and (len(weights) != len(files) or min(weights) <= 0):
        raise UserError(
            f"--weight: {len(weights)} weights for {len(files)} files",
            "give one above 0 for each FILE, in order",
        )
    check_new_folder(out)
    opened = open_base(base)
    progress = LineProgress()
    progress.update(0, None, note="reading")
    texts = read_texts(files, field=field, unit=unit)
    train = [text for text in texts if not is_held_out(text, chosen.seed)]
    held_out = [text for text in texts if is_held_out(text, chosen.seed)]
    if not train:
        train, held_out = texts, []
    most = chosen.goal().most(len(opened))
    if dry_run:
        characters = sum(len(text.text) for text in texts)
        typer.echo(f"base: {base}, {opened.family}, {len(opened):,} ids")
        typer.echo(
            f"text: {len(train):,} documents to learn from, {len(held_out):,} held out; {characters:,} characters"
        )
        typer.echo(f"goal: at most {most:,} new pieces, {len(opened) + most:,} ids in all")
        return
    by_source = None if weights is None else _by_source(files, weights)
    extension = extend_tokenizer(
        opened,
        train,
        chosen.policy(),
        chosen.goal(),
        weights=by_source,
        prune_unused=chosen.prune,
        tell=teller(progress),
    )
    source = locate(base)
    write_extension(extension, out, templates=source.parent)
    progress.update(0, None, note="proving")
    base_files = source.parent if Path(base).is_dir() else source
    sheet = certify(
        opened,
        base_files,
        out,
        held_out or train,
        chosen.policy().script,
        fuzz=fuzz,
        seed=chosen.seed,
        progress=progress,
    )
    progress.clear()
    extended = extension.extended
    figures = {
        "base": base,
        "family": opened.family,
        "vocabulary_before": len(opened),
        "vocabulary": len(extended),
        "added": len(extension.graft.pieces),
        "unused_left_out": extension.unused,
        "only_steps": extension.graft.frequency.count(0),
        "not_writable": len(extension.lost),
        "characters_per_token": {
            name: compared(opened, extended, part)
            for name, part in (("train", train), ("held_out", held_out))
            if part
        },
        "certificate": {"holds": sheet.holds, "invariants": len(sheet.results)},
        "out": str(out),
    }
    if as_json:
        print_json(figures)
        return
    _show(figures)


def _by_source(files: list[str], weights: list[float]) -> dict[str, float]:
    names = [Path(name).name for name in files]
    if len(set(names)) < len(names):
        raise UserError(
            "--weight: two FILEs have the same name", "weights go by name; rename one, or leave --weight out"
        )
    return dict(zip(names, weights, strict=True))


def _show(figures: dict[str, Any]) -> None:
    typer.echo(
        f"{figures['vocabulary_before']:,} + {figures['added']:,} = {figures['vocabulary']:,} ids"
        + (f"; {figures['unused_left_out']:,} unused left out" if figures["unused_left_out"] else "")
    )
    for name, found in figures["characters_per_token"].items():
        label = {"train": "learned from", "held_out": "held out"}[name]
        ratio = found["after"] / found["before"]
        typer.echo(
            f"characters per token, {label}: {found['before']:.3f} -> {found['after']:.3f} ({ratio:.2f}x)"
        )
    typer.echo(f"certificate: all {figures['certificate']['invariants']} invariants hold")
    typer.echo(f"written: {figures['out']}")
