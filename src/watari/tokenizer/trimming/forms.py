"""A BPE tokenizer that can be trimmed, in the two forms of its files: `tokenizer.model` and `tokenizer.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from watari.errors import UserError
from watari.pretrained.graft import GRAFT, read_graft
from watari.pretrained.sentencepiece import vocabulary_digest
from watari.tokenizer.bytes import read_byte_bpe
from watari.tokenizer.encoder import Ids
from watari.tokenizer.opening import locate
from watari.tokenizer.spm import read_spm_bpe
from watari.tokenizer.trimming.json_form import JsonForm, falls_back
from watari.tokenizer.trimming.spm_form import SpmForm

__all__ = ["Form", "JsonForm", "SpmForm", "digest_of_pieces", "open_form"]


class Form(Protocol):
    """A tokenizer that can be trimmed."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def settings(self) -> dict[str, Any]:
        """The content of its `tokenizer_config.json`."""

    def __len__(self) -> int:
        """Size of the table of ids."""

    def pieces(self) -> list[str]:
        """Return the piece of each id, "" for a gap."""

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text; None for special and added tokens and gaps."""

    def fixed(self) -> dict[int, str]:
        """Return the ids that are never left out, each with the reason."""

    def specials(self) -> dict[str, int]:
        """Return the ids of the special and added tokens by their texts."""

    def needs(self, index: int) -> set[int]:
        """Return the ids that this one's text is made from: its characters, and what they are joined to on the way."""

    def joins(self) -> list[tuple[str, str]]:
        """Return the merge list of tokenizer.json."""

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, which is plain text throughout."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""

    def kept(self, ids: Sequence[int]) -> Form:
        """Return this tokenizer with the ids `ids` (rising) alone."""

    def write(self, out: Path) -> None:
        """Write its files."""


def open_form(source: Path, name: str) -> Form:
    """Return a tokenizer.

    Args:
        source: A folder, a file (what lies beside it is read too), or a packaged name, see `watari.tokenizer.opening`.
        name: How messages call it.

    Raises:
        UserError: if there is none, or it is of a family that cannot be trimmed (Unigram, WordPiece).
    """
    path = locate(str(source))
    config, graft = path.parent / "tokenizer_config.json", path.parent / GRAFT
    if path.suffix != ".json":
        base = read_spm_bpe(path, name, fast=path.parent / "tokenizer.json", config=config)
        grown_from = read_graft(path.parent).base_vocabulary if graft.is_file() else len(base)
        return SpmForm(base, min(grown_from, len(base)))
    if "tekken" not in path.name:
        try:
            content = json.loads(path.read_text("utf-8"))
            settings = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        except ValueError as error:
            raise UserError(f"base: {name}: not JSON: {str(error).splitlines()[0]}") from None
        if falls_back(content, name):
            return JsonForm(name, content, settings)
    bytewise = read_byte_bpe(path, name, config=config)
    return JsonForm(name, bytewise.model.content, bytewise.settings, bytewise.model)


def digest_of_pieces(form: Form) -> str:
    """Return the hash of the pieces in the order of their ids."""
    return vocabulary_digest(form.pieces())
