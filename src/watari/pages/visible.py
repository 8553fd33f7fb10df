"""How a text from outside is shown: shortened, with everything that cannot be seen made visible."""

from __future__ import annotations

import unicodedata

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Indic scripts and emoji are written with."""


def visible(text: str, *, lines: bool = True) -> str:
    """Return `text` with control, bidirectional and other format characters shown as signs.

    Args:
        text: Any text, also one with lone surrogates.
        lines: Keep line ends; otherwise each is `↵` (and a tab is a blank).
    """
    if lines and text.isprintable():
        return text
    return "".join(_sign(character, lines) for character in text)


def _sign(character: str, lines: bool) -> str:
    if character == "\n":
        return "\n" if lines else "↵"
    if character == "\t":
        return "\t" if lines else " "
    if character.isprintable() or character in _JOINERS:
        return character
    code = ord(character)
    if code in _PICTURES:
        return _PICTURES[code]
    category = unicodedata.category(character)
    if category == "Zs":
        return character
    return f"⟨U+{code:04X}⟩"


def shortened(text: str, characters: int) -> str:
    """Return the first `characters` of a text, with an ellipsis if that is not all."""
    return text if len(text) <= characters else text[: max(0, characters - 1)].rstrip() + "…"


def head(text: str, characters: int, *, lines: bool = True) -> str:
    """Return the beginning of a text as it can be shown."""
    return shortened(visible(text[: characters + 1], lines=lines), max(characters, 1))


def first_lines(text: str, lines: int) -> str:
    """Return the first lines of a text, with an ellipsis if there are more."""
    parts = text.split("\n")
    return text if len(parts) <= lines else "\n".join([*parts[:lines], "…"])


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes; a Japanese character takes two."""
    marks = [unicodedata.combining(character) > 0 for character in text]
    wide = sum(
        unicodedata.east_asian_width(character) in "WF" and not mark
        for character, mark in zip(text, marks, strict=True)
    )
    return len(text) + wide - sum(marks)


def fitted(text: str, width: int) -> str:
    """Return a text cut to `width` columns, with an ellipsis if cut."""
    if columns(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += columns(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"
