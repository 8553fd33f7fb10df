"""Whether source and target say the same things: what left no trace (omission), or nothing at all (another text's target).

No sentence is understood here. Each common word of the source has stems that its translation is likely to hold
(languages/lexicons), other words come back as they are or by their sound in katakana; a translation holds most of those
traces, a text about something else few. How many is weighed as evidence: the logarithm of how much likelier a trace, or its
absence, is in one case than in the other. Lengths are evidence too. Thresholds are far from what human translations do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from watari.languages.lexicons import lexicon
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.inline import is_word, plain
from watari.synth.checks.sound import sound_of_katakana, sound_of_latin
from watari.synth.checks.text import Turn

OMISSION = "omission"
WRONG_PAIR = "wrong-pair"

# How likely a trace is in a translation and in a text about something else; measured on translated documentation and chat.
_HIT, _MISS = math.log(0.80 / 0.22), math.log(0.20 / 0.78)
_SOUND_HIT, _SOUND_MISS = math.log(0.82 / 0.40), math.log(0.18 / 0.60)
_LATIN_HIT, _LATIN_MISS = math.log(0.97 / 0.30), math.log(0.03 / 0.70)
# The same for one sentence: its words' traces may come from its neighbours.
_HERE_HIT, _HERE_MISS = math.log(0.83 / 0.45), math.log(0.17 / 0.55)
_CODE_HIT, _CODE_MISS = math.log(0.97 / 0.5), math.log(0.03 / 0.5)

_WINDOW = 12
"""Sentences that may be missing in one place, at most."""

_ALNUM = re.compile(r"\w+")
_WORD = re.compile(r"[a-z][a-z']*")
_KATAKANA = re.compile(r"[ァ-ヴ][ァ-ヴー]+")
_LATIN = re.compile(r"[a-z][a-z0-9.+#-]*[a-z0-9+#]")
_UNIT_END = re.compile(
    r"[.!?][\"')\]”’*_]*\s+(?=[\"'(\[“‘*_]*[A-Z0-9\s]|$)|\n[ \t]*\n|\n(?=[ \t>]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|\|)[ \t])|[:;]\n"
)


class _Traces:
    """What of a target may be a trace of a source's word, and which words left one."""

    def __init__(self, turn: Turn, pair: tuple[str, str]) -> None:
        self.text = turn.prose
        self.katakana = {
            forms for word in set(_KATAKANA.findall(self.text)) if (forms := _katakana_forms(word))
        }
        self.sounds: frozenset[str] = frozenset().union(*self.katakana)
        self.latin = set(_WORD.findall(turn.content.lower()))
        self._pair = pair
        self._seen: dict[str, bool | None] = {}

    def of(self, word: str) -> bool | None:
        """Return whether a word left a trace; None where nobody knows what it would be and none was seen."""
        try:
            return self._seen[word]
        except KeyError:
            seen = self._seen[word] = self._look(word)
            return seen

    def _look(self, word: str) -> bool | None:
        if len(word) > 2 and word in self.latin:
            return True
        if stems := _known(word, *self._pair):
            # A loop, not any(): this is the innermost one of all checks.
            return any(stem in self.text for stem in stems)
        if len(word) > 3 and not _latin_forms(word).isdisjoint(self.sounds):
            return True
        return None


@dataclass(slots=True)
class _Weighed:
    """One unit of the source: its place, length and evidence that it is in the target (positive) or not."""

    start: int
    stop: int
    letters: int
    words: set[str]
    weight: float = 0.0


