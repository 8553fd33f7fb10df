"""Whether source and target say the same things: what left no trace (omission), or nothing at all (another text's target).

No sentence is understood here. Each common word of the source has stems that its translation is likely to hold
(languages/lexicons), other words come back as they are or by their sound in katakana; a translation holds most of those
traces, a text about something else few. How many is weighed as evidence: the logarithm of how much likelier what is seen is
in one case than in the other. How literally somebody translates, and how long, is not known beforehand: a row is weighed as
the style that fits it best (a manual, an edited conversation, an encyclopedia), so that a word that a free translation says
in its own way counts little, and one that is missing among fifty that are there counts much.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from watari.languages.checks import pattern
from watari.languages.lexicons import lexicon
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.inline import is_word, plain
from watari.synth.checks.sound import sound_of_katakana, sound_of_latin
from watari.synth.checks.text import Turn

OMISSION = "omission"
WRONG_PAIR = "wrong-pair"


@dataclass(frozen=True, slots=True)
class _Style:
    """How a kind of translation is made: the share of known words that leave a trace, the ratio of letters (target's to
    source's) and its spread."""

    hits: float
    ratio: float
    spread: float

    @property
    def seen(self) -> float:
        return math.log(self.hits)

    @property
    def unseen(self) -> float:
        return math.log(1 - self.hits)


# Measured on translated manuals, human-edited conversations, and an encyclopedia's articles that were written anew.
_STYLES = (_Style(0.92, 0.58, 0.075), _Style(0.72, 0.46, 0.11), _Style(0.50, 0.34, 0.11))
_SEEN = tuple(style.seen for style in _STYLES)
_UNSEEN = tuple(style.unseen for style in _STYLES)

# What of a sound, a Latin word, a number says the same, in a translation and in a text about something else.
_SOUND_HIT, _SOUND_MISS, _SOUND_LEAST = math.log(0.80 / 0.38), math.log(0.20 / 0.62), -2.5
_LATIN_HIT, _LATIN_MISS, _LATIN_LEAST = math.log(0.95 / 0.25), math.log(0.05 / 0.75), -4.0
_NUMBER_HIT, _NUMBER_MOST = math.log(0.9 / 0.1), 4.0
# The same for a word of one sentence and for code in it: what is left out may be told by its neighbours.
_HERE = 0.40
_HERE_SEEN, _HERE_UNSEEN = math.log(_HERE), math.log(1 - _HERE)
_CODE_HIT, _CODE_MISS = math.log(0.97 / 0.5), math.log(0.03 / 0.5)
# How likely it is that the target has as many sentences as the source, more, or fewer; each further one is less likely.
_AS_MANY, _MORE, _FEWER, _FEWER_TOLD = math.log(0.70), math.log(0.20), math.log(0.04), math.log(0.12)
_WORDS = 1.4
"""Of what is missing the words tell so much at least: lengths and numbers of sentences alone prove nothing."""
_FAR = -8.0
"""No length says more than this: half of such rows are something nobody thought of."""

_WINDOW = 12
"""Sentences that may be missing in one place, at most."""

_ALNUM = re.compile(r"\w+")
_WORD = re.compile(r"[a-z][a-z']*")
_KATAKANA = re.compile(r"[ァ-ヴ][ァ-ヴー]+")
_LATIN = re.compile(r"[a-z][a-z0-9.+#-]*[a-z0-9+#]")
_NUMBER = re.compile(r"(?<![\d.,])\d{2,}(?![\d.,]\d)", re.A)
_UNIT_END = re.compile(
    r"[.!?][\"')\]”’*_]*\s+(?=[\"'(\[“‘*_]*[A-Z0-9\s]|$)|\n[ \t]*\n|\n(?=[ \t>]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|\|)[ \t])|[:;]\n"
)

_THEIR_END = re.compile(
    r"[。！？!?]+[」』）)\"'”’*_]*\s*|\.\s+|\n[ \t]*\n\s*|\n(?=[ \t>]*(?:[-*+•・]|\d{1,3}[.)．]|#{1,6}|\|)[ \t　]?)|[:;：；]\s*\n"
)
_TWO = re.compile(r"\w\w")


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
            text = self.text
            for stem in stems:  # noqa: SIM110
                if stem in text:
                    return True
            return False
        if self.sounds and len(word) > 3 and not _latin_forms(word).isdisjoint(self.sounds):
            return True
        return None


@dataclass(slots=True)
class _Unit:
    """One unit of the source: its place, its letters, its words; how many left a trace or none; evidence of its code."""

    start: int
    stop: int
    letters: int
    words: set[str]
    seen: int = 0
    unseen: int = 0
    code: float = 0.0


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
    if not units:
        return
    letters = sum(map(len, _ALNUM.findall(traces.text)))
    total = sum(unit.letters for unit in units)
    least = meta.limits.get("wrong-pair", -4.5 if meta.free else -3.5 if meta.kind == "chat" else -2.5)
    if _evidence(one, units, traces, pair, letters, total) <= least:
        _without_set_phrases(one, units, meta.source)
        if _evidence(one, units, traces, pair, letters, total) <= least:
            message = (
                "few words of the source left a trace in the target: is it the translation of another text?"
            )
            yield Finding(WRONG_PAIR, Severity.HARD, message, None)
            return
    # People talk more freely than they write manuals, and an editor more freely still.
    usual = -8.0 if meta.free else -3.5 if meta.kind == "chat" else -2.0
    least = meta.limits.get("omission", usual)
    missing = _omitted(one, other, units, traces, letters, total, least, meta.free)
    if missing is not None and _without_set_phrases(one, units, meta.source):
        missing = _omitted(one, other, units, traces, letters, total, least, meta.free)
    if missing is not None:
        start, stop, _weight = missing
        text = " ".join(one.content[start:stop].split())[:100]
        message = f"nothing in the target tells of: {text}"
        yield Finding(OMISSION, Severity.HARD, message, Span(number, start, stop, "source"))


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


def _evidence(
    one: Turn, units: list[_Unit], traces: _Traces, pair: tuple[str, str], letters: int, total: int
) -> float:
    """Return the evidence that two whole texts say the same."""
    words: set[str] = set().union(*(unit.words for unit in units))
    seen = unseen = 0
    for word in words:
        if _known(word, *pair):
            if traces.of(word):
                seen += 1
            else:
                unseen += 1
    # A long text holds some stem of every other word by chance.
    chance = min(0.30, 0.06 + 0.0006 * letters)
    best = max(seen * yes + unseen * no for yes, no in zip(_SEEN, _UNSEEN, strict=True))
    weight = best - seen * math.log(chance) - unseen * math.log(1 - chance)
    lower = one.content.lower()
    if traces.katakana:
        if "`" in lower or "](" in lower or "<" in lower:
            # A name may be sounded out that stands as code in the source.
            words = set(_WORD.findall(lower))
        sounds: set[str] = set().union(*[_latin_forms(word) for word in words if len(word) > 2])
        missed = sum(forms.isdisjoint(sounds) for forms in traces.katakana)
        weight += max(_SOUND_LEAST, missed * _SOUND_MISS) + (len(traces.katakana) - missed) * _SOUND_HIT
    if traces.latin:
        latin = set(_LATIN.findall(traces.text.lower()))
        had = sum(word in lower for word in latin)
        weight += max(_LATIN_LEAST, (len(latin) - had) * _LATIN_MISS) + had * _LATIN_HIT
    if numbers := set(_NUMBER.findall(lower)):
        same = len(numbers.intersection(_NUMBER.findall(traces.text)))
        weight += min(_NUMBER_MOST, same * _NUMBER_HIT)
    return weight + _length(letters / total, total)


def _length(ratio: float, total: int) -> float:
    """Return what a ratio of lengths says, that no style of translation has; 0 of the others."""
    room = 1.2 / math.sqrt(total)
    if ratio < 0.16 - room:
        return -4.0 * min(1.5, (0.16 - room - ratio) / 0.08)
    if ratio > 1.2 + room:
        return -2.0 * min(2.0, (ratio - 1.2 - room) / 0.5)
    return 0.0


def _units(turn: Turn) -> list[_Unit]:
    """Return the sentences of the source's prose, over line breaks; headings, items and cells by themselves."""
    prose = turn.prose
    found = []
    start = 0
    ends = [match.end() for match in _UNIT_END.finditer(prose)]
    lower = prose.lower()
    if len(lower) != len(prose):
        lower = prose
    for stop in (*ends, len(prose)):
        words = _WORD.findall(lower, start, stop)
        letters = sum(map(len, words))
        if letters >= 3:
            found.append(_Unit(start, stop, letters, set(words)))
        start = stop
    return found


def _without_set_phrases(turn: Turn, units: list[_Unit], language: str) -> bool:
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
            unit.words = set(_WORD.findall(left))
    return found


def _omitted(
    one: Turn,
    other: Turn,
    units: list[_Unit],
    traces: _Traces,
    letters: int,
    total: int,
    least: float,
    told: bool,
) -> tuple[int, int, float] | None:
    """Return the place of what is missing of the source, with its evidence, if something is.

    Two accounts of the row are weighed in the style that suits each best: all of it was translated; all but a row of
    sentences was, and what is seen of those is by chance.
    """
    for unit in units:
        unit.seen = unit.unseen = 0
        unit.code = 0.0
        for word in unit.words:
            seen = traces.of(word)
            if seen:
                unit.seen += 1
            elif seen is False:
                unit.unseen += 1
    theirs = {plain(piece.text) for piece in other.inline}
    for piece in one.inline:
        text = plain(piece.text)
        if not is_word(text):
            weight = _CODE_HIT if text in theirs or piece.text in other.content else _CODE_MISS
            for unit in units:
                if unit.start <= piece.start < unit.stop:
                    unit.code += weight
    ratio = letters / total
    noise = 0.30 / total
    all_seen, all_unseen = sum(unit.seen for unit in units), sum(unit.unseen for unit in units)
    whole = []
    for style, yes, no in zip(_STYLES, _SEEN, _UNSEEN, strict=True):
        spread = style.spread * style.spread + noise
        whole.append((all_seen * yes + all_unseen * no, style.ratio, spread))
    best = max(words + _normal(ratio, usual, spread) for words, usual, spread in whole)
    lost = [
        [unit.seen * (_HERE_SEEN - yes) + unit.unseen * (_HERE_UNSEEN - no) - unit.code for unit in units]
        for yes, no in zip(_SEEN, _UNSEEN, strict=True)
    ]
    more = _sentences(traces.text) - len(units)
    now = _count(more, len(units), told)
    said = [_count(more + missing, len(units), told) for missing in range(1, _WINDOW + 1)]
    ahead = max(0.0, _AS_MANY - now)
    needed = best - least
    found = None
    for (words, usual, spread), gains in zip(whole, lost, strict=True):
        top = words - 0.5 * math.log(spread)
        if top + _highest(gains) + ahead < needed:
            continue  # No row of sentences can weigh so much.
        for first in range(len(units)):
            weight, gone = top, 0
            for last in range(first, min(first + _WINDOW, len(units))):
                weight += gains[last]
                gone += units[last].letters
                if weight - top < _WORDS or weight < needed - ahead or gone >= total:
                    continue
                part = ratio / (1 - gone / total) - usual
                score = weight + max(_FAR, -0.5 * part * part / spread) + said[last - first] - now
                if score >= needed:
                    needed, found = score, (units[first].start, units[last].stop, best - score)
    return found


def _sentences(prose: str) -> int:
    """Return how many sentences, headings, items and cells a target has, each with two letters at least."""
    found = start = 0
    for match in _THEIR_END.finditer(prose):
        found += _TWO.search(prose, start, match.end()) is not None
        start = match.end()
    return found + (_TWO.search(prose, start) is not None)


def _count(more: int, units: int, told: bool) -> float:
    """Return how likely so many more sentences than the source's are, as a logarithm; told: by an editor, who merges them."""
    if more == 0:
        return _AS_MANY
    steps = (abs(more) - 1) / (1 + units / 12)
    return max(_FAR, _MORE - 0.6 * steps if more > 0 else (_FEWER_TOLD if told else _FEWER) - 0.9 * steps)


def _normal(value: float, mean: float, variance: float) -> float:
    return max(_FAR, -0.5 * (value - mean) * (value - mean) / variance) - 0.5 * math.log(variance)


def _highest(gains: Iterable[float]) -> float:
    """Return the most that a row of neighbours adds up to."""
    highest = running = 0.0
    for gain in gains:
        running = max(0.0, running + gain)
        highest = max(highest, running)
    return highest


CHECKS = (
    Check(
        "content",
        2,
        {OMISSION: Severity.HARD, WRONG_PAIR: Severity.HARD},
        content,
    ),
)
