"""Which characters nobody needs, and which tokens hold one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from watari.errors import UserError
from watari.languages import languages, load_language

Unwanted = Callable[[int], str | None]
"""From a code point to the name under which it is unwanted (a language, a range, a script), None if it is wanted."""

LATIN = ("ca", "cs", "da", "de", "en", "es", "et", "fi", "fr", "hr", "hu", "id", "it", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "sk", "sl", "sv", "sw", "tl", "tr", "vi")  # fmt: skip
"""Languages of the Latin alphabet: it is always kept, so that naming one in `keep` asks for nothing more."""
_ALWAYS = (
    (0x0000, 0x036F),  # Latin, phonetic letters, combining marks
    (0x1AB0, 0x1AFF),  # combining marks
    (0x1D00, 0x1DFF),  # phonetic letters, combining marks
    (0x1E00, 0x1EFF),  # Latin
    (0x2070, 0x218F),  # superscripts, marks for symbols, letterlike symbols, number forms
    (0x2C60, 0x2C7F),  # Latin
    (0xA700, 0xA7FF),  # tone letters, Latin
    (0xAB30, 0xAB6F),  # Latin
    (0xFB00, 0xFB06),  # Latin ligatures
    (0xFE00, 0xFE2F),  # variation selectors, combining half marks
    (0xFF01, 0xFF5E),  # full-width ASCII
    (0x1D400, 0x1D7FF),  # mathematical letters and digits
    (0x1DF00, 0x1DFFF),  # Latin
    (0xE0100, 0xE01EF),  # variation selectors
)
_NO_SCRIPT = ("extended", "halfwidth", "fullwidth", "combining", "modifier")
"""Words that stand in front of the script in the names of some characters."""
_RANGE = re.compile(r"([0-9A-Fa-f]{1,6})(?:-([0-9A-Fa-f]{1,6}))?")


def ranges_of(item: str) -> list[tuple[int, int]]:
    """Return the ranges (first, last) that an item of `drop` or `keep` names.

    Args:
        item: The code of a language with a pack: its strict characters; or a range of code points, `0400-052F`.

    Raises:
        UserError: if it is neither.
    """
    if item in languages():
        return load_language(item).script.ranges()
    match = _RANGE.fullmatch(item)
    if match is None or len(match[1]) < 4:
        raise UserError(
            f"'{item}' is neither a language with a pack nor a range of code points",
            f"languages: {', '.join(languages())}; a range is written 0400-052F",
        )
    first, last = int(match[1], 16), int(match[2] or match[1], 16)
    if first > last or last > 0x10FFFF:
        raise UserError(f"'{item}' is no range of code points: from {first:04X} to {last:04X}")
    return [(first, last)]


def dropping(items: Sequence[str]) -> Unwanted:
    """Return the rule by which the characters of `items` are unwanted, and no other."""
    named = [(item, ranges_of(item)) for item in items]

    @cache
    def unwanted(code: int) -> str | None:
        for item, ranges in named:
            if any(first <= code <= last for first, last in ranges):
                return item
        return None

    return unwanted


def keeping(items: Sequence[str]) -> Unwanted:
    """Return the rule by which letters, marks and digits of all scripts but those of `items` are unwanted.

    The Latin alphabet, ASCII, and everything that is no letter, mark or digit (punctuation, symbols, blanks, emoji)
    are always wanted. An unwanted character goes by the script that its Unicode name begins
    with.
    """
    wanted = list(_ALWAYS)
    for item in items:
        if item not in LATIN:
            wanted += ranges_of(item)

    @cache
    def unwanted(code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] not in "LM" and category != "Nd":
            return None
        if any(first <= code <= last for first, last in wanted):
            return None
        words = re.split(r"[ -]", unicodedata.name(character, "unnamed").lower())
        script = next((word for word in words if word not in _NO_SCRIPT), words[0])
        return "han" if script == "cjk" else script

    return unwanted


def unwanted_in(surface: bytes, unwanted: Unwanted) -> str | None:
    """Return the name under which a token is unwanted, None if it is not.

    It is if it holds an unwanted character; or, in a byte-level vocabulary, if it ends with the beginning of one,
    whatever the rest of that character may be. The end of a character says nothing of its script: it stays.
    """
    start = 0
    while start < len(surface) and 0x80 <= surface[start] < 0xC0:
        start += 1
    try:
        text, rest = surface[start:].decode("utf-8"), b""
    except UnicodeDecodeError as error:
        text = surface[start : start + error.start].decode("utf-8")
        rest = surface[start + error.start :]
    for character in text:
        name = unwanted(ord(character))
        if name is not None:
            return name
    begun = _begun(rest)
    if begun is None:
        return None
    first, last = begun
    name = unwanted(first)
    return name if name is not None and all(unwanted(code) for code in range(first, last + 1)) else None


def _begun(rest: bytes) -> tuple[int, int] | None:
    """Return the first and last character that begin with `rest`; None if none does, or more than a plane's worth."""
    if len(rest) < 2:
        # One byte by itself stands for a sixth of a plane at least, and single bytes are never dropped anyway.
        return None
    length = 4 if rest[0] >= 0xF0 else 3 if rest[0] >= 0xE0 else 2
    if len(rest) >= length or any(byte & 0xC0 != 0x80 for byte in rest[1:]):
        return None
    missing = length - len(rest)
    # The least and greatest rest; where it would be too short a spelling or a surrogate, Python says so.
    try:
        first = ord((rest + b"\x80" * missing).decode("utf-8"))
        last = ord((rest + b"\xbf" * missing).decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return first, last
