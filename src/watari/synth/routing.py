"""The router: which conversations must not be translated, because they are about the words of their own language.

To count the letters of `strawberry`, to rhyme, to proofread, to translate into French: a translation of such a task is
a task that nobody can do, with an answer that is wrong. They are kept apart, and `synth.instruct` makes tasks of the
same kinds in the target language instead. The rules are data: `languages/routing/<code>.yaml`.

Rules look at what asks: the user's messages and the system prompt, of each the first `HEAD` and the last `TAIL`
characters (an order stands before or behind the text that it is about), without code blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watari.languages.routing import Routing, load_routing, routing_languages

HEAD = 400
"""Characters at the beginning of a message that the rules look at."""
TAIL = 240
"""Characters at its end."""

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.S)
_STRAIGHT = str.maketrans(
    {"’": "'", "‘": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "\u00a0": " ", "–": "-", "—": "-"}
)
_SPACES = re.compile(r"[ \t]{2,}")


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a conversation goes.

    Args:
        translate: False if it must be made in the target language instead.
        reason: Of the rule, for people; "" where it is translated.
        category: Of the rule, to count by: `letter-count`; "" where it is translated.
        matched: The words that gave it away, at most 80 characters.
    """

    translate: bool
    reason: str = ""
    category: str = ""
    matched: str = ""


TRANSLATED = Routed(True)


def route(messages: Sequence[Mapping[str, str]], language: str = "en") -> Routed:
    """Return whether a conversation may be translated; it may not if any user turn or system prompt is of such a kind.

    Args:
        messages: {role, content} each; what the assistant said is not looked at.
        language: Of the conversation; one without rules is always translated.
    """
    if language not in _known():
        return TRANSLATED
    rules = load_routing(language)
    for message in messages:
        if message["role"] != "assistant" and (found := _route_text(message["content"], rules)) is not None:
            return found
    return TRANSLATED


def route_text(text: str, language: str = "en") -> Routed:
    """Return whether one prompt may be translated."""
    return route([{"role": "user", "content": text}], language)


_KNOWN: list[str] = []


def _known() -> list[str]:
    if not _KNOWN:
        _KNOWN.extend(routing_languages())
    return _KNOWN


def _route_text(content: str, routing: Routing) -> Routed | None:
    found = routing.found(asking_part(content))
    if found is None:
        return None
    rule, matched = found
    return Routed(False, rule.reason, rule.category, " ".join(matched.split())[:80])


def asking_part(content: str) -> str:
    """Return what the rules look at: both ends, lower-case, straight quotes, single blanks, no code blocks."""
    if "```" in content:
        content = _FENCE.sub(" ", content)
    if len(content) > HEAD + TAIL:
        content = f"{content[:HEAD]}\n{content[-TAIL:]}"
    content = content.lower()
    if not content.isascii():
        content = content.translate(_STRAIGHT)
    if "  " in content or "\t" in content:
        content = _SPACES.sub(" ", content)
    return content.strip()
