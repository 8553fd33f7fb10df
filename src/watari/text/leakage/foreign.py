"""Runs of letters that the expected language is not written with, and Han characters and words of another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from watari.languages.leakage import leakage_profile
from watari.text.han import told_apart
from watari.text.leakage.event import EventClass, Severity
from watari.text.leakage.leaks import foreign_characters
from watari.text.leakage.letters import GREEK, HAN, LETTERS, written_with

_GAP = 12
"""Two runs at most so far apart are one event where no letter stands between them (facts/preference-serving.md §3)."""
_LONG = 20
"""Letters from which a run is a switch of language wherever it stands (the same page)."""
_LINE = 8
"""Letters from which a run is a switch where it is most of its line."""
_WINDOW = 500
_NO_LETTERS = re.compile(r"[^\w\n]*(?:[\d_]+[^\w\n]*)*")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fd-\u30ff\uff66-\uff9d]")
_HAN_LETTER = re.compile(f"[{HAN}]")
_LETTER = re.compile(r"[^\W\d_]")


Variant = Literal["hans", "hant"]
"""Chinese in simplified or in traditional characters."""


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


_NAMES = {
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
    start = end = -1
    for match in pattern.finditer(text):
        if start >= 0:
            gap = text[end : match.start()]
            if len(gap) <= _GAP and _NO_LETTERS.fullmatch(gap):
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
        letters = _EAST
    called = _NAMES.get(name, name)
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


_EAST = re.compile("[" + "".join(letters for name, letters in LETTERS if name in ("ja", "zh")) + "]")


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


def han_runs(text: str, expected: str) -> Iterator[Run]:
    """Yield Han characters and words of the other Han language, in a text that should be Japanese or Chinese."""
    characters, words, other = _other_han(expected)
    called = _NAMES[other]
    strange = characters.intersection(text)
    if strange:
        for match in re.finditer(f"[{''.join(sorted(strange))}]+", text):
            start, end = match.span()
            why = f"{match[0]}: in no character set of this language"
            yield Run(start, end, other, "token", "medium", why, _EAST)
    if words is not None:
        for match in words.finditer(text):
            start, end = match.span()
            if start == 0 or not _HAN_LETTER.match(text[start - 1]):
                yield Run(start, end, other, "token", "medium", f"a {called} word", _EAST)


def variant_runs(text: str, variant: Variant) -> Iterator[Run]:
    """Yield characters of the other Chinese standard, in a text that should be in simplified or traditional ones."""
    simplified, traditional = _standards()
    strange = (traditional if variant == "hans" else simplified).intersection(text)
    if strange:
        other = "traditional" if variant == "hans" else "simplified"
        for match in re.finditer(f"[{''.join(sorted(strange))}]+", text):
            why = f"{match[0]}: {other} characters"
            yield Run(match.start(), match.end(), "zh", "token", "low", why, _EAST)


@cache
def _standards() -> tuple[frozenset[str], frozenset[str]]:
    """Return (characters of GB 2312 that are not in Big5, common characters of Big5 that are not in GB 2312)."""
    han = [chr(point) for point in range(0x4E00, 0xA000)]
    simplified = frozenset(char for char in han if _within(char, "gb2312") and not _within(char, "big5"))
    common = (char for char in han if _within(char, "big5") and char.encode("big5") < b"\xc9\x40")
    return simplified, frozenset(char for char in common if not _within(char, "gb2312"))


@cache
def _other_han(expected: str) -> tuple[frozenset[str], re.Pattern[str] | None, str]:
    other = "zh" if expected == "ja" else "ja"
    profile = leakage_profile(expected)
    characters = foreign_characters(expected)
    if expected == "ja":
        # JIS X 0213 has the rare characters of names and old books, traditional ones that Chinese writes too among them.
        characters = frozenset(char for char in characters if not _within(char, "euc_jis_2004"))
        characters |= _simplified()
    characters |= frozenset(profile.characters.get(other, ""))
    listed = sorted(profile.foreign.get(other, "").split(), key=len, reverse=True)
    return characters, re.compile("|".join(map(re.escape, listed))) if listed else None, other


def _simplified() -> frozenset[str]:
    """Return the common characters of GB 2312 (its first level) that are neither in JIS X 0208 nor common in Taiwan."""
    found = []
    for point in range(0x4E00, 0xA000):
        char = chr(point)
        if _within(char, "cp932") or not _within(char, "gb2312") or char.encode("gb2312") >= b"\xd8":
            continue
        if not _within(char, "big5") or char.encode("big5") >= b"\xc9\x40":
            found.append(char)
    return frozenset(found)


def _within(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
