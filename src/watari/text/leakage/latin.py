"""Words in Latin letters in a language of another script."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from watari.languages.leakage import leakage_profile
from watari.text.leakage.foreign import Run
from watari.text.leakage.letters import LATIN, LATIN_LETTER, own_letters
from watari.text.leakage.lexicon import is_common, looks_like, stop_words
from watari.text.leakage.names import Names

# A word in small letters that is no part of a name, a path, an address, an option or an identifier.
_WORD = re.compile(
    rf"(?<![{LATIN}_@#\\$%&=<\uff21-\uff5a])(?<![{LATIN}0-9][-/+:'’])(?<![{LATIN}]\.)(?<!--)[a-z]{{3,24}}"
    rf"(?![{LATIN}_@(\uff21-\uff5a]|[0-9](?![0-9]*[.)] |[0-9]+[^\x00-\x7f]|[0-9]*[年月日時分秒個人名本回円代歳位点度])|[-./+:=][{LATIN}0-9]|['’][A-Za-z])"
)
_TERM = 4
"""A word that stands so often in a response is one of its terms (`state` in a page on React)."""
_IDENTIFIER = re.compile(r"(?<![A-Za-z])[a-z]{2,}[A-Z][a-z]|[a-z]_[a-z]")
_FORMAT = re.compile("[a-z]{4,}|[^aeiou]{3}")
_CODED = 3
"""Different words of code in a text from which it speaks of code."""
_NUMBER = re.compile(r"[0-9０-９一二三四五六七八九十百千万][ \u3000]?\Z")


def latin_words(text: str, expected: str, prompt: str = "") -> Iterator[Run]:
    """Yield common words in small letters of a language in Latin letters, beside letters of the expected language.

    Capitalised words, acronyms, units and words within names are left alone (facts/preference-serving.md §3).
    """
    matches = list(_WORD.finditer(text))
    if not matches:
        return
    lines = _Lines(text)
    own = _own(expected)
    harmless, code_words, units = _passing(expected)
    words = {match[0] for match in matches}
    coded = "`" in text or "`" in prompt or len(words & code_words) >= _CODED or _IDENTIFIER.search(text)
    if coded:
        harmless |= code_words
    spaced = _by_blanks(expected)
    profile = leakage_profile(expected)
    # Where code or technology is spoken of, a word in no list is the name of something.
    guessed = not coded and not profile.mixes
    for code in profile.latin:
        # Where the prompt speaks of the language, a short word is more likely spoken of than used.
        short: frozenset[str] = frozenset() if _speaks_of(code, prompt) else stop_words(code)
        often = Counter(match[0] for match in matches)
        names = Names(text, code)
        technical = _technical_lines(text, lines, matches, code) if profile.mixes else frozenset()
        for match in matches:
            word = match[0]
            start, end = match.span()
            if (
                word in harmless
                or often[word] >= _TERM
                or not (is_common(word, code) or (guessed and looks_like(word, code)))
            ):
                continue
            if technical and lines.start(start) in technical:
                continue
            left, right = _beside(text, lines, start, end, own)
            if not (left or right):
                continue
            if word in units and _NUMBER.search(text[max(0, start - 3) : start]):
                continue
            if len(word) == 3 and not (left and right and word in short and not spaced):
                continue
            if not names.hold(start, end):
                why = f"a word of {code} in small letters"
                yield Run(start, end, code, "token", "medium", why, LATIN_LETTER)


class _Lines:
    """Where the lines of a text begin and end; it is gone through once, however long one line is."""

    def __init__(self, text: str) -> None:
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._size = len(text)

    def start(self, place: int) -> int:
        at = bisect_left(self._breaks, place)
        return self._breaks[at - 1] + 1 if at else 0

    def end(self, place: int) -> int:
        at = bisect_left(self._breaks, place)
        return self._breaks[at] if at < len(self._breaks) else self._size


def _technical_lines(text: str, lines: _Lines, matches: Sequence[re.Match[str]], code: str) -> frozenset[int]:
    """Return the first places of lines that hold an identifier, or words in small letters that are none (csv, kubectl)."""
    signs = [match.start() for match in _IDENTIFIER.finditer(text)]
    signs += [
        match.start() for match in matches if _FORMAT.fullmatch(match[0]) and not is_common(match[0], code)
    ]
    return frozenset(map(lines.start, signs))


def _speaks_of(code: str, prompt: str) -> bool:
    return bool(prompt) and any(name in prompt for name in leakage_profile(code).names)


def _beside(text: str, lines: _Lines, start: int, end: int, own: re.Pattern[str]) -> tuple[bool, bool]:
    """Return whether the letters next to a word, left and right, are the expected language's.

    Those of its line count; of a word that is alone in its line, those of the lines around it.
    """
    first, last = lines.start(start), lines.end(end)
    left, right = _next_letter(text, start - 1, first - 1, -1), _next_letter(text, end, last, 1)
    if left or right:
        return bool(left and own.match(left)), bool(right and own.match(right))
    above, below = text[max(0, first - 99) : first].rstrip(), text[last : last + 99].lstrip()
    alone = bool(own.search(above)) and bool(own.search(below))
    return alone, alone


def _next_letter(text: str, at: int, stop: int, way: int) -> str:
    while at != stop:
        if text[at].isalpha():
            return text[at]
        at += way
    return ""


@cache
def _passing(code: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return words that are no leak: harmless ones, those of code, units."""
    profile = leakage_profile(code)
    harmless, code_words, units = (
        frozenset(words.split()) for words in (profile.harmless, profile.code_words, profile.units)
    )
    return harmless, code_words, units


@cache
def _own(code: str) -> re.Pattern[str]:
    return re.compile(own_letters(code).pattern[:-1] + "ー々。、，！？：；・「」『』（）〜～…]")


@cache
def _by_blanks(code: str) -> bool:
    return code in ("ko", "ru", "uk", "bg", "sr", "el", "ar", "he", "hi")
