"""What a program reads: JSON that parsed still parses, formulas stand as they stood."""

from __future__ import annotations

import json
import re
from collections import Counter

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.text import Turn

JSON_BROKEN = "json-broken"
MATH_CHANGED = "math-changed"

_JSON = re.compile(r"json[\w-]*", re.I)
_WORDS = re.compile(r"\\(?:text|mathrm|operatorname|textbf|textit|mbox)\s*\{[^{}]*\}")
_SPACE = re.compile(r"\s+")
_LONGEST = 200_000


def formats(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which JSON no longer parses, and which formulas were changed."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if one.fences and len(one.fences) == len(other.fences):
            found += _json(one, other, number)
        elif one.content[:1] in "{[" and _parses(one.content) and not _parses(other.content):
            found.append(Finding(JSON_BROKEN, Severity.HARD, "the source is JSON, the target is not"))
        if one.math and other.content.strip():
            found += _math(one, other)
    return found


def _json(one: Turn, other: Turn, number: int) -> list[Finding]:
    return [
        Finding(
            JSON_BROKEN, Severity.HARD, "JSON that no longer parses", Span(number, theirs.start, theirs.stop)
        )
        for mine, theirs in zip(one.fences, other.fences, strict=True)
        if mine.text != theirs.text
        and (_JSON.match(mine.info) or mine.text.lstrip()[:1] in ("{", "["))
        and _parses(mine.text)
        and not _parses(theirs.text)
    ]


def _parses(text: str) -> bool:
    text = text.strip()
    if text[:1] not in ("{", "[") or len(text) > _LONGEST:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _math(one: Turn, other: Turn) -> list[Finding]:
    lost = _formulas(one) - _formulas(other)
    if not lost:
        return []
    return [Finding(MATH_CHANGED, Severity.HARD, f"a formula is missing or changed: {next(iter(lost))[:80]}")]


def _formulas(turn: Turn) -> Counter[str]:
    # Words inside a formula may be translated; what signs enclose it may be others.
    return Counter(
        _SPACE.sub("", _WORDS.sub("", piece.text.strip("$").removeprefix("\\(").removesuffix("\\)")))
        for piece in turn.math
    )


CHECKS = (Check("formats", 1, {JSON_BROKEN: Severity.HARD, MATH_CHANGED: Severity.HARD}, formats),)
