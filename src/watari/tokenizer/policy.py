"""What a new piece may be: its characters, its length, and how sure the text must be of it.

A piece is judged twice. When two symbols meet, by `Traits` alone, which follow from those of its halves, so that the
learner can judge millions of pairs cheaply; and once more by its whole text before it takes a place (`refuses`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from watari.pretrained.sentencepiece import SPACE
from watari.tokenizer.script import Script

# Bits of what a text holds.
STRICT, LETTER, MARK, DIGIT, HAN, KANA, OTHER_SCRIPT, BLANK_FIRST, BLANK_INSIDE = (1 << n for n in range(9))

_KANA = ((0x3041, 0x309F), (0x30A1, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
_HAN = ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


@dataclass(frozen=True)
class Policy:
    """Which pieces are wanted. A new piece always holds a strict character of `script`.

    Args:
        script: The target script.
        max_length: Characters of the longest piece, a leading blank not counted.
        min_frequency: How often it must occur when it is learned, by weight.
        min_sources: In how many sources it must occur.
        digits: Let ASCII digits stand inside a piece (`2001年`). A number inside Japanese is then no longer spelled
            digit by digit, which helps compression (facts: tokenizer §4) and may harm arithmetic.
        cross_word: Let a piece run across punctuation, or across blanks in a language that has them.
        mixed_scripts: Let a piece hold kanji and kana both.
        forbidden: Regular expressions; a piece in which one is found is not taken.
    """

    script: Script
    max_length: int = 16
    min_frequency: int = 2
    min_sources: int = 1
    digits: bool = False
    cross_word: bool = True
    mixed_scripts: bool = True
    forbidden: tuple[str, ...] = ()

    @cached_property
    def _usable(self) -> re.Pattern[str]:
        digits = "0-9" if self.digits else ""
        loose = re.escape(self.script.loose)
        blank = " ?" if self.script.spaces else ""
        inner = " " if self.script.spaces and self.cross_word else ""
        return re.compile(f"{blank}[{self.script.strict_class}{loose}{digits}{inner}]*")

    @cached_property
    def _forbidden(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(pattern) for pattern in self.forbidden)

    def usable(self, text: str) -> bool:
        """True if a symbol with this text may be a part of a new piece. A blank is b" " here, not U+2581."""
        return bool(text) and self._usable.fullmatch(text) is not None

    def bits(self, text: str) -> int:
        """Return what `text` holds; of two symbols joined, the two sides' bits, but see `joined`."""
        found = BLANK_FIRST if text.startswith(" ") else 0
        if " " in text[1:]:
            found |= BLANK_INSIDE
        for character in text.replace(" ", ""):
            code = ord(character)
            strict = self.script.is_strict(code)
            found |= STRICT if strict else 0
            if character in "0123456789":
                found |= DIGIT
            elif any(a <= code <= b for a, b in _HAN):
                found |= LETTER | HAN
            elif any(a <= code <= b for a, b in _KANA) or character == "ー":
                found |= LETTER | KANA
            elif character.isalpha() or _is_joiner(character):
                found |= LETTER | OTHER_SCRIPT
            else:
                found |= MARK
        return found

    @staticmethod
    def joined(left: int, right: int) -> int:
        """Return the bits of two symbols' texts, one behind the other."""
        inside = BLANK_INSIDE if right & BLANK_FIRST else 0
        return left | (right & ~BLANK_FIRST) | inside

    @cached_property
    def conflicts(self) -> tuple[int, ...]:
        """Sets of bits of which no piece may hold all."""
        found = []
        if not self.cross_word:
            found += [LETTER | MARK, DIGIT | MARK, BLANK_INSIDE]
        if not self.mixed_scripts:
            found += [HAN | KANA, HAN | OTHER_SCRIPT, KANA | OTHER_SCRIPT]
        return tuple(found)

    def clashes(self, bits: int) -> bool:
        """True if a piece with these bits is not wanted."""
        return any(bits & mask == mask for mask in self.conflicts)

    def refuses(self, text: str) -> bool:
        """True if the whole text of a piece is not wanted: `forbidden`."""
        return any(pattern.search(text) for pattern in self._forbidden)


def _is_joiner(character: str) -> bool:
    """True for marks that are written with letters: vowel signs, tone marks, points."""
    import unicodedata

    return unicodedata.category(character) in ("Mn", "Mc")


def piece_text(piece: str) -> str:
    """Return a SentencePiece piece as text: a blank for U+2581."""
    return piece.replace(SPACE, " ")
