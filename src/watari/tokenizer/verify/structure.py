"""What the files of a tokenizer say: pieces with scores, merges, added tokens, the steps around the model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.errors import UserError
from watari.pretrained.bytelevel import ByteModel
from watari.pretrained.sentencepiece import PieceKind, SpmModel, read_spm
from watari.tokenizer.encoder import Encoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class AddedToken:
    """A token that no merge makes.

    Args:
        content: Its text.
        special: Whether it is a mark of the model's (BOS, a chat mark), not a piece of text.
    """

    content: str
    special: bool


@dataclass(frozen=True)
class Structure:
    """What lies in a folder; everything is empty where only an encoder is known.

    Args:
        path: The folder or file; None where there is none.
        spm: The tokenizer.model, if it is one of SentencePiece's.
        fast: The content of tokenizer.json, or what one would hold for a form that says the same in other words.
        fast_file: Where it lies; None where there is no such file.
        config: The content of tokenizer_config.json.
        template: The chat template.
    """

    path: Path | None = None
    spm: SpmModel | None = None
    fast: dict[str, Any] | None = None
    fast_file: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)
    template: str | None = None

    @cached_property
    def added(self) -> dict[int, AddedToken]:
        """Special and added tokens by id, those of tokenizer.json first."""
        found: dict[int, AddedToken] = {}
        if self.spm is not None:
            for index, piece in enumerate(self.spm.pieces):
                if piece.kind not in (PieceKind.NORMAL, PieceKind.BYTE, PieceKind.UNUSED):
                    found[index] = AddedToken(piece.text, piece.kind is not PieceKind.USER_DEFINED)
        if self.fast is not None:
            for token in self.fast.get("added_tokens", []):
                found[int(token["id"])] = AddedToken(token["content"], bool(token["special"]))
        return found

    @cached_property
    def library(self) -> Tokenizer:
        """The tokenizer that `tokenizers` makes of tokenizer.json, special tokens in a text taken as text.

        Raises:
            Exception: whatever the library raises over the file.
        """
        from tokenizers import Tokenizer

        found = Tokenizer.from_file(str(self.fast_file))
        found.encode_special_tokens = True
        return found

    @cached_property
    def ranks(self) -> dict[tuple[str, str], int]:
        """Merges of tokenizer.json with their places."""
        if self.fast is None:
            return {}
        pairs = self.fast["model"].get("merges", [])
        split = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in pairs]
        return {(left, right): rank for rank, (left, right) in enumerate(split)}

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Entries of tokenizer.json's model with their ids."""
        vocabulary = {} if self.fast is None else self.fast["model"].get("vocab", {})
        return vocabulary if isinstance(vocabulary, dict) else {}


def read_structure(path: Path | None, encoder: Encoder | None = None) -> Structure:
    """Return what the files say; nothing for None.

    Args:
        path: A folder, of which every form is read, or one file, read with the tokenizer_config.json beside it.
        encoder: What was read from there before: a file with the same bytes is not parsed again.

    Raises:
        UserError: if a file is damaged.
    """
    if path is None:
        return Structure()
    whole = path.is_dir()
    folder = path if whole else path.parent
    spm_file = folder / "tokenizer.model" if whole else path
    fast_file = folder / "tokenizer.json" if whole else path
    model = getattr(encoder, "model", None)
    known = model if isinstance(model, SpmModel) else None
    spm = _spm(spm_file, known) if (whole or path.suffix != ".json") and spm_file.is_file() else None
    content = _json(fast_file) if whole or path.suffix == ".json" else {}
    # tekken.json and other forms have no such part.
    fast = content if isinstance(content.get("model"), dict) else None
    config = _json(folder / "tokenizer_config.json")
    template_file = folder / "chat_template.jinja"
    template = template_file.read_text("utf-8") if template_file.is_file() else config.get("chat_template")
    return Structure(
        path,
        spm,
        fast,
        None if fast is None else fast_file,
        config,
        template if isinstance(template, str) else None,
    )


def completed(files: Structure, encoder: Encoder) -> Structure:
    """Return `files` with what the encoder itself tells where no file does: its model, for an encoder of ours."""
    if files.spm is not None or files.fast is not None:
        return files
    model = getattr(encoder, "model", None)
    if isinstance(model, SpmModel):
        return replace(files, spm=model)
    if isinstance(model, ByteModel):
        return replace(files, fast=model.content)
    return files


def _spm(path: Path, known: SpmModel | None) -> SpmModel | None:
    if known is not None and path.read_bytes() == known.data:
        return known
    try:
        return read_spm(path)
    except UserError:
        # Llama 3 gives the same name to a list of ranks.
        return None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON: {str(error).splitlines()[0]}") from None
    return content if isinstance(content, dict) else {}
