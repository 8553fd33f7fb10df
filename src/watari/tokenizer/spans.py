"""A text as the base segments it: the stretches of target-script tokens, each once, with its weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.pretrained.sentencepiece import Piece, PieceKind, SpmModel
from watari.tokenizer.script import Script

BATCH = 256
"""Documents encoded at once."""


@dataclass(frozen=True)
class Spans:
    """Every stretch of the text that new pieces may be made of.

    Args:
        symbols: Text of each symbol id: the base's pieces, then the unknown characters.
        base: Number of the base's pieces; ids from here on are unknown characters.
        counts: How often each stretch occurs, by its ids (int32, native order, as bytes), in order of appearance.
    """

    symbols: list[str]
    base: int
    counts: Counter[bytes]


def unknown_characters(model: SpmModel, texts: Iterable[str], script: Script) -> list[str]:
    """Return the strict characters of `texts` that the base can only spell as bytes, in code point order."""
    seen: set[str] = set()
    for text in texts:
        seen.update(text)
    known = {piece.text for piece in model.pieces if piece.kind is PieceKind.NORMAL}
    return sorted(c for c in seen if script.has_strict(c) and c not in known)


def collect_spans(model: SpmModel, texts: list[str], script: Script) -> Spans:
    """Return the stretches of `texts`, as sequences of base pieces and unknown characters.

    The base is given each unknown character as a piece of its own for this. No merge can make or use it, so that the
    segmentation is the base's, with one symbol in place of the bytes of a character.
    """
    base = len(model)
    unknown = unknown_characters(model, texts, script)
    lowest = min(piece.score for piece in model.pieces)
    probe = model.extended([Piece(character, lowest) for character in unknown])
    symbols = [piece.text for piece in probe.pieces]
    inside = np.zeros(len(symbols), dtype=bool)
    for index, piece in enumerate(probe.pieces):
        inside[index] = piece.kind is PieceKind.NORMAL and script.is_target(piece.text)
    processor = probe.processor()
    counts: Counter[bytes] = Counter()
    for start in range(0, len(texts), BATCH):
        for ids in processor.encode(texts[start : start + BATCH]):
            sequence = np.asarray(ids, dtype=np.int32)
            counts.update(_runs(sequence, inside))
    return Spans(symbols, base, counts)


def _runs(sequence: npt.NDArray[np.int32], inside: npt.NDArray[np.bool_]) -> list[bytes]:
    """Return the longest runs of tokens that are `inside`, as bytes."""
    if not sequence.size:
        return []
    edges = np.diff(inside[sequence].astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [sequence[a:b].tobytes() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
