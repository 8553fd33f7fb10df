"""What is put around a translation: announcements, notes, offers, marks of a prompt, a fence, quotation marks."""

from __future__ import annotations

import re

from watari.languages.checks import pattern
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import clip, hard, warn

PREAMBLE = "preamble"
POSTSCRIPT = "postscript"
MARKER = "marker-left"
FENCED = "outer-fence"
QUOTED = "outer-quotes"
NOTE = "translator-note"

_TERM = 40
"""A shorter text in quotation marks may be a term that the source marks otherwise; characters."""
_LINE = 240
"""Longer first and last lines are text, not talk about it; characters."""
_MARKER = re.compile(
    r"<<\s*\[?/?[A-Za-z][\w /-]{0,20}\]?\s*>>|<\|[A-Za-z_]{1,30}\|>|\[/?(?:INST|SYS|TRANSLATION|END|START|TARGET|SOURCE|OUTPUT)\]|<</?SYS>>"
    r"|</?s>|<(?:eos|bos|pad|unk|EOS|BOS|PAD|UNK)>|<\uff5c[^\uff5c<>]{1,40}\uff5c>|<(?:start|end)_of_(?:turn|text)>"
    r"|</?(?:translation|translated|translate|target|source|output|japanese|english|korean|chinese|result|response|answer|thinking|think|ja|en|ko|zh)(?:_?text)?\s*>"
    r"|^\W{0,3}(?:-{3,}|={3,}|\*{3,}|#{3})\s*(?:END|BEGIN|START|Translation|TRANSLATION|翻訳|End|Begin|Start)\b[^\n]{0,20}$"
    r"|^#{2,4} ?(?:Instruction|Response|Input|Output|Human|Assistant|User|System)s?:?\s*$|\bEND OF (?:TEXT|TRANSLATION)\b",
    re.M,
)
_MARKS = ("<", "[", "###", "---", "===", "***", "END OF")
_LABEL = re.compile(r"\W{0,4}[\w '’-]{1,40}[:：](?![\w:/`])\W?|.{0,80}[:：]\s*$")
"""A first line of a source that is a label itself, or announces what follows."""
_PAIRS = {"「": "」", "『": "』", "“": "”", '"': '"', "'": "'", "«": "»", "‘": "’", "【": "】"}
_TRIM = " \t\n\r\u3000"


