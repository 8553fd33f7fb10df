"""From what a person writes to a tokenizer: a name, a file or a folder."""

from __future__ import annotations

from pathlib import Path

from watari.artifact.outside import packaged_file
from watari.errors import UserError
from watari.tokenizer.encoder import BpeTokenizer, Encoder

PACKAGED = ("mistral-v1", "mistral-v3", "tekken")
"""Tokenizers that travel inside mistral-common."""
_FILES = ("tokenizer.model", "tokenizer.json", "tekken.json")


def locate(source: str) -> Path:
    """Return the file that `source` means: its tokenizer.model where it has one, else its tokenizer.json.

    Args:
        source: One of `PACKAGED`, a folder, or a file.

    Raises:
        UserError: if there is no such thing.
    """
    name = source.removeprefix("package://")
    path = Path(source)
    if name in PACKAGED and not path.exists():
        return packaged_file(f"package://{name}")
    if path.is_dir():
        for file in _FILES:
            if (path / file).is_file():
                return path / file
        raise UserError(f"{source}: no tokenizer in this folder", f"one of {', '.join(_FILES)} is wanted")
    if not path.is_file():
        raise UserError(
            f"{source}: no such file or folder",
            f"give a folder, a tokenizer.model, a tokenizer.json, or one of {', '.join(PACKAGED)}",
        )
    return path


def open_base(source: str, *, name: str | None = None) -> BpeTokenizer:
    """Return a tokenizer that can be extended.

    Args:
        source: See `locate`.
        name: How messages call it; default: `source`.

    Raises:
        UserError: if it is missing, or of a family that cannot be extended (Unigram, WordPiece, no byte fallback).
    """
    path = locate(source)
    shown = name or source
    config = path.parent / "tokenizer_config.json"
    if path.suffix == ".json":
        from watari.tokenizer.bytes import read_byte_bpe

        return read_byte_bpe(path, shown, config=config)
    from watari.tokenizer.spm import read_spm_bpe

    return read_spm_bpe(path, shown, fast=path.parent / "tokenizer.json", config=config)


def open_encoder(source: str, *, name: str | None = None, pattern: str | None = None) -> Encoder:
    """Return any tokenizer that can be measured: those of `open_base`, and every other that a library loads.

    Args:
        source: See `locate`; also `tiktoken:cl100k_base` and a rank file of tiktoken's form.
        name: How messages call it; default: `source`.
        pattern: How a rank file cuts a text, where it is not known by the file (`watari.tokenizer.ranks`).

    Raises:
        UserError: if it is missing or no library here reads it.
    """
    from watari.tokenizer.foreign import open_foreign
    from watari.tokenizer.ranks import TIKTOKEN

    if source.startswith(TIKTOKEN):
        return open_foreign(Path(source), name or source, pattern=pattern)
    path = locate(source)
    try:
        return open_base(source, name=name)
    except UserError:
        return open_foreign(path, name or source, pattern=pattern)
