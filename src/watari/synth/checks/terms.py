"""Words with a fixed translation, and names that are written in one way through a conversation."""

from __future__ import annotations

import re

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.wording import clip, hard, warn

MISSED = "glossary"
NAMES = "names"

_NAME = re.compile(r"(?<=[a-z0-9,;:()\"“] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*(?![\w'’-])")


def glossary(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of terms of the glossary that stand in the source and whose translation does not stand in the target."""
    found = []
    for term, wanted in meta.glossary.items():
        if not term or not wanted:
            continue
        small, want = term.casefold(), wanted.casefold()
        edge = re.compile(rf"(?<!\w){re.escape(small)}(?!\w)") if small.isascii() else None
        for number, (one, other) in enumerate(zip(source, target, strict=False)):
            mine = one.prose.casefold()
            if small in mine and (edge is None or edge.search(mine)) and want not in other.content.casefold():
                message = f"turn {number + 1}: {clip(term)!r} is to be translated as {clip(wanted)!r}"
                found.append(hard(MISSED, message, number, 0, len(other.content)))
    return found


def names(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of names that one turn of the target keeps in Latin letters and another writes in its own."""
    if len(source) < 2:
        return []
    turns: dict[str, list[int]] = {}
    for number, one in enumerate(source):
        for name in set(_NAME.findall(one.prose)):
            turns.setdefault(name, []).append(number)
    found = []
    for name, numbers in turns.items():
        within = [number for number in numbers if number < len(target)]
        kept = [number for number in within if name in target[number].content]
        if len(within) > 1 and 0 < len(kept) < len(within):
            other = next(number for number in within if number not in kept)
            message = (
                f"{name!r} stands in turn {kept[0] + 1} as it is in the source, and not in turn {other + 1}"
            )
            found.append(warn(NAMES, message, other, 0, len(target[other].content)))
    return found


CHECKS = (
    Check("glossary", 1, {MISSED: Severity.HARD}, glossary),
    Check("names", 1, {NAMES: Severity.WARN}, names),
)
