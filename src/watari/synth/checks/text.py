"""A message's content taken apart once, for all checks: code, inline code, addresses, prose, sentences.

What is found follows CommonMark where it matters to a check, and is found in one pass: no text makes it slow. Blanked
texts (`outside`, `prose`) keep every character's place, and every line's end, so that a place in them is one in the content.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

_FENCE_LINE = re.compile(r"^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})([^\n]*)$", re.M)
_FENCE_END = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*$")
_TICKS = re.compile(r"`+|\n[ \t]*\n")
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"'`|\\^{}\[\]（）「」『』【】、。，！？　）]+", re.I)
_ASCII = re.compile(r"[\x00-\x7f]*")
_LINK_TARGET = re.compile(
    r"\]\(\s*(<[^<>\n]*>|[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
)
_REFERENCE = re.compile(r"^[ \t]{0,3}\[[^\]\n]+\]:[ \t]*(\S+)", re.M)
_TAG = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*|/)?>")
_ANCHOR = re.compile(r"\{#[^{}\n]*\}|\{/\*[^{}\n]*\*/\}")
_MATH = re.compile(
    r"\$\$[^$]+\$\$|(?<![\\$\w])\$(?=[^\s$])[^$\n]{0,400}?(?<=[^\s\\])\$(?![\w$])|\\\([^\n]{0,400}?\\\)"
)
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]*\}\}|(?<![$\w{])\$\{\w+\}|(?<![{\w])\{[\w.:!]*\}(?!\})")
_INDENTED = re.compile(r"^(?: {4}|\t)[^\n]*\S[^\n]*(?:\n(?:[ \t]*\n)*(?: {4}|\t)[^\n]*\S[^\n]*)*", re.M)
_LIST_LINE = re.compile(r"^[ \t>]*(?:[-*+•・]|\d{1,9}[.)])[ \t]")
_CODELIKE = re.compile(r"[{}();=<>\[\]$|\\]|^\s*(?:>>>|\.\.\.|#|\$|def |class |import |from )", re.M)
# A set first, so that `re` finds the places where it can begin.
_STOP = re.compile(
    r"[。！？!?.\n](?:(?<=[。！？!?])[。！？!?]*[」』）)\"'”’*_]*|(?<=\.)\.*[\"')\]”’*_]*(?=\s|$)|(?<=\n))"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a content: characters `start` to `stop`, and what stands there.

    Args:
        start, stop: Where, in the content.
        text: What is inside: of a fence its body, of inline code what stands between the backticks, of a link its
            target, else all of it.
        info: Of a fence, what stands after its backticks.
        closed: Of a fence, whether its end is there.
    """

    start: int
    stop: int
    text: str
    info: str = ""
    closed: bool = True


_Found = TypeVar("_Found")


class _Part(Generic[_Found]):
    """A part of a turn, found when it is first asked for and kept. `cached_property` takes a lock each time, until Python
    3.12: a tenth of the time of all checks; a turn that two threads take apart is taken apart twice, with one result."""

    def __init__(self, find: Callable[[Turn], _Found]) -> None:
        self._find = find
        self._name = find.__name__
        self.__doc__ = find.__doc__

    @overload
    def __get__(self, turn: None, owner: type[Turn]) -> _Part[_Found]: ...

    @overload
    def __get__(self, turn: Turn, owner: type[Turn]) -> _Found: ...

    def __get__(self, turn: Turn | None, owner: type[Turn]) -> _Part[_Found] | _Found:
        if turn is None:
            return self
        found = turn.__dict__[self._name] = self._find(turn)
        return found