def content(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell whether parts of the source are missing, or the target is another text's."""
    found: list[Finding] = []
    if not lexicon(meta.source, meta.target):
        return found
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if one.content.strip() and other.content.strip():
            found += _compare(one, other, number, meta)
    return found


def _compare(one: Turn, other: Turn, number: int, meta: Meta) -> Iterator[Finding]:
    pair = (meta.source, meta.target)
    traces = _Traces(other, pair)
    units = _units(one)
    whole = _evidence(one, units, traces, pair)
    # A free translation says the same in other words.
    if whole <= meta.limits.get("wrong-pair", -20.0 if meta.free else -3.8):
        message = "few words of the source left a trace in the target: is it the translation of another text?"
        yield Finding(WRONG_PAIR, Severity.HARD, message, None)
        return
    if (missing := _omitted(one, other, units, traces, meta)) is not None:
        start, stop, _weight = missing
        severity = Severity.WARN if meta.free else Severity.HARD
        text = " ".join(one.content[start:stop].split())[:100]
        message = f"nothing in the target tells of: {text}"
        yield Finding(OMISSION, severity, message, Span(number, start, stop, "source"))


@lru_cache(maxsize=16384)
def _katakana_forms(word: str) -> frozenset[str]:
    return _forms(sound_of_katakana(word))


@lru_cache(maxsize=16384)
def _latin_forms(word: str) -> frozenset[str]:
    return _forms(sound_of_latin(word))


def _forms(sound: str) -> frozenset[str]:
    """Return a sound and what it is without an ending; nothing of one consonant, which says little."""
    if len(sound) < 2:
        return frozenset()
    found = {sound}
    if len(sound) >= 3:
        found.add(sound[:-1])
    if len(sound) >= 6:
        found.add(sound[:-2])
    return frozenset(found)


@lru_cache(maxsize=16384)
def _known(word: str, source: str, target: str) -> tuple[str, ...]:
    """Return the stems of a word's translations, of the first of its ground forms that the lexicon has."""
    known = lexicon(source, target)
    for form in _ground_forms(word):
        if stems := known.get(form):
            return stems
    return ()


def _ground_forms(word: str) -> Iterator[str]:
    yield word
    if word.endswith("'s"):
        word = word[:-2]
        yield word
    for ending, others in (
        ("ies", ("y",)), ("ied", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ed", ("", "e")), ("ing", ("", "e")),
        ("er", ("", "e")), ("est", ("", "e")), ("ly", ("",)),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) > len(ending) + 2:
            bare = word[: -len(ending)]
            for other in others:
                yield bare + other
            if len(bare) > 3 and bare[-1] == bare[-2]:
                yield bare[:-1]


def _evidence(one: Turn, units: list[_Weighed], traces: _Traces, pair: tuple[str, str]) -> float:
    """Return the evidence that two whole texts say the same."""
    weight = 0.0
    words: set[str] = set().union(*(unit.words for unit in units))
    for word in words:
        if _known(word, *pair):
            weight += _HIT if traces.of(word) else _MISS
    if traces.katakana:
        if "`" in one.content or "](" in one.content or "<" in one.content:
            # A name may be sounded out that stands as code in the source.
            words = set(_WORD.findall(one.content.lower()))
        sounds: set[str] = set().union(*[_latin_forms(word) for word in words if len(word) > 2])
        for forms in traces.katakana:
            weight += _SOUND_MISS if forms.isdisjoint(sounds) else _SOUND_HIT
    lower = one.content.lower()
    for word in set(_LATIN.findall(traces.text.lower())):
        weight += _LATIN_HIT if word in lower else _LATIN_MISS
    return weight


def _units(turn: Turn) -> list[_Weighed]:
    """Return the sentences of the source's prose, over line breaks; headings, items and cells by themselves."""
    prose = turn.prose
    found = []
    start = 0
    ends = [match.end() for match in _UNIT_END.finditer(prose)]
    for stop in [*ends, len(prose)]:
        text = prose[start:stop]
        words = _WORD.findall(text.lower())
        letters = sum(map(len, words))
        if letters >= 3:
            found.append(_Weighed(start, stop, letters, set(words)))
        start = stop
    return found


def _omitted(
    one: Turn, other: Turn, units: list[_Weighed], traces: _Traces, meta: Meta
) -> tuple[int, int, float] | None:
    """Return the place of what is missing of the source, with its evidence, if something is."""
    if not units:
        return None
    theirs = {plain(piece.text) for piece in other.inline}
    codes = [
        (piece.start, plain(piece.text) in theirs or piece.text in other.content)
        for piece in one.inline
        if not is_word(plain(piece.text))
    ]
    for unit in units:
        for word in unit.words:
            seen = traces.of(word)
            if seen is not None:
                unit.weight += _HERE_HIT if seen else _HERE_MISS
        for place, seen in codes:
            if unit.start <= place < unit.stop:
                unit.weight += _CODE_HIT if seen else _CODE_MISS
    total = sum(unit.letters for unit in units)
    usual = meta.limits.get("length", 0.64)
    spread = meta.limits.get("spread", 0.06) + 0.6 / math.sqrt(total)
    ratio = sum(map(len, _ALNUM.findall(other.prose))) / total
    # Evidence, by the target's length, that nothing is missing rather than a share of the source: two normal curves.
    whole = ((min(ratio, usual) - usual) / spread) ** 2
    least, found = meta.limits.get("omission", -8.0 if meta.free else -3.0), None
    lowest = running = 0.0
    for unit in units:
        running = min(0.0, running + unit.weight)
        lowest = min(lowest, running)
    if lowest - whole / 2 > least:
        return None  # No row of sentences can weigh so much.
    for first in range(len(units)):
        weight, letters = 0.0, 0
        for unit in units[first : first + _WINDOW]:
            weight += unit.weight
            letters += unit.letters
            part = (ratio - usual * (1 - letters / total)) / spread
            score = weight + (part * part - whole) / 2
            if score <= least:
                least, found = score, (units[first].start, unit.stop, score)
    return found


CHECKS = (
    Check(
        "content",
        1,
        {OMISSION: Severity.HARD, WRONG_PAIR: Severity.HARD},
        content,
    ),
)
