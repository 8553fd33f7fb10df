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

from watari.languages.lexicons import lexicon
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.inline import is_word, plain
from watari.synth.checks.text import Turn
from watari.synth.checks.traces import WORD, Traces, latin_forms
from watari.synth.checks.units import Unit, count_sentences, take_set_phrases_out, units_of

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

_OMISSION_LEAST = {"paragraph": -2.5, "markdown": -3.0}
_UNKNOWN_LEAST, _FREE_LEAST = -3.5, -8.0
"""Evidence for an omission, by kind of row: people talk more freely than they write manuals, an editor more freely still."""

_WINDOW = 12
"""Sentences that may be missing in one place, at most."""

_ALNUM = re.compile(r"\w+")
_LATIN = re.compile(r"[a-z][a-z0-9.+#-]*[a-z0-9+#]")
_NUMBER = re.compile(r"(?<![\d.,])\d{2,}(?![\d.,]\d)", re.A)


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
    units = units_of(one)
    if not units:
        return
    traces = Traces(other, (meta.source, meta.target))
    letters = sum(map(len, _ALNUM.findall(traces.text)))
    total = sum(unit.letters for unit in units)
    usual = -4.5 if meta.free else -2.5 if meta.kind in ("paragraph", "markdown") else -3.5
    least = meta.limits.get("wrong-pair", usual)
    for unit in units:
        traces.look_for(unit.words)
    if _another(one, units, traces, letters, total, least):
        take_set_phrases_out(one, units, meta.source)
        if _another(one, units, traces, letters, total, least):
            message = (
                "few words of the source left a trace in the target: is it the translation of another text?"
            )
            yield Finding(WRONG_PAIR, Severity.HARD, message, None)
            return
    usual = _FREE_LEAST if meta.free else _OMISSION_LEAST.get(meta.kind, _UNKNOWN_LEAST)
    least = meta.limits.get("omission", usual)
    missing = _omitted(one, other, units, traces, letters, total, least, meta.free)
    if missing is not None and take_set_phrases_out(one, units, meta.source):
        missing = _omitted(one, other, units, traces, letters, total, least, meta.free)
    if missing is not None:
        start, stop, _weight = missing
        text = " ".join(one.content[start:stop].split())[:100]
        message = f"nothing in the target tells of: {text}"
        yield Finding(OMISSION, Severity.HARD, message, Span(number, start, stop, "source"))


def _another(one: Turn, units: list[Unit], traces: Traces, letters: int, total: int, least: float) -> bool:
    """Return whether the evidence that two whole texts say the same is so little, or less."""
    words: set[str] = set().union(*(unit.words for unit in units))
    known = words & traces.known
    seen = sum(map(traces.seen.__getitem__, known))  # type: ignore[arg-type]
    unseen = len(known) - seen
    # A long text holds some stem of every other word by chance.
    chance = min(0.30, 0.06 + 0.0006 * letters)
    best = max(seen * yes + unseen * no for yes, no in zip(_SEEN, _UNSEEN, strict=True))
    weight = best - seen * math.log(chance) - unseen * math.log(1 - chance) + _length(letters / total, total)
    if weight + _SOUND_LEAST + _LATIN_LEAST > least:
        return False  # Nothing else can weigh so much.
    lower = one.content.lower()
    if traces.katakana:
        if "`" in lower or "](" in lower or "<" in lower:
            # A name may be sounded out that stands as code in the source.
            words = set(WORD.findall(lower))
        sounds: set[str] = set().union(*[latin_forms(word) for word in words if len(word) > 2])
        missed = sum(forms.isdisjoint(sounds) for forms in traces.katakana)
        weight += max(_SOUND_LEAST, missed * _SOUND_MISS) + (len(traces.katakana) - missed) * _SOUND_HIT
    if latin := set(_LATIN.findall(traces.text.lower())):
        had = sum(word in lower for word in latin)
        weight += max(_LATIN_LEAST, (len(latin) - had) * _LATIN_MISS) + had * _LATIN_HIT
    if numbers := set(_NUMBER.findall(lower)):
        same = len(numbers.intersection(_NUMBER.findall(traces.text)))
        weight += min(_NUMBER_MOST, same * _NUMBER_HIT)
    return weight <= least


def _length(ratio: float, total: int) -> float:
    """Return what a ratio of lengths says, that no style of translation has; 0 of the others."""
    room = 1.2 / math.sqrt(total)
    if ratio < 0.16 - room:
        return -4.0 * min(1.5, (0.16 - room - ratio) / 0.08)
    if ratio > 1.2 + room:
        return -2.0 * min(2.0, (ratio - 1.2 - room) / 0.5)
    return 0.0


def _omitted(
    one: Turn,
    other: Turn,
    units: list[Unit],
    traces: Traces,
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
        unit.code = 0.0
        marks = list(map(traces.seen.get, unit.words))
        unit.seen, unit.unseen = marks.count(True), marks.count(False)
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
    more = count_sentences(traces.text) - len(units)
    now = _count(more, len(units), told)
    said: list[float] = []
    ahead = max(0.0, _AS_MANY - now)
    needed = best - least
    found = None
    for (words, usual, spread), gains in zip(whole, lost, strict=True):
        top = words - 0.5 * math.log(spread)
        most = _highest(gains)
        if most < _WORDS or top + most + ahead < needed:
            continue  # No row of sentences can weigh so much.
        said = said or [_count(more + missing, len(units), told) for missing in range(1, _WINDOW + 1)]
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
        running += gain
        if running < 0.0:
            running = 0.0
        elif running > highest:
            highest = running
    return highest


CHECKS = (
    Check(
        "content",
        3,
        {OMISSION: Severity.HARD, WRONG_PAIR: Severity.HARD},
        content,
    ),
)
