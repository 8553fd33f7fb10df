"""Text broken into lines for a terminal."""

from __future__ import annotations

from watari.pages.visible import columns

_CLOSING = frozenset("、。，．・：；！？）」』】〕〉》”’…ーぁぃぅぇぉっゃゅょァィゥェォッャュョ,.!?)]}")
"""What no line begins with."""


def _cut(line: str) -> int:
    """Return where a line that is one character too long is broken: not before a closing mark, if it can be helped."""
    cut = len(line) - 1
    for _ in range(3):
        if line[cut] in _CLOSING and cut > 1:
            cut -= 1
    return cut


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of at most `width` columns, broken at blanks where there are any, else between characters."""
    room = max(8, width - columns(indent))
    found = []
    for paragraph in text.split("\n"):
        line, used, blank = "", 0, -1
        for character in paragraph:
            size = columns(character)
            if used + size > room:
                cut = blank if blank > len(line) // 2 else _cut(line + character)
                found.append(indent + line[:cut].rstrip())
                line = line[cut:].lstrip()
                used, blank = columns(line), -1
            if character == " ":
                blank = len(line)
            line += character
            used += size
        found.append((indent + line).rstrip())
    return found
