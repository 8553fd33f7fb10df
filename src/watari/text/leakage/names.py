"""Whether a Latin word in small letters is part of a name, or of a line for a shell."""

from __future__ import annotations

import re
from functools import cached_property

from watari.text.leakage.lexicon import is_common, stop_words

_BULLET = re.compile(r"\A\s*(?:[-*+•・]|\(?\d{1,3}[.)．、）:]|#{1,6}|[①-⑳])?\s*[*_]{0,3}\Z")
_HEAD_END = re.compile(r"[*_]{0,3}\s*(?:[:：]|[-–—]|$)", re.MULTILINE)
# A name grows on Han characters, katakana and capitals, not on grammar.
_STEM = re.compile("[A-Za-z\u30a1-\u30fc\u3400-\u9fff][ a-z]*\\Z")
_HEAD = re.compile(r"\s*(?:[-*+•・]|\(?\d{1,3}[.)．、）:]|#{1,6}|[①-⑳])")
_TO_COLON = re.compile(r"[a-z ]{0,24}[*_]{0,3}\s*[:：]")
_BEFORE = re.compile(r"[A-Z][^\s\u3040-\u9fff]*[ \u3000&'’\-–—+×・]{1,3}\Z")
_BEHIND = re.compile(r"[ \u3000&'’\-–—+×・]{1,3}[A-Z]")
_RUN = re.compile(r"[A-Za-z][A-Za-z0-9 \u3000_.-]{0,60}[ \u3000]\Z")
_HEAD_SIZE = 40
"""The head of a list item has no more characters than this before a name ends."""


class Names:
    """The names of a response in which a Latin word may stand.

    Args:
        text: The response.
        code: ISO 639 code of the language of the words.
    """

    def __init__(self, text: str, code: str) -> None:
        self._text = text
        self._code = code

    def hold(self, start: int, end: int) -> bool:
        """Return whether a word is part of a name: beside a capitalised word, in a list item's head, or named elsewhere."""
        text = self._text
        if _BEFORE.search(text[max(0, start - 24) : start]) or _BEHIND.match(text[end : end + 24]):
            return True
        word = text[start:end]
        if self._in_head(start, end) or self._in_command(start):
            return True
        return word.capitalize() in self._capitals or word.upper() in self._capitals

    def _in_head(self, start: int, end: int) -> bool:
        """Return whether a word begins or ends the head of a list item: `10. 渋谷duo music exchange:`, `2. womb - ...`."""
        text = self._text
        first = text.rfind("\n", max(0, start - _HEAD_SIZE - 1), start) + 1
        if first == 0 and start > _HEAD_SIZE:
            return False
        head, after = text[first:start], text[end : end + 30]
        if _BULLET.match(head) and head.strip() and _HEAD_END.match(after):
            return True
        ends = _STEM.search(head) and _TO_COLON.match(after)
        return bool(ends and _HEAD.match(head) and "。" not in head)

    def _in_command(self, start: int) -> bool:
        """Return whether words before a word, in one run with it, begin a name or a command: `git remote show`."""
        run = _RUN.search(self._text[max(0, start - 62) : start])
        if run is None:
            return False
        first = run[0].split()[0]
        if first == "I":
            return False
        if first[0].isupper() or not first.isalpha():
            return True
        return not (is_common(first, self._code) or first in stop_words(self._code))

    @cached_property
    def _capitals(self) -> frozenset[str]:
        return frozenset(re.findall("(?<![A-Za-z])[A-Z][A-Za-z]*", self._text))
