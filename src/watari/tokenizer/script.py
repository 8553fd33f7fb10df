"""Which characters belong to a language's script, so strictly that no text of another language holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from watari.errors import UserError
from watari.languages import languages, load_language

__all__ = ["Script", "languages", "script_of"]


@dataclass(frozen=True)
class Script:
    """The characters of a target language.

    Args:
        language: Its code.
        strict: Ranges (first, last) of the characters that only this language's texts hold.
        loose: Marks that other languages use too: a piece may hold them beside a strict character only.
        shares: Languages that hold some of the strict characters too; no promise is made for their texts.
        spaces: True if words are parted by blanks, so that a piece may begin with one.
    """

    language: str
    strict: tuple[tuple[int, int], ...]
    loose: str
    shares: tuple[str, ...]
    spaces: bool

    @cached_property
    def strict_class(self) -> str:
        """The strict characters as the inside of a regular expression's `[...]`."""
        return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in self.strict)

    @cached_property
    def strict_character(self) -> re.Pattern[str]:
        """Pattern of one strict character."""
        return re.compile(f"[{self.strict_class}]")

    def has_strict(self, text: str) -> bool:
        """True if at least one character belongs to this script alone."""
        return self.strict_character.search(text) is not None

    def is_strict(self, code: int) -> bool:
        """True if a code point belongs to this script alone."""
        return any(first <= code <= last for first, last in self.strict)


def script_of(language: str) -> Script:
    """Return the script of a language, from its pack (`watari.languages`).

    Raises:
        UserError: if the language has none.
    """
    try:
        pack = load_language(language).script
    except UserError:
        raise UserError(
            f"script: '{language}' has no language pack", f"known: {', '.join(languages())}"
        ) from None
    return Script(language, tuple(pack.ranges()), pack.loose, tuple(pack.shares), pack.spaces)
