"""Tags of HTML, JSX and XML, and <https://…> links: all of the source's stand in the target."""

from __future__ import annotations

import re
from collections import Counter

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn

CHANGED = "markup-changed"
ADDED = "markup-added"

_NAME = re.compile(r"</?[A-Za-z][\w:.-]*")
_AUTOLINK = re.compile(r"<(?:https?|ftp|mailto):[^\s<>]+>")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,6});")


def markup(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell which tags are missing or new."""
    found: list[Finding] = []
    for one, other in zip(source, target, strict=False):
        if ("<" in one.content or "<" in other.content) and other.content.strip():
            found += _compare(one, other)
    return found


def _compare(one: Turn, other: Turn) -> list[Finding]:
    mine, theirs = _tags(one), _tags(other)
    found = []
    if (
        "＜" in other.outside
        and "＜" not in one.outside
        and other.outside.count("<") < one.outside.count("<")
    ):
        found.append(Finding(CHANGED, Severity.HARD, "full-width ＜ for the source's <"))
    if mine == theirs:
        return found
    if lost := mine - theirs:
        told = ", ".join(f"{name}>" for name in list(lost)[:3])
        found.append(Finding(CHANGED, Severity.HARD, f"tags are missing or changed: {told[:120]}"))
    elif new := theirs - mine:
        told = ", ".join(f"{name}>" for name in list(new)[:3])
        found.append(Finding(ADDED, Severity.WARN, f"tags that the source has not: {told[:120]}"))
    return found


def _tags(turn: Turn) -> Counter[str]:
    names = Counter(match[0] for piece in turn.tags if (match := _NAME.match(piece.text)))
    if links := len(_AUTOLINK.findall(turn.without_code)):
        names["<https://…"] = links
    return names


CHECKS = (Check("markup", 1, {CHANGED: Severity.HARD, ADDED: Severity.WARN}, markup),)
