"""SentencePiece BPE with byte fallback (Llama 1/2, Mistral 7B) as an `Encoder` that can be extended."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.errors import UserError
from watari.pretrained.fast import check_supported, write_fast_tokenizer
from watari.pretrained.sentencepiece import SPACE, Piece, PieceKind, SpmModel, read_spm
from watari.tokenizer.encoder import Family, Ids

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

_EXACT = 1 << 24
"""Whole numbers below this are exact in float32, in which scores are stored."""


@dataclass(frozen=True)
class SpmBpe:
    """A SentencePiece BPE model; sentencepiece itself encodes and decodes."""

    name: str
    model: SpmModel
    settings: dict[str, Any] = field(default_factory=dict)
    family: Family = "sentencepiece"

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.model)

    @cached_property
    def _processor(self) -> SentencePieceProcessor:
        return self.model.processor()

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return [np.asarray(ids, dtype=np.int32) for ids in self._processor.encode(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""
        return str(self._processor.decode([int(index) for index in ids]))

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text."""
        found: list[bytes | None] = []
        for piece in self.model.pieces:
            if piece.kind is PieceKind.NORMAL:
                found.append(piece.text.replace(SPACE, " ").encode("utf-8"))
            elif piece.kind is PieceKind.BYTE:
                found.append(bytes([int(piece.text[3:5], 16)]))
            else:
                found.append(None)
        return found

    def digest(self) -> str:
        """Return the hash of the pieces in the order of their ids."""
        return self.model.digest()

    def pieces(self) -> list[str]:
        """Return every piece in the order of the ids."""
        return [piece.text for piece in self.model.pieces]

    def spelled(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the ids of each piece inside a text.

        A line break in front keeps the leading blank away; it is one piece or one byte, and joins with nothing.
        """
        skip = len(self._processor.encode("\n"))
        texts = ["\n" + piece.replace(SPACE, " ") for piece in pieces]
        return [ids[skip:] for ids in self._processor.encode(texts)]

    def extended(self, pieces: Sequence[str]) -> SpmBpe:
        """Return this model with `pieces` appended, each scored one below the one before, all below the base's.

        Pieces that are only blanks stand at -1e9 in Llama and Mistral, where float32 cannot tell neighbours apart;
        they are left out when the lowest score is looked for (facts: tokenizer §6.1).

        Raises:
            UserError: if the scores would not be distinct in float32.
        """
        floor = math.floor(
            min(p.score for p in self.model.pieces if p.kind is PieceKind.NORMAL and p.text.strip(SPACE))
        )
        if -floor + len(pieces) >= _EXACT:
            raise UserError(
                f"base: the lowest score of {self.name} is {floor}: {len(pieces)} lower ones are not distinct in float32"
            )
        added = [Piece(text, float(floor - 1 - rank)) for rank, text in enumerate(pieces)]
        return SpmBpe(self.name, self.model.extended(added), self.settings)

    def write(self, out: Path, *, base: int) -> None:
        """Write tokenizer.model, tokenizer.json and tokenizer_config.json."""
        write_fast_tokenizer(self.model, out, base=base, settings=self.settings)


def read_spm_bpe(path: Path, name: str, *, fast: Path | None = None, config: Path | None = None) -> SpmBpe:
    """Return the model in the `tokenizer.model` at `path`.

    Args:
        path: The file.
        name: How messages call it.
        fast: A tokenizer.json beside it: it must not hold added tokens that the model lacks.
        config: A tokenizer_config.json beside it.

    Raises:
        UserError: if it is of another family (Unigram, no byte fallback), or has added tokens behind its pieces.
    """
    model = read_spm(path)
    check_supported(model, f"base: {name}")
    if fast is not None and fast.is_file():
        added = json.loads(fast.read_text("utf-8")).get("added_tokens", [])
        beyond = [token["content"] for token in added if token["id"] >= len(model)]
        if beyond:
            raise UserError(
                f"base: {name} has added tokens behind its pieces ({beyond[0]!r}): not supported yet in this version",
                "extend the tokenizer of the pre-trained base, and let the chat tokens come after",
            )
    settings = json.loads(config.read_text("utf-8")) if config is not None and config.is_file() else {}
    return SpmBpe(name, model, settings)
