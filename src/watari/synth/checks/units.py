"""Units of a source that may be missing in its target: sentences, headings, items and cells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watari.languages.checks import pattern
from watari.synth.checks.text import Turn
from watari.synth.checks.traces import WORD

# Each begins with a set, and tells after it which of it was there: so that `re` finds the places where one can begin.
_UNIT_END = re.compile(
    r"[.!?:;\n](?:(?<=[.!?])[\"')\]”’*_]*\s+(?=[\"'(\[“‘*_]*[A-Z0-9\s]|$)|(?<=\n)[ \t]*\n"
    r"|(?<=\n)(?=[ \t>]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|\|)[ \t])|(?<=[:;])\n)"
)
_THEIR_END = re.compile(
    r"[。！？!?.\n:;：；](?:(?<=[。！？!?])[。！？!?]*[」』）)\"'”’*_]*\s*|(?<=\.)\s+|(?<=\n)[ \t]*\n\s*"
    r"|(?<=\n)(?=[ \t>]*(?:[-*+•・]|\d{1,3}[.)．]|#{1,6}|\|)[ \t　]?)|(?<=[:;：；])\s*\n)"
)
_TWO = re.compile(r"\w\w")


@dataclass(slots=True)
class Unit:
    """One unit of the source: its place, its letters, its words; how many left a trace or none; evidence of its code."""

    start: int
    stop: int
    letters: int
    words: set[str]
    seen: int = 0
    unseen: int = 0
    code: float = 0.0


def units_of(turn: Turn) -> list[Unit]:
    """Return the sentences of the source's prose, over line breaks; headings, items and cells by themselves."""
    prose = turn.prose
    found = []
    start = 0
    ends = [match.end() for match in _UNIT_END.finditer(prose)]
    lower = prose.lower()
    if len(lower) != len(prose):
        lower = prose
    for stop in (*ends, len(prose)):
        words = WORD.findall(lower, start, stop)
        letters = sum(map(len, words))
        if letters >= 3:
            found.append(Unit(start, stop, letters, set(words)))
        start = stop
    return found


def take_set_phrases_out(turn: Turn, units: list[Unit], language: str) -> bool:
    """Take the words of greetings and other set phrases, which every language says in its own way, out of the units.

    Returns:
        Whether there were any.
    """
    found = False
    for unit in units:
        text = turn.prose[unit.start : unit.stop].lower()
        left = text
        for match in pattern("set_phrases", language).finditer(text):
            left = f"{left[: match.start()]}{' ' * len(match[0])}{left[match.end() :]}"
        if left != text:
            found = True
            unit.words = set(WORD.findall(left))
    return found


def count_sentences(prose: str) -> int:
    """Return how many sentences, headings, items and cells a target has, each with two letters at least."""
    found = start = 0
    for match in _THEIR_END.finditer(prose):
        found += _TWO.search(prose, start, match.end()) is not None
        start = match.end()
    return found + (_TWO.search(prose, start) is not None)
