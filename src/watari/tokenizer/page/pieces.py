"""The new pieces by what they are made of, how long they are, and how often they come out."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from watari.pretrained.graft import Graft

CATEGORIES = (
    "part",
    "single",
    "digits",
    "marks",
    "punctuated",
    "han",
    "hiragana",
    "katakana",
    "kana",
    "mixed",
    "letters",
    "phrase",
)
"""What a piece can be; the first that fits, but that the scripts stand behind what is told apart by form."""
_HIRAGANA, _KATAKANA, _HAN = "hiragana", "katakana", "han"
_RANGES = (
    (0x3041, 0x309F, _HIRAGANA),
    (0x30A1, 0x30FA, _KATAKANA),
    (0x30FC, 0x30FF, _KATAKANA),
    (0x31F0, 0x31FF, _KATAKANA),
    (0xFF66, 0xFF9F, _KATAKANA),
    (0x3005, 0x3007, _HAN),
    (0x3400, 0x4DBF, _HAN),
    (0x4E00, 0x9FFF, _HAN),
    (0xF900, 0xFAFF, _HAN),
    (0x20000, 0x3FFFF, _HAN),
)


@dataclass(frozen=True)
class NewPiece:
    """One new entry of the vocabulary.

    Args:
        id: Its id.
        rank: The place in which it was learned, from 0.
        text: What it stands for; None for a part of a character.
        category: One of `CATEGORIES`.
        frequency: How often it comes out of the learning text.
        tokens: Tokens that the base takes for it.
    """

    id: int
    rank: int
    text: str | None
    category: str
    frequency: int
    tokens: int

    @property
    def length(self) -> int:
        """Characters, a leading blank not counted; 0 for a part of one."""
        return len((self.text or "").removeprefix(" "))


@dataclass(frozen=True)
class Group:
    """The pieces of one category.

    Args:
        category: Which.
        count: How many.
        share: Of all new pieces.
        used: Of all that comes out of the learning text as a new piece.
        length: Characters on average.
        examples: The most frequent.
    """

    category: str
    count: int
    share: float
    used: float
    length: float
    examples: list[NewPiece]


def new_pieces(graft: Graft, texts: Sequence[str | None]) -> list[NewPiece]:
    """Return every new piece, in the order of the ids."""
    return [
        NewPiece(graft.base_vocabulary + place, rank, text, category_of(text), frequency, len(parents))
        for place, (rank, text, frequency, parents) in enumerate(
            zip(graft.ranks, texts, graft.frequency, graft.parents, strict=True)
        )
    ]


def category_of(text: str | None) -> str:
    """Return what a piece is made of.

    "part" of a character; "single" character; with "digits"; "marks" alone; "punctuated" letters; a "phrase" with a
    blank inside; then by script: "han", "hiragana", "katakana", both "kana", Han and kana "mixed", other "letters".
    """
    if text is None:
        return "part"
    bare = text.removeprefix(" ")
    if len(bare) == 1:
        return "single"
    kinds = {_kind(character) for character in bare}
    if "digit" in kinds:
        return "digits"
    if kinds <= {"mark", "blank"}:
        return "marks"
    if "mark" in kinds:
        return "punctuated"
    if "blank" in kinds:
        return "phrase"
    if kinds == {_HAN}:
        return "han"
    if kinds <= {_HIRAGANA, _KATAKANA}:
        return "kana" if len(kinds) == 2 else kinds.pop()
    return "mixed" if kinds <= {_HAN, _HIRAGANA, _KATAKANA} else "letters"


def groups(pieces: Sequence[NewPiece], examples: int = 10) -> list[Group]:
    """Return the categories that occur, the largest first."""
    used = sum(piece.frequency for piece in pieces) or 1
    found = []
    for category in CATEGORIES:
        mine = [piece for piece in pieces if piece.category == category]
        if not mine:
            continue
        best = sorted((p for p in mine if p.text is not None), key=lambda piece: (-piece.frequency, piece.id))
        found.append(
            Group(
                category,
                len(mine),
                len(mine) / len(pieces),
                sum(piece.frequency for piece in mine) / used,
                sum(piece.length for piece in mine) / len(mine),
                best[:examples],
            )
        )
    return sorted(found, key=lambda group: (-group.count, group.category))


def lengths(pieces: Sequence[NewPiece]) -> list[tuple[int, int]]:
    """Return (characters, number of pieces) for every length from 1 to the longest; parts of characters left out."""
    counts = Counter(piece.length for piece in pieces if piece.text is not None)
    return [(length, counts[length]) for length in range(1, max(counts, default=0) + 1)]


def longest(pieces: Sequence[NewPiece], count: int) -> list[NewPiece]:
    """Return the longest pieces, of equal ones the most frequent first."""
    return sorted(pieces, key=lambda piece: (-piece.length, -piece.frequency, piece.id))[:count]


def rarest(pieces: Sequence[NewPiece], count: int) -> list[NewPiece]:
    """Return the pieces that come out least often."""
    whole = [piece for piece in pieces if piece.text is not None]
    return sorted(whole, key=lambda piece: (piece.frequency, -piece.id))[:count]


def commonest(pieces: Sequence[NewPiece], count: int) -> list[NewPiece]:
    """Return the pieces that come out most often."""
    return sorted(pieces, key=lambda piece: (-piece.frequency, piece.id))[:count]


def _kind(character: str) -> str:
    code = ord(character)
    for first, last, name in _RANGES:
        if first <= code <= last:
            return name
    category = unicodedata.category(character)
    if category == "Nd":
        return "digit"
    if character == " ":
        return "blank"
    # The full-width space, too, is set between clauses, not words.
    return "mark" if category[0] in "PSZ" else "letter"
