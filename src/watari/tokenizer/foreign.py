"""Tokenizers that can be measured but not extended: whatever `tokenizers`, sentencepiece or tiktoken reads.

No added or special token is looked for in a text where the library lets that be: `<s>` is three characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.sentencepiece import SPACE, PieceKind, SpmModel, read_spm
from watari.tokenizer.encoder import Encoder, Ids
from watari.tokenizer.ranks import TIKTOKEN, first_line, is_rank_file, open_ranks, rank_file

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor
    from tokenizers import Tokenizer


def open_foreign(path: Path, name: str, *, pattern: str | None = None) -> Encoder:
    """Return a tokenizer that a library reads, whatever its algorithm.

    Args:
        path: A tokenizer.json (BPE, Unigram, WordPiece, word level), a SentencePiece model (also Unigram), a rank file
            of tiktoken's form (base64 and a number a line), or `tiktoken:NAME`.
        name: How messages and tables call it.
        pattern: For rank files: a key of `watari.tokenizer.ranks.PATTERNS` or a regular expression. Default: known by the file's content or name.

    Raises:
        UserError: if no library reads it, or a rank file comes without a pattern.
    """
    if str(path).startswith(TIKTOKEN):
        path = rank_file(str(path).removeprefix(TIKTOKEN))
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}") from None
    if is_rank_file(start):
        return open_ranks(path, name, pattern)
    if start.lstrip()[:1] == b"{":
        try:
            content = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{name}: not UTF-8 text") from None
        return encoder_of(content, name)
    model = read_spm(path)
    return _SentencePiece(name, model)


# --- sentencepiece ---


@dataclass(frozen=True)
class _SentencePiece:
    """Any SentencePiece model; sentencepiece itself encodes and decodes."""

    name: str
    model: SpmModel

    def __len__(self) -> int:
        return len(self.model)

    @cached_property
    def _processor(self) -> SentencePieceProcessor:
        try:
            return self.model.processor()
        except Exception as error:
            raise UserError(f"{self.name}: sentencepiece does not read it: {first_line(error)}") from None

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        return [np.asarray(ids, dtype=np.int32) for ids in self._processor.encode(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode([int(index) for index in ids]))

    def surfaces(self) -> list[bytes | None]:
        found: list[bytes | None] = []
        for piece in self.model.pieces:
            if piece.kind in (PieceKind.NORMAL, PieceKind.USER_DEFINED):
                found.append(piece.text.replace(SPACE, " ").encode("utf-8"))
            elif piece.kind is PieceKind.BYTE:
                found.append(bytes([int(piece.text[3:5], 16)]))
            else:
                found.append(None)
        return found


# --- tokenizer.json ---


@dataclass(frozen=True)
class _Json:
    """Any tokenizer.json, as the `tokenizers` library reads it, special tokens in a text taken as plain text."""

    name: str
    tokenizer: Tokenizer
    spelling: Callable[[str], bytes]

    @cached_property
    def _size(self) -> int:
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def __len__(self) -> int:
        return self._size

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(item.ids, dtype=np.int32) for item in found]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode([int(index) for index in ids], skip_special_tokens=False))

    def surfaces(self) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(self)
        added = self.tokenizer.get_added_tokens_decoder()
        for text, index in self.tokenizer.get_vocab(with_added_tokens=False).items():
            # A token that is both (Gemma's runs of line breaks) stands for its text like any other.
            if index not in added or not added[index].special:
                found[index] = self.spelling(text)
        return found


def encoder_of(content: str, name: str, settings: dict[str, Any] | None = None) -> Encoder:
    """Return the tokenizer in the content of a tokenizer.json.

    Args:
        content: The text of the file.
        name: How messages and tables call it.
        settings: The same, parsed, where that is at hand.

    Raises:
        UserError: if `tokenizers` does not read it.
    """
    from tokenizers import Tokenizer

    try:
        settings = settings or json.loads(content)
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:
        raise UserError(
            f"{name}: not a tokenizer.json that `tokenizers` reads: {first_line(error)}",
            "give a tokenizer.json, a SentencePiece .model, or a rank file of tiktoken's form",
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return _Json(name, tokenizer, _spelling(settings or {}))


def _spelling(settings: dict[str, Any]) -> Callable[[str], bytes]:
    """Return what turns a vocabulary entry into the bytes that it stands for, as the decoder or pre-tokenizer says."""
    kinds = set(_kinds(settings.get("decoder"))) or set(_kinds(settings.get("pre_tokenizer")))
    model = settings.get("model") or {}
    if "ByteLevel" in kinds:
        from watari.pretrained.alphabet import from_alphabet

        def byte_level(text: str) -> bytes:
            try:
                return from_alphabet(text)
            except ValueError:
                return text.encode("utf-8")

        return byte_level
    blank = SPACE if kinds & {"Metaspace", "Replace"} else None
    fallback = bool(model.get("byte_fallback")) or "ByteFallback" in kinds
    prefix = model.get("continuing_subword_prefix") or ""
    suffix = model.get("end_of_word_suffix") or ""

    def plain(text: str) -> bytes:
        if fallback and text.startswith("<0x") and re.fullmatch(r"<0x[0-9A-F]{2}>", text):
            return bytes([int(text[3:5], 16)])
        if prefix and text.startswith(prefix):
            text = text[len(prefix) :]
        if suffix and text.endswith(suffix):
            text = text[: -len(suffix)] + " "
        return (text.replace(blank, " ") if blank else text).encode("utf-8")

    return plain


def _kinds(part: Any) -> Iterator[str]:
    """Yield the type of a decoder or pre-tokenizer, or of every one of a sequence."""
    if isinstance(part, dict):
        yield str(part.get("type"))
        for inner in part.get("decoders") or part.get("pretokenizers") or []:
            yield from _kinds(inner)