class Turn:
    """One message, with its parts found when they are first asked for.

    Args:
        role: `system`, `user`, `assistant`.
        content: The text as it stands.
    """

    def __init__(self, role: str, content: str) -> None:
        self.role = role
        self.content = content

    @_Part
    def fences(self) -> list[Piece]:
        """Code blocks between lines of ``` or ~~~, in lists and quotations too; one that is not closed goes to the end."""
        content = self.content
        if "```" not in content and "~~~" not in content:
            return []
        found: list[Piece] = []
        opened: re.Match[str] | None = None
        for match in _FENCE_LINE.finditer(content):
            marks = match[1]
            if opened is None:
                # ```one line``` is inline code.
                if not (marks[0] == "`" and "`" in match[2]):
                    opened = match
            elif marks[0] == opened[1][0] and len(marks) >= len(opened[1]) and _FENCE_END.match(match[0]):
                body = content[opened.end() + 1 : match.start()]
                found.append(Piece(opened.start(), match.end(), body, opened[2].strip()))
                opened = None
        if opened is not None:
            body = content[opened.end() + 1 :]
            found.append(Piece(opened.start(), len(content), body, opened[2].strip(), closed=False))
        return found

    @_Part
    def outside(self) -> str:
        """The content with every character of a fence but line ends blanked: places stay the same."""
        return _blanked(self.content, self.fences)

    @_Part
    def indented(self) -> list[Piece]:
        """Code blocks of four blanks: after an empty line, not in a list, with something that looks like code."""
        outside = self.outside
        if "\n    " not in outside and "\n\t" not in outside and not outside.startswith(("    ", "\t")):
            return []
        found = []
        lists_until = -1
        for match in _INDENTED.finditer(outside):
            before = outside[: match.start()].rstrip(" \t")[-400:] if match.start() else ""
            if match.start() and not before.endswith("\n\n"):
                lists_until = match.end()
                continue
            above = [line for line in before.split("\n") if line.strip()]
            in_list = bool(above) and (above[-1][:1] in " \t" or _LIST_LINE.match(above[-1]) is not None)
            if in_list or match.start() < lists_until or not _CODELIKE.search(match[0]):
                continue
            found.append(Piece(match.start(), match.end(), match[0]))
        return found

    @property
    def stray_ticks(self) -> int:
        """Runs of backticks outside fences that are no end of inline code."""
        return len(self._ticks) - 2 * len(self.inline)

    @_Part
    def _ticks(self) -> list[tuple[int, int, int]]:
        """Start, stop and paragraph of each run of backticks outside fences."""
        runs: list[tuple[int, int, int]] = []
        block = 0
        for match in _TICKS.finditer(self.outside) if "`" in self.outside else ():
            if match[0][0] == "`":
                runs.append((match.start(), match.end(), block))
            else:
                block += 1
        return runs

    @_Part
    def inline(self) -> list[Piece]:
        """Inline code outside fences: between runs of as many backticks, within one paragraph."""
        outside = self.outside
        runs = self._ticks
        waiting: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, (start, stop, block) in enumerate(runs):
            waiting[block, stop - start].append(index)
        place = dict.fromkeys(waiting, 0)
        found = []
        index = 0
        while index < len(runs):
            start, stop, block = runs[index]
            key = (block, stop - start)
            same = waiting[key]
            at = place[key]
            while at < len(same) and same[at] <= index:
                at += 1
            place[key] = at
            if at < len(same):
                end = runs[same[at]]
                found.append(Piece(start, end[1], outside[stop : end[0]]))
                index = same[at] + 1
            else:
                index += 1
        return found

    @_Part
    def without_code(self) -> str:
        """The content with fences, indented code and inline code blanked."""
        return _blanked(_blanked(self.outside, self.indented), self.inline)

    @_Part
    def urls(self) -> list[Piece]:
        """Addresses outside fences (in inline code too), without the punctuation that ends a sentence after them."""
        if "://" not in self.outside:
            return []
        found = []
        for match in _URL.finditer(self.outside):
            text = _address(match[0])
            found.append(Piece(match.start(), match.start() + len(text), text))
        return found

    @_Part
    def links(self) -> list[Piece]:
        """Targets of Markdown links and pictures, and of reference definitions; `start` and `stop` are the target's."""
        text = self.without_code
        found = []
        if "](" in text:
            for match in _LINK_TARGET.finditer(text):
                found.append(Piece(match.start(1), match.end(1), match[1].strip("<>")))
        if "]:" in text:
            for match in _REFERENCE.finditer(text):
                found.append(Piece(match.start(1), match.end(1), match[1].strip("<>")))
        return found

    @_Part
    def tags(self) -> list[Piece]:
        """HTML, JSX and XML tags and comments outside code."""
        text = self.without_code
        if "<" not in text:
            return []
        found = [Piece(match.start(), match.end(), match[0]) for match in _TAG.finditer(text)]
        return sorted(found + _between(text, "<!--", "-->"), key=_start) if "<!--" in text else found

    @_Part
    def math(self) -> list[Piece]:
        r"""Formulas: $…$, $$…$$, \(…\), \[…\]."""
        text = self.without_code
        if "$" not in text and "\\" not in text:
            return []
        found = [Piece(match.start(), match.end(), match[0]) for match in _MATH.finditer(text)]
        return sorted(found + _between(text, "\\[", "\\]"), key=_start) if "\\[" in text else found

    @_Part
    def prose(self) -> str:
        """What was to be translated, each character in its place.

        Blank: code, addresses, link targets, tags, comments, heading anchors, placeholders, formulas.
        """
        text = self.without_code
        text = _blanked(text, self.links)
        text = _blanked(text, self.urls)
        text = _blanked(text, self.tags)
        text = _blanked(text, self.math)
        if "{" in text:
            text = _ANCHOR.sub(_blank_match, text)
            text = _PLACEHOLDER.sub(_blank_match, text)
        return text

    @_Part
    def without_marks(self) -> str:
        """The content without code blocks, addresses, link targets and anchors; inline code and tags stay."""
        text = _blanked(self.outside, self.indented)
        text = _blanked(text, self.links)
        text = _blanked(text, self.urls)
        return _ANCHOR.sub(_blank_match, text) if "{" in text else text

    @_Part
    def sentences(self) -> list[Piece]:
        """Sentences of the prose: cut after 。！？ and their like, after a full stop before a blank, at line ends."""
        found: list[Piece] = []
        prose = self.prose
        start = 0
        for match in _STOP.finditer(prose):
            _add(found, prose, start, match.end())
            start = match.end()
        _add(found, prose, start, len(prose))
        return found

    @_Part
    def blocks(self) -> list[Piece]:
        """Parts between empty lines, a fence as one; prose and code."""
        found = []
        start = 0
        text = _sealed(self.content, self.fences)
        for match in re.finditer(r"\n[ \t>]*\n\s*", text):
            if text[start : match.start()].strip():
                found.append(Piece(start, match.start(), self.content[start : match.start()]))
            start = match.end()
        if text[start:].strip():
            found.append(Piece(start, len(text), self.content[start:]))
        return found


