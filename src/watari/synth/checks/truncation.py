"""Answers that end before they are done."""

from __future__ import annotations

import re

from watari.languages.checks import pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import clip, hard

CUT = "truncated"
FINISH = "finish-reason"

_CUT_OFF = frozenset(
    {"length", "max_tokens", "max_length", "max_output_tokens", "model_length", "incomplete", "token_limit"}
)
_STOPPED = frozenset(
    {"content_filter", "safety", "recitation", "error", "blocklist", "prohibited_content", "cancelled"}
)
_END = "。．.!！?？…‥♪〜～"
_CLOSERS = "」』）)】]〉》”’\"'*_`>}｝|"
_ENDED = re.compile(rf"[{_END}:：;；][{re.escape(_CLOSERS)}\s]*$")
_PAIRS = (("（(", "）)"), ("「", "」"), ("『", "』"), ("【[", "】]"), ("{", "}"), ("“", "”"))
_IS_CODE = re.compile(r"(?:[-*+] |\d+[.)] )?`[^`\n]+`$")
_ITEM = re.compile(r"(?:[-*+•・]|\d{1,3}[.)])\s")
_NOUN = re.compile("[\u30a1-\u30ff\u4e00-\u9fff]$")
_RATIO = 0.35
"""Less than this share of the source's characters is short for a whole translation (1st percentile of real ones: .32-.41)."""
_LAST = 300
_LINE = 20
"""A shorter last line may be a title or a name."""
_SENTENCE = 30
"""A last line of so many characters, with a comma in it, is a sentence."""


def finish(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of answers that the server says it cut or stopped."""
    reason = meta.finish_reason.lower()
    if reason in _CUT_OFF:
        return [hard(FINISH, f"the answer was cut: finish_reason {meta.finish_reason}")]
    if reason in _STOPPED:
        return [hard(FINISH, f"the answer was stopped: finish_reason {meta.finish_reason}")]
    return []


def truncated(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns that end inside a sentence, a word, a bracket or a code block, where the source ends well."""
    found = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        mine, text = one.content.rstrip(), other.content.rstrip()
        if not mine or not text:
            continue
        if why := _why(one, other, mine, text, meta):
            message = f"turn {number + 1} ends {why}: {clip(text[-40:])!r}"
            found.append(hard(CUT, message, number, max(0, len(text) - 20), len(text)))
    return found


def ends_well(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of answers of some length whose last sentence has a form that none ends in."""
    if source or not target:
        return []
    number = len(target) - 1
    text = target[number].content.rstrip()
    if len(text) < 40 or _ENDED.search(text[-12:]):
        return []
    fences = target[number].fences
    if fences and not fences[-1].closed:
        return [hard(CUT, f"turn {number + 1} ends inside a code block", number, fences[-1].start, len(text))]
    if text[-1] in "、，,・（「『([":
        return [
            hard(
                CUT,
                f"turn {number + 1} ends inside a sentence: {clip(text[-40:])!r}",
                number,
                len(text) - 1,
                len(text),
            )
        ]
    last = text.rsplit("\n", 1)[-1].strip()
    plain_end = last[:1] not in "#|<-*+>`" and not _ITEM.match(last) and text[-1] not in "`>|}）)」』】]"
    if plain_end and len(last) >= _LINE and pattern("hanging", meta.target).search(_last(text)):
        message = f"turn {number + 1} ends inside a sentence: {clip(text[-40:])!r}"
        return [hard(CUT, message, number, len(text) - 1, len(text))]
    return []


def _why(one: Turn, other: Turn, mine: str, text: str, meta: Meta) -> str:
    """Return where a text ends that should not end there, or nothing."""
    ours, theirs = one.fences, other.fences
    if theirs and not theirs[-1].closed and not (ours and not ours[-1].closed):
        return "inside a code block"
    if ours and ours[-1].stop >= len(mine):
        # The source ends in code: so must the target.
        if not theirs or theirs[-1].stop < len(text):
            return "" if _ENDED.search(text[-12:]) else "before the code that the source ends with"
        return ""
    if text.endswith(mine[-12:]) and len(mine) >= 12:
        return ""
    if _ENDED.search(text[-12:]):
        return _unclosed(one, other, text)
    if why := _unclosed(one, other, text):
        return why
    last_line, my_last_line = text.rsplit("\n", 1)[-1].strip(), mine.rsplit("\n", 1)[-1].strip()
    if _IS_CODE.match(my_last_line):
        return "" if "`" in last_line else "before the code that the source ends with"
    if my_last_line[:1] in "#|<" or last_line[:1] in "#|<" or text[-1] in "`>|}）)」』】]":
        return ""
    last = _last(text)
    if pattern("hanging", meta.target).search(last) and mine[-1] not in ",、-–—/(":
        return "inside a sentence"
    if not _ENDED.search(mine[-12:]):
        return ""
    ended = pattern("ends", meta.target).search(last) is not None
    # A line of its own may be a title or an item.
    stops = any(sign in last_line for sign in ("。", "！", "？", ". ")) or (
        "。" in text and "、" in last_line and len(last_line) >= _SENTENCE
    )
    item = _ITEM.match(last_line) is not None and _ITEM.match(my_last_line) is not None
    if stops and not item and not (ended and pattern("polite", meta.target).search(last)):
        # Whoever writes stops writes the last one too.
        return "without the end of a sentence"
    if "\n" in text and "\n" not in mine:
        return ""
    if not ended or (_NOUN.search(last) and len(mine) >= 40 and len(text) < _RATIO * len(mine)):
        return "without the end of a sentence"
    return ""


def _last(text: str) -> str:
    """Return the last line's end without what closes it."""
    return text[-_LAST:].rsplit("\n", 1)[-1].rstrip(_CLOSERS + " \t\u3000")


def _unclosed(one: Turn, other: Turn, text: str) -> str:
    """Return "inside a bracket" if the last one that is open near the end is closed in the source."""
    prose = other.prose
    tail = prose[-_LAST:]
    mine = one.prose
    for opening, closing in _PAIRS:
        at = max(map(tail.rfind, opening))
        if at < 0 or any(sign in tail[at:] for sign in closing):
            continue
        if _balance(prose, opening, closing) > max(0, _balance(mine, opening, closing)):
            return f"inside {opening[0]}{closing[0]}"
    outside = other.outside
    if outside.count("`") % 2 and not one.outside.count("`") % 2 and "`" in outside[-_LAST:]:
        inline = other.inline
        last = outside.rfind("`")
        if not inline or inline[-1].stop <= last:
            return "inside inline code"
    if outside.count("**") % 2 and not one.outside.count("**") % 2 and "**" in outside[-80:]:
        return "inside bold text"
    opened = outside.rfind("](", max(0, len(outside) - _LAST))
    if opened >= 0 and ")" not in outside[opened:] and "](" in one.outside:
        return "inside a link"
    return ""


def _balance(text: str, opening: str, closing: str) -> int:
    return sum(map(text.count, opening)) - sum(map(text.count, closing))


CHECKS = (
    Check("finish_reason", 1, {FINISH: Severity.HARD}, finish, needs_source=False),
    Check("truncated", 2, {CUT: Severity.HARD}, truncated),
    Check("ends_well", 3, {CUT: Severity.HARD}, ends_well, needs_source=False),
)
