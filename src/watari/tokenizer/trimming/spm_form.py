"""A SentencePiece BPE model, as it is trimmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from watari.pretrained.fast import merges, write_fast_tokenizer
from watari.pretrained.sentencepiece import SPACE, PieceKind, SpmModel
from watari.tokenizer.encoder import Ids
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.trimming.joining import joined
from watari.tokenizer.trimming.moving import moved_settings


@dataclass(frozen=True)
class SpmForm:
    """A SentencePiece model. Scores stand for ranks: two neighbours are joined if the two together are a piece.

    Args:
        base: The model with its encoder.
        grown_from: Number of its first pieces that are those of the tokenizer that it extends, all if it extends none.
    """

    base: SpmBpe
    grown_from: int

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.base.name

    @property
    def settings(self) -> dict[str, Any]:
        """The content of its `tokenizer_config.json`."""
        return self.base.settings

    @property
    def model(self) -> SpmModel:
        """The model."""
        return self.base.model

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.base)

    def pieces(self) -> list[str]:
        """Return the piece of each id."""
        return self.base.pieces()

    def surfaces(self) -> list[bytes | None]:
        """Return the bytes that each id puts into a text."""
        return self.base.surfaces()

    @cached_property
    def _normal(self) -> dict[str, int]:
        return {p.text: index for index, p in enumerate(self.model.pieces) if p.kind is PieceKind.NORMAL}

    def fixed(self) -> dict[int, str]:
        """Return the ids that are never left out: special, bytes, single ASCII characters, runs of blanks."""
        found = {}
        for index, piece in enumerate(self.model.pieces):
            if piece.kind is PieceKind.BYTE:
                found[index] = "byte"
            elif piece.kind is not PieceKind.NORMAL:
                found[index] = "special"
            elif not piece.text.strip(SPACE):
                # Of equal scores: leaving one out would change how the others come about.
                found[index] = "blank"
            elif len(piece.text) == 1 and piece.text.isascii():
                found[index] = "ascii"
        return found

    def specials(self) -> dict[str, int]:
        """Return the ids of unk, bos, eos, and of user-defined and further control pieces."""
        own = (PieceKind.NORMAL, PieceKind.BYTE)
        return {p.text: index for index, p in enumerate(self.model.pieces) if p.kind not in own}

    def needs(self, index: int) -> set[int]:
        """Return the ids that a piece is made from, itself included."""
        text = self.model.pieces[index].text
        if self.model.pieces[index].kind is not PieceKind.NORMAL:
            return {index}
        made, last = joined(list(text), self._rank)
        # tokenizer.json joins only what is in its vocabulary, sentencepiece any characters: with each character of a
        # kept piece kept, the two agree.
        parts = [*text, *(made if last == [text] else [])]
        return {index, *(self._normal[part] for part in parts if part in self._normal)}

    def _rank(self, left: str, right: str) -> float | None:
        index = self._normal.get(left + right)
        return None if index is None else -self.model.pieces[index].score

    def joins(self) -> list[tuple[str, str]]:
        """Return the merge list of tokenizer.json."""
        return merges(self.model, self.grown_from)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return self.base.encode(texts)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""
        return self.base.decode(ids)

    def kept(self, ids: Sequence[int]) -> SpmForm:
        """Return this tokenizer with the ids `ids` alone."""
        trimmed = SpmBpe(self.name, self.model.trimmed(ids), moved_settings(self.settings, ids))
        return SpmForm(trimmed, sum(index < self.grown_from for index in ids))

    def write(self, out: Path) -> None:
        """Write tokenizer.model, tokenizer.json and tokenizer_config.json."""
        write_fast_tokenizer(self.model, out, base=self.grown_from, settings=self.settings)
