"""Answers that are none: nothing, a placeholder, a refusal, the answer to a question that was to be translated."""

from __future__ import annotations

import re

from watari.languages.checks import check_phrases, pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.wording import clip, hard

EMPTY = "empty"
REFUSAL = "refusal"
ANSWERED = "answered"

_WORD = re.compile(r"\w")
_DRESS = " \t\n\r\f\v\u3000`*_#>-~\"'“”「」『』()（）[]【】<>.。…‥!！?？,、:：;；/|\\=+"
_HEAD = 400
"""A refusal stands within so many characters (facts/synthetic.md §2)."""
_BEGINNING = 60
"""Where a refusal of a made answer begins at the latest; characters."""
_ASKED, _TAIL = 600, 300
"""A longer turn is more than a request; the part of it in which the request is looked for; characters."""
_SHORT = 12


def empty(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns with nothing in them, or with a word that stands for nothing."""
    found = []
    for number, turn in enumerate(target):
        mine = source[number].content if number < len(source) else None
        if mine is not None and not _WORD.search(mine):
            continue
        text = turn.content
        if not _WORD.search(text):
            found.append(hard(EMPTY, f"turn {number + 1} is empty", number, 0, len(text)))
        elif len(text) <= 80:
            bare = text.strip(_DRESS) or text.strip()
            names = pattern("empty", "en", meta.target, whole=True)
            if (names.search(bare) or names.search(text.strip())) and not _is_short_itself(mine, bare):
                message = f"turn {number + 1} holds only {clip(text)!r}, which stands for no answer"
                found.append(hard(EMPTY, message, number, 0, len(text)))
    return found


def _is_short_itself(mine: str | None, bare: str) -> bool:
    """Return whether a word that stands for nothing may be what was to be said."""
    if mine is None:
        return len(bare) <= 4 and bare.isascii() and bare.lower() in ("true", "false", "null", "none", "n/a")
    return len(mine.strip(_DRESS)) <= max(_SHORT, len(bare)) or bare.lower() == mine.strip(_DRESS).lower()


def refusal(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of refusals and of requests for the text, where the source has nothing of the kind."""
    found = []
    refusals = pattern("refusals", "en", meta.target)
    for number, turn in enumerate(target):
        head = turn.content[:_HEAD]
        match = refusals.search(head)
        if match is None:
            continue
        if number < len(source):
            mine = source[number].content
            # What stands in the first 400 characters of a translation stands in the first 900 of an English source.
            reach = _HEAD if len(turn.content) < _HEAD // 2 else 9 * _HEAD // 4
            if _said(match[0], mine) or pattern("sorry", meta.source).search(mine[:reach]):
                continue
            if pattern("refusals", meta.source).search(mine[: 2 * _HEAD]):
                continue
        message = f"turn {number + 1} refuses, or asks for the text: {clip(match[0])!r}"
        found.append(hard(REFUSAL, message, number, match.start(), match.end()))
    return found


def _said(what: str, mine: str) -> bool:
    return " ".join(what.lower().split()) in " ".join(mine[:2000].lower().split())


def refused(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of refusals in answers that translate nothing: at their very beginning, with nothing after them."""
    if source:
        return []
    found = []
    for number, turn in enumerate(target):
        if turn.role != "assistant" or len(turn.content) > _HEAD:
            continue
        match = pattern("refusals", "en", meta.target).search(turn.content[: _HEAD // 2])
        if match is not None and match.start() <= _BEGINNING:
            message = f"turn {number + 1} refuses: {clip(match[0])!r}"
            found.append(hard(REFUSAL, message, number, match.start(), match.end()))
    return found


def answered(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns of a user that ask in the source and answer in the target."""
    if len(source) < 2 and meta.kind != "chat":
        return []
    found = []
    opens, asks = pattern("opens", meta.source), pattern("asks", "en", meta.target)
    known = bool(check_phrases(meta.target).asks)
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if one.role != "user" or other.role != "user" or not other.content.strip():
            continue
        text = one.content.strip()
        both = number + 1 < min(len(source), len(target))
        after, mine_after = (target[number + 1].content, source[number + 1].content) if both else ("", "")
        if after.strip() and other.content.strip() == after.strip() and text != mine_after.strip():
            message = f"turn {number + 1} is the same as the answer after it"
            found.append(hard(ANSWERED, message, number, 0, len(other.content)))
            continue
        question = text.endswith(("?", "？"))
        if len(text) > _ASKED or not opens.search(text[-_TAIL:] if question else text[:_TAIL]):
            continue
        if not question and not known:
            continue
        if not asks.search(other.prose) and not asks.search(other.content[-_TAIL:]):
            message = (
                f"turn {number + 1} asks in the source, and answers in the target: {clip(other.content)!r}"
            )
            found.append(hard(ANSWERED, message, number, 0, len(other.content)))
        elif (
            after
            # An answer often takes up the words of its question; what still asks is no answer.
            and not (question and other.content.rstrip().endswith(("?", "？")))
            and _alike(other.content, after)
            and not _alike(text, mine_after)
        ):
            message = f"turn {number + 1} says what the answer after it says"
            found.append(hard(ANSWERED, message, number, 0, len(other.content)))
        elif _begins_an_answer(one.content, other.content, meta):
            message = f"turn {number + 1} begins as an answer does: {clip(other.content, 30)!r}"
            found.append(hard(ANSWERED, message, number, 0, min(20, len(other.content))))
    return found


def _begins_an_answer(one: str, other: str, meta: Meta) -> bool:
    """Return whether a question is answered: "Yes, ..." where the source does not begin so."""
    heads = pattern("answers", meta.target)
    if not heads.search(other.lstrip()[:20]):
        return False
    return not pattern("nods", meta.source).search(one[:60]) and not pattern("answers", meta.source).search(
        one[:60]
    )


def _alike(one: str, other: str) -> bool:
    """Return whether most pairs of characters of the shorter text stand in the other."""
    short, long = sorted((one[:1000], other[:1000]), key=len)
    if len(short) < _SHORT or len(short) * 3 < len(long):
        return False
    pairs = {short[at : at + 2] for at in range(len(short) - 1)}
    others = {long[at : at + 2] for at in range(len(long) - 1)}
    return len(pairs & others) >= 0.65 * len(pairs)


CHECKS = (
    Check("empty", 1, {EMPTY: Severity.HARD}, empty, needs_source=False),
    Check("refusal", 1, {REFUSAL: Severity.HARD}, refusal),
    Check("refused", 1, {REFUSAL: Severity.HARD}, refused, needs_source=False),
    Check("answered", 2, {ANSWERED: Severity.HARD}, answered),
)