def _address(text: str) -> str:
    """Return an address without what follows it: a bracket that it does not open, words of a script without blanks."""
    if not text.isascii() and "/wiki/" not in text:
        text = _ASCII.match(text)[0]  # type: ignore[index]
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            text = text[:place]
            break
    return text.rstrip(".,;:!?'\"*_")


def _start(piece: Piece) -> int:
    return piece.start


def _between(text: str, opening: str, closing: str) -> list[Piece]:
    """Return what stands between two marks, each search going on where the last one ended."""
    found = []
    at = text.find(opening)
    while at >= 0:
        end = text.find(closing, at + len(opening))
        if end < 0:
            break
        stop = end + len(closing)
        found.append(Piece(at, stop, text[at:stop]))
        at = text.find(opening, stop)
    return found


def _add(found: list[Piece], prose: str, start: int, stop: int) -> None:
    part = prose[start:stop]
    if text := part.strip():
        begin = start + len(part) - len(part.lstrip())
        found.append(Piece(begin, begin + len(text), text))


def _blank(text: str) -> str:
    if "\n" not in text:
        return " " * len(text)
    return "\n".join(" " * len(line) for line in text.split("\n"))


def _blank_match(match: re.Match[str]) -> str:
    return _blank(match[0])


def _sealed(text: str, pieces: list[Piece]) -> str:
    """Return the text with no empty line inside a piece."""
    if not pieces:
        return text
    parts = []
    at = 0
    for piece in pieces:
        parts += [text[at : piece.start], "`" * (piece.stop - piece.start)]
        at = piece.stop
    return "".join(parts) + text[at:]


def _blanked(text: str, pieces: list[Piece]) -> str:
    if not pieces:
        return text
    parts = []
    at = 0
    for piece in pieces:
        if piece.start >= at:
            parts += [text[at : piece.start], _blank(text[piece.start : piece.stop])]
            at = piece.stop
    parts.append(text[at:])
    return "".join(parts)
