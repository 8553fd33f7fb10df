"""Which characters belong to a language's script, so strictly that no text of another language holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watari.errors import UserError

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3000-\u30ff\u31f0-\u33ff"
_FULL_WIDTH = "\uff01-\uff9f"
_STRICT = {
    "ja": _KANA + _HAN + _FULL_WIDTH,
    "zh": "\u3000-\u303f\u3100-\u312f" + _HAN + "\uff01-\uff60",
    "ko": "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff",
}
_LOOSE = "‐-―‘’“”…‥·×"
"""Marks that both languages use. Taken as Japanese they changed 14 % of English documents (facts: tokenizer §6.2), so
a new piece may hold them only beside a strict character."""


@dataclass(frozen=True)
class Script:
    """The characters of a target language.

    Args:
        language: Its code.
        strict: Pattern of one character that only this language's texts hold.
        allowed: Pattern of a whole piece: strict characters and loose marks.
    """

    language: str
    strict: re.Pattern[str]
    allowed: re.Pattern[str]

    def is_target(self, text: str) -> bool:
        """True if every character may stand in a new piece."""
        return self.allowed.fullmatch(text) is not None

    def has_strict(self, text: str) -> bool:
        """True if at least one character belongs to this script alone."""
        return self.strict.search(text) is not None


def languages() -> list[str]:
    """Return the codes of the languages that have a script here."""
    return sorted(_STRICT)


def script_of(language: str) -> Script:
    """Return the script of a language.

    For `ja`, the ranges of facts: tokenizer §6.2; every character outside them keeps the base's segmentation.

    Raises:
        UserError: if the language has none here.
    """
    ranges = _STRICT.get(language)
    if ranges is None:
        raise UserError(
            f"language: '{language}' has no script table in tokenizer.extend",
            f"known: {', '.join(languages())}",
        )
    return Script(language, re.compile(f"[{ranges}]"), re.compile(f"[{ranges}{_LOOSE}]+"))
