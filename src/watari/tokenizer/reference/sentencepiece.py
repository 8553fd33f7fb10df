"""SentencePiece BPE with byte fallback, from the definition (sentencepiece 0.2, `bpe_model.cc`), not from the library."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from watari.pretrained.fast import check_supported
from watari.pretrained.sentencepiece import SPACE, PieceKind, SpmModel
from watari.tokenizer.encoder import Ids
from watari.tokenizer.reference.merging import MEMORY, cut, merge

_MADE = (PieceKind.NORMAL, PieceKind.USER_DEFINED)
"""Pieces that a join may make; control, unknown and byte pieces are not looked up by their text."""


class SpmReference:
    """Encodes as a SentencePiece BPE model says.

    A text that is not empty gets a blank in front, and every blank becomes U+2581. User-defined pieces are cut out
    first, the longest at every place, and take part in no join. What lies between starts as characters; the pair whose
    joined text is the piece of the highest score is joined, the leftmost of equal ones, until no joined pair is a
    piece. A symbol that is no piece then becomes its UTF-8 bytes. Control pieces (`<s>`) are never found in a text.

    Args:
        model: The model.

    Raises:
        UserError: if it is of another family, see `check_supported`.
    """

    def __init__(self, model: SpmModel, name: str = "reference") -> None:
        check_supported(model, name)
        self.name = name
        self._prefix = SPACE if model.add_dummy_prefix else ""
        self._ids = {piece.text: index for index, piece in enumerate(model.pieces) if piece.kind in _MADE}
        self._rank = {text: -model.pieces[index].score for text, index in self._ids.items()}
        self._bytes = {
            int(piece.text[3:5], 16): index
            for index, piece in enumerate(model.pieces)
            if piece.kind is PieceKind.BYTE
        }
        whole = [piece.text for piece in model.pieces if piece.kind is PieceKind.USER_DEFINED]
        longest_first = sorted(whole, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, longest_first))) if whole else None
        self._joined = frozenset(text[at : at + 2] for text in self._ids for at in range(len(text) - 1))
        self._known: dict[str, list[int]] = {}

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return [np.asarray(self._encode(text), dtype=np.int32) for text in texts]

    def _encode(self, text: str) -> list[int]:
        if not text:
            return []
        spaced = self._prefix + text.replace(" ", SPACE)
        found: list[int] = []
        end = 0
        for match in self._whole.finditer(spaced) if self._whole else ():
            found += self._between(spaced[end : match.start()])
            found.append(self._ids[match.group()])
            end = match.end()
        return found + self._between(spaced[end:])

    def _between(self, text: str) -> list[int]:
        found: list[int] = []
        for stretch in cut(text, self._joined):
            ids = self._known.get(stretch)
            if ids is None:
                if len(self._known) >= MEMORY:
                    self._known.clear()
                ids = self._known[stretch] = self._stretch(stretch)
            found += ids
        return found

    def _stretch(self, text: str) -> list[int]:
        found: list[int] = []
        for symbol in merge(text, lambda left, right: self._rank.get(left + right)):
            index = self._ids.get(symbol)
            found += [index] if index is not None else [self._bytes[byte] for byte in symbol.encode("utf-8")]
        return found
