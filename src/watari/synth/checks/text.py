"""A message's content taken apart once, for all checks: code, inline code, addresses, prose, sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_FENCE = re.compile(
    r"^([ \t>]*)(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)(?:^[ \t>]*\2[`~]*[ \t]*$|\Z)", re.M | re.S
)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"'`|\\^{}\[\]（）「」『』【】、。，！？　]+", re.I)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>|<!--.*?-->", re.S)
_SENTENCE = re.compile(r"[^。！？!?.\n]*(?:[。！？!?]+[」』）)\"']*|\.+[\"')\]]*(?=\s|$)|\n|.)", re.S)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a content: characters `start` to `stop`, and what stands there.

    Args:
        start, stop: Where, in the content.
        text: What is inside: of a fence its body, of inline code what stands between the backticks, else all of it.
        info: Of a fence, the word after its backticks.
    """

    start: int
    stop: int
    text: str
    info: str = ""


class Turn:
    """One message, with its parts found when they are first asked for.

    Args:
        role: `system`, `user`, `assistant`.
        content: The text as it stands.
    """

    def __init__(self, role: str, content: str) -> None:
        self.role = role
        self.content = content

    @cached_property
    def fences(self) -> list[Piece]:
        """Code blocks between lines of ``` or ~~~; one that is not closed goes to the end."""
        if "```" not in self.content and "~~~" not in self.content:
            return []
        return [
            Piece(match.start(), match.end(), match[4], match[3].strip())
            for match in _FENCE.finditer(self.content)
        ]

    @cached_property
    def outside(self) -> str:
        """The content with every character of a fence but line ends blanked: places stay the same."""
        return _blanked(self.content, self.fences)

    @cached_property
    def inline(self) -> list[Piece]:
        """Inline code outside fences."""
        if "`" not in self.outside:
            return []
        return [Piece(match.start(), match.end(), match[2]) for match in _INLINE.finditer(self.outside)]

    @cached_property
    def urls(self) -> list[Piece]:
        """Addresses outside fences (in inline code too), without the punctuation that ends a sentence after them."""
        if "://" not in self.outside:
            return []
        found = []
        for match in _URL.finditer(self.outside):
            text = match[0].rstrip(".,;:!?)'\"*_")
            found.append(Piece(match.start(), match.start() + len(text), text))
        return found

    @cached_property
    def prose(self) -> str:
        """The content with code, addresses and tags blanked: what was to be translated, each character in its place."""
        text = _blanked(self.outside, self.inline)
        text = _blanked(text, self.urls)
        if "<" in text:
            text = _TAG.sub(lambda match: _blank(match[0]), text)
        return text

    @cached_property
    def sentences(self) -> list[Piece]:
        """Sentences of the prose: cut after 。！？ and their like, after a full stop before a blank, at line ends."""
        found = []
        start = 0
        prose = self.prose
        for match in _SENTENCE.finditer(prose):
            stop = match.end()
            if match[0][-1:] in "。！？!?.\n」』）)\"'" or stop == len(prose):
                if text := prose[start:stop].strip():
                    begin = start + len(prose[start:stop]) - len(prose[start:stop].lstrip())
                    found.append(Piece(begin, begin + len(text), text))
                start = stop
        if text := prose[start:].strip():
            begin = start + len(prose[start:]) - len(prose[start:].lstrip())
            found.append(Piece(begin, begin + len(text), text))
        return found


def _blank(text: str) -> str:
    return "".join("\n" if char == "\n" else " " for char in text)


def _blanked(text: str, pieces: list[Piece]) -> str:
    if not pieces:
        return text
    parts = []
    at = 0
    for piece in pieces:
        parts += [text[at : piece.start], _blank(text[piece.start : piece.stop])]
        at = max(at, piece.stop)
    parts.append(text[at:])
    return "".join(parts)
