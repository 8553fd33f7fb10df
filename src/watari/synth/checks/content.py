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
from watari.synth.checks.inline import plain
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

_WORD = re.compile(r"[A-Za-z][A-Za-z']*")
_KATAKANA = re.compile(r"[ァ-ヴ][ァ-ヴー]+")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9.+#-]*[A-Za-z0-9+#]")
_UNIT_END = re.compile(r"[.!?][\"')\]”’*_]*\s+(?=[\"'(\[“‘*_]*[A-Z0-9\s]|$)|\n[ \t]*\n|\n(?=[ \t>]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|\|)[ \t])|[:;]\n")


@dataclass(frozen=True, slots=True)
class _Traces:
    """What of a target may be a trace of a source's word."""

    text: str
    latin: frozenset[str]
    sounds: frozenset[str]


@dataclass(slots=True)
class _Weighed:
    """One unit of the source: its place, length and evidence that it is in the target (positive) or not."""

    start: int
    stop: int
    letters: int
    weight: float = 0.0
    misses: int = 0


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
    traces = _traces(other)
    pair = (meta.source, meta.target)
    whole = _evidence(one, other, traces, pair)
    # A free translation says the same in other words.
    if whole <= meta.limits.get("wrong-pair", -20.0 if meta.free else -3.5):
        message = "few words of the source left a trace in the target: is it the translation of another text?"
        yield Finding(WRONG_PAIR, Severity.HARD, message, None)
        return
    if (missing := _omitted(one, other, traces, pair, meta)) is not None:
        start, stop, weight = missing
        severity = Severity.WARN if meta.free else Severity.HARD
        text = " ".join(one.content[start:stop].split())[:100]
        message = f"nothing in the target tells of: {text}"
        yield Finding(OMISSION, severity, message, Span(number, start, stop, "source"))


def _traces(turn: Turn) -> _Traces:
    text = turn.prose
    sounds: set[str] = set()
    for word in set(_KATAKANA.findall(text)):
        sounds |= _forms(sound_of_katakana(word))
    return _Traces(text, frozenset(word.lower() for word in _WORD.findall(turn.content)), frozenset(sounds))


@lru_cache(maxsize=8192)
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


def _trace(word: str, traces: _Traces, pair: tuple[str, str]) -> bool | None:
    """Return whether a word left a trace; None where nobody knows what its trace would be and none was seen."""
    if len(word) > 2 and word in traces.latin:
        return True
    if stems := _known(word, *pair):
        return any(stem in traces.text for stem in stems)
    if len(word) > 3 and not _forms(sound_of_latin(word)).isdisjoint(traces.sounds):
        return True
    return None


def _evidence(one: Turn, other: Turn, traces: _Traces, pair: tuple[str, str]) -> float:
    """Return the evidence that two whole texts say the same."""
    weight = 0.0
    words = {word.lower() for word in _WORD.findall(one.prose)}
    for word in words:
        if _known(word, *pair):
            weight += _HIT if _trace(word, traces, pair) else _MISS
    everything = {word.lower() for word in _WORD.findall(one.content)}
    sounds: set[str] = set()
    for word in everything:
        if len(word) > 2:
            sounds |= _forms(sound_of_latin(word))
    for word in set(_KATAKANA.findall(traces.text)):
        if forms := _forms(sound_of_katakana(word)):
            weight += _SOUND_MISS if forms.isdisjoint(sounds) else _SOUND_HIT
    lower = one.content.lower()
    for word in {word.lower() for word in _LATIN.findall(traces.text)}:
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
        letters = sum(map(str.isalnum, text))
        if letters >= 3:
            found.append(_Weighed(start, stop, letters))
        start = stop
    return found


def _omitted(
    one: Turn, other: Turn, traces: _Traces, pair: tuple[str, str], meta: Meta
) -> tuple[int, int, float] | None:
    """Return the place of what is missing of the source, with its evidence, if something is."""
    units = _units(one)
    if not units:
        return None
    prose = one.prose
    theirs = {plain(piece.text) for piece in other.inline}
    codes = [
        (piece.start, plain(piece.text) in theirs or piece.text in other.content) for piece in one.inline
    ]
    for unit in units:
        for word in {word.lower() for word in _WORD.findall(prose[unit.start : unit.stop])}:
            seen = _trace(word, traces, pair)
            if seen is not None:
                unit.weight += _HERE_HIT if seen else _HERE_MISS
                unit.misses += not seen
        for place, seen in codes:
            if unit.start <= place < unit.stop:
                unit.weight += _CODE_HIT if seen else _CODE_MISS
    total = sum(unit.letters for unit in units)
    ratio = sum(map(str.isalnum, other.prose)) / max(1, total)
    best: tuple[float, int, int] = (0.0, 0, 0)
    for first in range(len(units)):
        weight, letters = 0.0, 0
        for last in range(first, min(len(units), first + 12)):
            weight += units[last].weight
            letters += units[last].letters
            score = weight + _length_evidence(ratio, letters / total, total, meta)
            if score < best[0]:
                best = (score, first, last)
    if best[0] <= meta.limits.get("omission", -2.6):
        return units[best[1]].start, units[best[2]].stop, best[0]
    return None


def _length_evidence(ratio: float, share: float, letters: int, meta: Meta) -> float:
    """Return the evidence, by the target's length, that nothing is missing rather than a share of the source."""
    usual = meta.limits.get("length", 0.64)
    spread = meta.limits.get("spread", 0.06) + 0.6 / math.sqrt(max(letters, 1))
    whole = (min(ratio, usual) - usual) / spread
    part = (ratio - usual * (1 - share)) / spread
    return (part * part - whole * whole) / 2


CHECKS = (
    Check(
        "content",
        1,
        {OMISSION: Severity.HARD, WRONG_PAIR: Severity.HARD},
        content,
    ),
)
