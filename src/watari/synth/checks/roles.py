"""Turns: as many as in the source, by the same speakers, each in a message of its own."""

from __future__ import annotations

import re
from functools import cache

from watari.languages.checks import check_phrases
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.wording import clip, hard

COUNT = "turn-count"
ROLES = "roles"
LABEL = "role-label"


def turns(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns that are missing, one too many, merged, or another speaker's."""
    if len(source) != len(target):
        merged = ""
        if 0 < len(target) < len(source):
            long = max(
                range(len(target)), key=lambda at: len(target[at].content) / max(1, len(source[at].content))
            )
            if len(target[long].content) > len(source[long].content) and len(source[long].content) < 400:
                merged = f"; turn {long + 1} seems to hold another one"
        return [hard(COUNT, f"{len(target)} turns for {len(source)} of the source{merged}")]
    found = []
    for number, (one, other) in enumerate(zip(source, target, strict=True)):
        if one.role != other.role:
            message = f"turn {number + 1} is by {other.role or 'nobody'!r}, in the source by {one.role!r}"
            found.append(hard(ROLES, message, number, 0, len(other.content)))
    return found


def labels(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of speakers' names before a colon inside a turn, more than in the source."""
    found = []
    mark = _marks("en", meta.target)
    for number, turn in enumerate(target):
        text = turn.outside
        if ":" not in text and "：" not in text:
            continue
        matches = list(mark.finditer(text))
        if not matches:
            continue
        mine = len(_marks("en", meta.source).findall(source[number].content)) if number < len(source) else 0
        many = len({match[1].lower() for match in matches})
        if len(matches) > mine and (source or many > 1):
            match = matches[0]
            message = f"turn {number + 1} holds the name of a speaker: {clip(match[0])!r}"
            found.append(hard(LABEL, message, number, *match.span()))
    return found


@cache
def _marks(*codes: str) -> re.Pattern[str]:
    names = [re.escape(name) for code in dict.fromkeys(codes) for name in check_phrases(code).labels]
    names.sort(key=len, reverse=True)
    return re.compile(
        rf"^[ \t]*(?:[*#>\[【「(（]*|#+ )({'|'.join(names)})[ \t]?\d{{0,2}}[*\]】」)）]*[ \t]*[:：]",
        re.M | re.I,
    )


CHECKS = (
    Check("turns", 1, {COUNT: Severity.HARD, ROLES: Severity.HARD}, turns),
    Check("role_labels", 1, {LABEL: Severity.HARD}, labels, needs_source=False),
)
