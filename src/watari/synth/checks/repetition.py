"""What a model says again and again: loops of characters and phrases, sentences and blocks twice."""

from __future__ import annotations

import re
import zlib
from collections import Counter

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Piece, Turn
from watari.synth.checks.wording import clip, hard

LOOP = "loop"
AGAIN = "said-again"
THIN = "repetitive"

_SAME = re.compile(r"([^\s\-=_*#.~+|`/\\─━═・…‥ー〜0-9])\1{9,}")
_STEP, _WINDOW, _REACH = 16, 8, 320
"""A loop is looked for from every 16th character: its 8 characters again within 320."""
_TIMES = 4
"""How often a phrase must stand side by side to be a loop; three times from 20 characters."""
_LEAST = 10
"""Shorter sentences are said twice by people."""
_NUMBERED = re.compile(r"^\s*(?:[-*+•・]|\d+[.)．、)]|[#>]+)\s*")
_LETTERS = re.compile(r"[^\W\d_]")
_THIN, _THIN_SIZE = 0.5, 600
"""Compressed to less than this share of what the source is compressed to, by zlib; bytes from which that is asked."""


def repetition(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of loops and of sentences that are said again, where the source does not do so."""
    found: list[Finding] = []
    for number, turn in enumerate(target):
        mine = source[number] if number < len(source) else None
        found += _characters(turn, mine, number)[:1] or _phrases(turn, mine, number)[:1]
        found += _sentences(turn, mine, number)[:1]
        if not found:
            found += _thin(turn, mine, number)
    return found


def _characters(turn: Turn, mine: Turn | None, number: int) -> list[Finding]:
    match = _SAME.search(turn.content)
    if match is None or (mine is not None and _SAME.search(mine.content)):
        return []
    message = f"turn {number + 1} repeats {match[1]!r} {len(match[0])} times"
    return [hard(LOOP, message, number, *match.span())]


def _phrases(turn: Turn, mine: Turn | None, number: int) -> list[Finding]:
    text = turn.prose
    if len(text) < 24:
        return []
    at = 0
    end = len(text) - _WINDOW
    while at < end:
        window = text[at : at + _WINDOW]
        again = text.find(window, at + 1, at + _REACH)
        if again > 0 and len(window.split()) and _LETTERS.search(window):
            period = again - at
            stop = again
            while text.startswith(text[at:again], stop):
                stop += period
            times = (stop - at) // period
            phrase = text[at:again]
            if (
                times >= (_TIMES if period < 20 else 3)
                and stop - at >= 24
                and _LETTERS.search(phrase)
                and not (mine is not None and _loops(mine.prose, times, period))
            ):
                message = f"turn {number + 1} repeats {clip(phrase)!r} {times} times"
                return [hard(LOOP, message, number, at, stop)]
            at = max(at + _STEP, stop - period if times > 1 else 0)
            continue
        at += _STEP
    return []


def _loops(text: str, times: int, period: int) -> bool:
    """Return whether the source too says something as often in a row, like the cells of a table."""
    if period > 60:
        return False
    again = max(1, min(times, 8) - 1)
    return re.search(rf"(\S.{{0,30}}?\S?)(?:\s*\1){{{again}}}", text[:4000]) is not None


def _sentences(turn: Turn, mine: Turn | None, number: int) -> list[Finding]:
    """Return what is told of sentences that stand there more often than any does in the source."""
    twice = _said_twice(turn)
    if not twice:
        return []
    if mine is None:
        worst = max(twice, key=lambda one: len(one[1]))
        if len(worst[1]) < 3 or len(worst[0]) < 2 * _LEAST:
            return []
        return [_again(worst, number)]
    extra = sum(len(pieces) - 1 for _, pieces in twice)
    allowed = sum(len(pieces) - 1 for _, pieces in _said_twice(mine))
    if extra <= allowed:
        return []
    # Two different sentences of the source may become one and the same where they are short.
    worst = max(twice, key=lambda one: (len(one[1]), len(one[0])))
    if len(worst[1]) < 3 and len(worst[0]) < 1.5 * _LEAST:
        return []
    return [_again(worst, number)]


def _again(said: tuple[str, list[Piece]], number: int) -> Finding:
    text, pieces = said
    message = f"turn {number + 1} says {clip(text)!r} {len(pieces)} times"
    return hard(AGAIN, message, number, pieces[1].start, pieces[1].stop)


def _said_twice(turn: Turn) -> list[tuple[str, list[Piece]]]:
    sentences = turn.sentences
    if len(sentences) < 2:
        return []
    bare = [_NUMBERED.sub("", piece.text) for piece in sentences]
    many = Counter(bare)
    if len(many) == len(bare):
        return []
    found = []
    for text, times in many.items():
        if times > 1 and len(text) >= _LEAST and len(_LETTERS.findall(text)) >= _LEAST - 2:
            found.append((text, [piece for piece, own in zip(sentences, bare, strict=True) if own == text]))
    return found


def _thin(turn: Turn, mine: Turn | None, number: int) -> list[Finding]:
    """Return what is told of a turn that says much less than its length, next to its source."""
    if mine is None or len(turn.content) < _THIN_SIZE or len(mine.content) < 40:
        return []
    if len(turn.content) < 0.9 * len(mine.content):
        return []
    ratio = _ratio(turn.content)
    if ratio < 0.3 and ratio < _THIN * _ratio(mine.content):
        message = f"turn {number + 1} repeats itself: it packs to {ratio:.0%} of its size, the source to {_ratio(mine.content):.0%}"
        return [hard(THIN, message, number, 0, len(turn.content))]
    return []


def _ratio(text: str) -> float:
    raw = text[:20_000].encode("utf-8", "surrogatepass")
    return len(zlib.compress(raw, 1)) / len(raw)


CHECKS = (
    Check(
        "repetition",
        1,
        {LOOP: Severity.HARD, AGAIN: Severity.HARD, THIN: Severity.HARD},
        repetition,
        needs_source=False,
    ),
)