def preamble(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of first lines that announce the translation or accept the request, where the source has none."""
    found = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        start, line, rest = _first_line(other.content)
        if not line or len(line) > _LINE:
            continue
        mine = one.content.lstrip()[:200]
        code = _before(mine, one, line, rest, meta)
        if code:
            message = f"turn {number + 1} begins with talk that is not in the source: {clip(line)!r}"
            found.append(hard(code, message, number, start, start + len(line)))
    return found


def _first_line(text: str) -> tuple[int, str, str]:
    """Return where the first line with something on it starts, the line, and what follows."""
    start = len(text) - len(text.lstrip(_TRIM))
    end = text.find("\n", start)
    line = text[start:] if end < 0 else text[start:end]
    return start, line.strip(_TRIM), "" if end < 0 else text[end + 1 : end + 200].strip(_TRIM)


def _before(mine: str, one: Turn, line: str, rest: str, meta: Meta) -> str:
    """Return the code for a first line of a target that its source does not begin with, or nothing."""
    nods = pattern("nods", meta.source, "en").search(mine[:48]) is not None
    if match := pattern("announces", "en", meta.target).search(line):
        first = mine.split("\n", 1)[0]
        labelled = _LABEL.match(first) is not None
        if match.end() <= 30 and match[0][-1:] in ":：" and not labelled:
            return PREAMBLE
        if not pattern("announces", meta.source).search(first):
            if _names_translating(line, meta):
                if not pattern("topic", meta.source).search(mine):
                    return PREAMBLE
            elif not nods and not labelled:
                return PREAMBLE
    if not nods and pattern("assents", "en", meta.target).search(f"{line}\n{rest[:40]}"):
        return PREAMBLE
    return ""


def _names_translating(text: str, meta: Meta) -> bool:
    return pattern("about", "en", meta.target).search(text) is not None


def postscript(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of last lines that speak of the translation or offer more, where the source has none."""
    found = []
    closings = pattern("closings", "en", meta.target)
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        text = other.outside.rstrip(_TRIM)
        # A note of several lines: its first one tells.
        begin = max(0, len(text) - 700)
        paragraph = text.rfind("\n\n", begin)
        last = text.rfind("\n", begin)
        for start in dict.fromkeys((paragraph, last)):
            if start < 0:
                continue
            line = text[start:].strip(_TRIM).split("\n", 1)[0]
            if not line or len(line) > _LINE:
                continue
            if closings.search(line) and _is_new(line, one, meta):
                message = f"turn {number + 1} ends with talk that is not in the source: {clip(line)!r}"
                found.append(hard(POSTSCRIPT, message, number, start + 1, len(text)))
                break
    return found


def _is_new(line: str, one: Turn, meta: Meta) -> bool:
    """Return whether a closing line of the target has nothing to go back to in the source's end."""
    mine = one.content.rstrip(_TRIM)
    tail = mine[-2000:].rsplit("\n\n", 1)[-1] if "\n\n" in mine[-2000:] else mine[-200:]
    if line in mine:
        return False
    if _names_translating(line, meta):
        return not pattern("topic", meta.source).search(tail) and not pattern("about", meta.source).search(
            mine
        )
    return not pattern("offers", meta.source).search(tail) and not pattern("closings", meta.source).search(
        tail
    )


def talk(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of a first or last sentence about translating in a text that has nothing to do with it."""
    about = pattern("about", "en", meta.target)
    found = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        text = other.content
        if len(text) < 4 or (not about.search(text[:200]) and not about.search(text[-200:])):
            continue
        if pattern("topic", meta.source).search(one.content):
            continue
        sentences = other.sentences
        for piece in {sentences[0], sentences[-1]} if sentences else ():
            if len(sentences) > 1 and len(piece.text) <= 120 and about.search(piece.text):
                code = PREAMBLE if piece is sentences[0] else POSTSCRIPT
                message = (
                    f"turn {number + 1} speaks of translating, the source does not: {clip(piece.text)!r}"
                )
                found.append(hard(code, message, number, piece.start, piece.stop))
    return found


def markers(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of marks of prompts and templates that the source does not have."""
    found = []
    for number, turn in enumerate(target):
        text = turn.content
        if not any(mark in text for mark in _MARKS):
            continue
        mine = source[number].content if number < len(source) else ""
        for match in _MARKER.finditer(text):
            if match[0].strip() not in mine:
                message = f"turn {number + 1} holds a mark of a prompt: {clip(match[0])!r}"
                found.append(hard(MARKER, message, number, match.start(), match.end()))
                break
    return found


def wrapped(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of texts that stand in a fence or in quotation marks as a whole, where the source does not."""
    found = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        text, mine = other.content.strip(_TRIM), one.content.strip(_TRIM)
        if not text or not mine:
            continue
        size = len(other.content)
        fence = ("```", "~~~")
        whole = text.endswith(text[:3]) or len(other.fences) == 1
        if text.startswith(fence) and not mine.startswith(fence) and whole:
            message = f"turn {number + 1} stands in a code fence as a whole"
            found.append(hard(FENCED, message, number, 0, size))
        closing = _PAIRS.get(text[0])
        if closing is None or len(text) < 3 or text[-1] != closing or not _one_pair(text, closing):
            continue
        term = len(text) < _TERM and mine[0] in "`(<[*_"
        if mine[0] not in _PAIRS and not term and mine[-1] not in "\"”’'»」』":
            message = f"turn {number + 1} stands in {text[0]}{closing} as a whole"
            found.append(hard(QUOTED, message, number, 0, size))
    return found


def _one_pair(text: str, closing: str) -> bool:
    """Return whether the first mark is closed by the last one and by none before."""
    if text[0] == closing:
        return text.count(closing) == 2
    depth = 0
    for place, char in enumerate(text):
        depth += (char == text[0]) - (char == closing)
        if depth == 0:
            return place == len(text) - 1
    return False


def notes(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of translator's notes in the text; people write them too."""
    found = []
    marks = pattern("notes", "en", meta.target)
    for number, turn in enumerate(target):
        match = marks.search(turn.content)
        if match is None:
            continue
        if number >= len(source) or not pattern("notes", meta.source).search(source[number].content):
            quoted = clip(turn.content[match.start() : match.start() + 80])
            message = f"turn {number + 1} holds a translator's note: {quoted!r}"
            found.append(warn(NOTE, message, number, match.start(), match.end()))
    return found


CHECKS = (
    Check("preamble", 1, {PREAMBLE: Severity.HARD}, preamble),
    Check("postscript", 1, {POSTSCRIPT: Severity.HARD}, postscript),
    Check("talk_of_translating", 1, {PREAMBLE: Severity.HARD, POSTSCRIPT: Severity.HARD}, talk),
    Check("markers", 1, {MARKER: Severity.HARD}, markers, needs_source=False),
    Check("wrapped", 1, {FENCED: Severity.HARD, QUOTED: Severity.HARD}, wrapped),
    Check("translators_notes", 1, {NOTE: Severity.WARN}, notes, needs_source=False),
)
