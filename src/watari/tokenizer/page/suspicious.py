"""New pieces that look as if no word of the language were behind them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watari.tokenizer.page.pieces import NewPiece

REASONS = ("repeated", "run", "address", "boilerplate", "unused", "one_source")
"""Why a piece is told, in the order in which they are looked for."""
OFTEN = 50
"""A piece of one source only is told if it comes out there at least so often."""
LONG = 6
"""…and has at least so many characters: short ones are words of a subject."""
_REPEATED = re.compile(r"(.)\1{3}|^(.{1,4}?)\2{2,}$", re.DOTALL)
_ADDRESS = re.compile(r"https?|www|://|\.(?:com|net|org|co|jp|html?)\b|@", re.IGNORECASE)


@dataclass(frozen=True)
class Suspicion:
    """A piece, why it is told, and what of it matters: a phrase, a source."""

    piece: NewPiece
    reason: str
    about: str = ""


def suspicious(
    pieces: Sequence[NewPiece],
    boilerplate: Sequence[str] = (),
    by_source: Mapping[str, Sequence[int]] | None = None,
) -> list[Suspicion]:
    """Return the pieces that a person should look at, each once, by reason and then by id.

    Args:
        pieces: All new ones.
        boilerplate: Phrases of licences, colophons and page furniture, from the language's pack.
        by_source: For each text measured, how often each of `pieces` comes out of it; used where there are several.
    """
    found = [
        told
        for place, piece in enumerate(pieces)
        if (told := _judge(piece, place, boilerplate, by_source or {}))
    ]
    return sorted(found, key=lambda told: (REASONS.index(told.reason), told.piece.id))


def _judge(
    piece: NewPiece, place: int, boilerplate: Sequence[str], by_source: Mapping[str, Sequence[int]]
) -> Suspicion | None:
    text = piece.text
    if text is None:
        return None
    bare = text.strip()
    if _has_run(bare):
        return Suspicion(piece, "run")
    if _REPEATED.search(bare):
        return Suspicion(piece, "repeated")
    if _ADDRESS.search(unicodedata.normalize("NFKC", bare)):
        return Suspicion(piece, "address")
    phrase = next((phrase for phrase in boilerplate if phrase in text), None)
    if phrase is not None:
        return Suspicion(piece, "boilerplate", phrase)
    if len(by_source) > 1 and piece.length >= LONG:
        at = [(name, counts[place]) for name, counts in by_source.items() if counts[place]]
        if len(at) == 1 and at[0][1] >= OFTEN:
            return Suspicion(piece, "one_source", at[0][0])
    return Suspicion(piece, "unused") if piece.frequency == 0 else None


def _has_run(text: str) -> bool:
    """True if one mark of punctuation stands three times in a row, or the piece is three marks or more and no letter."""
    marks = [unicodedata.category(character)[0] in "PS" for character in text]
    same = any(
        marks[place] and text[place] == text[place + 1] == text[place + 2] for place in range(len(text) - 2)
    )
    return same or (len(text) > 2 and all(marks))
