"""Runs of letters that the expected language is not written with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from watari.text.han import told_apart
from watari.text.leakage.event import EventClass, Severity
from watari.text.leakage.letters import GREEK, HAN, LETTERS, written_with

_GAP = 12
"""Two runs at most so far apart are one event where no letter stands between them (facts/preference-serving.md §3)."""
_LONG = 20
"""Letters from which a run is a switch of language wherever it stands (the same page)."""
_LINE = 8
"""Letters from which a run is a switch where it is most of its line."""
_WINDOW = 500
_NO_LETTERS = re.compile(r"[^\w\n]*(?:[\d_]+[^\w\n]*)*")
# A sentence of Japanese is one run though Chinese has its Han characters too.
_HAN_TOO = re.compile(rf"{_NO_LETTERS.pattern}|[{HAN}]{{1,6}}[、，]?")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fd-\u30ff\uff66-\uff9d]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch that may be a leak: `response[start:end]`, the language as in `Event`, what `mentions` looks for."""

    start: int
    end: int
    language: str
    cls: EventClass
    severity: Severity
    why: str
    letters: re.Pattern[str]


NAMES = {
    "ja": "Japanese",
    "zh": "Chinese",
    "ko": "Korean",
    "ru": "Cyrillic",
    "el": "Greek",
    "th": "Thai",
    "ar": "Arabic",
}


def foreign_runs(text: str, expected: str) -> Iterator[Run]:
    """Yield runs of letters that a language is not written with, runs near each other as one, in order."""
    pattern, scripts = _foreign(expected)
    between = _HAN_TOO if expected == "zh" else _NO_LETTERS
    start = end = -1
    for match in pattern.finditer(text):
        if start >= 0:
            gap = text[end : match.start()]
            if len(gap) <= _GAP and between.fullmatch(gap):
                end = match.end()
                continue
            yield _run(text, start, end, scripts)
        start, end = match.span()
    if start >= 0:
        yield _run(text, start, end, scripts)


def _run(text: str, start: int, end: int, scripts: tuple[tuple[re.Pattern[str], str], ...]) -> Run:
    stretch = text[start:end]
    counts = [(len(letters.findall(stretch)), name, letters) for letters, name in scripts]
    counts = [item for item in counts if item[0]]
    many = sum(count for count, _, _ in counts)
    _, name, letters = max(counts, key=lambda item: item[0])
    if name == "zh" and (_KANA.search(stretch) or not _chinese(stretch)):
        # Han characters alone are told by the sets that hold them; most of them are in both.
        name = "ja"
    if name in ("ja", "zh"):
        letters = EAST
        many = max(many, len(EAST.findall(stretch)))
    called = NAMES.get(name, name)
    if many >= _LONG or (many >= _LINE and 2 * many > len(_LETTER.findall(_around(text, start, end)))):
        return Run(start, end, name, "switch", "high", f"{many} {called} letters in a row", letters)
    if name in ("ja", "zh"):
        return Run(start, end, name, "token", "medium", f"{called} letters", letters)
    return Run(start, end, name, "glyph", "high", f"{called} letters", letters)


def _around(text: str, start: int, end: int) -> str:
    """Return the line of a stretch, of a long one what is near."""
    first = text.rfind("\n", max(0, start - _WINDOW), start) + 1 or max(0, start - _WINDOW)
    last = text.find("\n", end, end + _WINDOW)
    return text[first : end + _WINDOW if last < 0 else last]


def _chinese(stretch: str) -> bool:
    japanese, chinese = told_apart()
    one = sum(map(chinese.__contains__, stretch))
    return one > 0 and one > sum(map(japanese.__contains__, stretch))


EAST = re.compile("[" + "".join(letters for name, letters in LETTERS if name in ("ja", "zh")) + "]")


@cache
def _foreign(code: str) -> tuple[re.Pattern[str], tuple[tuple[re.Pattern[str], str], ...]]:
    """Return a pattern of runs of letters that a language is not written with, and one for each script with its name."""
    own = written_with(code)
    others = [(letters, name) for at, (name, letters) in enumerate(LETTERS) if at not in own]
    every = "".join(letters for letters, _ in others)
    # Three letters of Greek make a word; fewer are a formula.
    greek = "" if code == "el" else f"|[{GREEK}]{{3,}}"
    scripts = [(re.compile(f"[{letters}]"), name) for letters, name in others]
    if code != "el":
        scripts.append((re.compile(f"[{GREEK}]"), "el"))
    # The long vowel of katakana and the sign of a doubled Han character are no letters by themselves.
    tail = "" if code == "ja" else "[ー々]*"
    return re.compile(f"(?:[{every}]+{tail})+{greek}" if tail else f"[{every}]+{greek}"), tuple(scripts)
