"""Places that a program fills or reads: {{name}}, {name}, %s, $NAME, heading anchors, reStructuredText roles.

What stands in {{…}} may be translated (a person reads it); how many there are may not change. Anchors, names behind $ and
roles stand in the target as in the source.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.text import Turn

CHANGED = "placeholder-changed"
ANCHOR = "anchor-changed"
ROLE = "role-changed"

_DOUBLE = re.compile(r"\{\{[^{}]*\}\}")
_SINGLE = re.compile(r"(?<![{=])(?<!import )\{[\w.:!\[\]]*\}(?!\})")
_ANCHORS = re.compile(r"\{#[^{}\n]*\}|\{/\*[^{}\n]*\*/\}")
_PRINTF = re.compile(r"(?<![\w%])%(?:\(\w+\)|\d+\$)?[-+#0]*\d*(?:\.\d+)?[sdifxXeEgGcr](?![A-Za-z0-9_])")
_DOLLAR = re.compile(r"(?<![\w$\\])\$(?:\{\w+\}|[A-Z_][A-Z0-9_]+\b|\(\w+\))", re.A)
_ROLES = re.compile(r":(?:[a-z][\w+-]*:)+(?=`[^`\n]*(?:\n[^`\n]+)?`)", re.A)
_SUBSTITUTION = re.compile(r"(?<![\w|])\|[A-Za-z][\w-]*\|(?![\w|])")
_WIDE = re.compile(r"[｛｝]")

_KINDS: tuple[tuple[str, re.Pattern[str], str, bool], ...] = (
    ("{", _ANCHORS, ANCHOR, True),
    ("{{", _DOUBLE, CHANGED, False),
    ("{", _SINGLE, CHANGED, False),
    ("%", _PRINTF, CHANGED, True),
    ("$", _DOLLAR, CHANGED, True),
    (":`", _ROLES, ROLE, True),
    ("|", _SUBSTITUTION, CHANGED, True),
)


def placeholders(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which placeholders, anchors and roles are missing or not as in the source."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if other.content.strip():
            found += _compare(one, other, number)
    return found


def _compare(one: Turn, other: Turn, number: int) -> Iterator[Finding]:
    source, target = one.outside, other.outside
    for hint, pattern, code, exact in _KINDS:
        if hint not in source:
            continue
        want = Counter(pattern.findall(source))
        if not want:
            continue
        have = Counter(pattern.findall(target))
        if exact:
            lost = want - have
        else:
            missing = want.total() - have.total()
            lost = Counter(dict((want - have).most_common(missing))) if missing > 0 else Counter()
        if lost:
            told = ", ".join(text + ("`…`" if code == ROLE else "") for text in list(lost)[:3])
            yield Finding(code, Severity.HARD, f"missing or not as in the source: {told[:120]}", None)
    if (wide := _WIDE.search(target)) and not _WIDE.search(source) and "{" in source:
        span = Span(number, wide.start(), wide.end())
        yield Finding(
            CHANGED, Severity.HARD, f"full-width brackets {wide[0]} for the source's ASCII ones", span
        )


CHECKS = (Check("placeholders", 2, dict.fromkeys((CHANGED, ANCHOR, ROLE), Severity.HARD), placeholders),)
