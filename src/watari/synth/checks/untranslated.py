"""The source's own language in the target: kept beside the translation, in place of it, or for a sentence of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from watari.languages.checks import words
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Piece, Turn
from watari.synth.checks.wording import clip, hard
from watari.text.leakage import own_letters

ECHO = "source-kept"
ROW = "untranslated"
SENTENCE = "untranslated-sentence"
ADDED = "added-source-language"

_LOWER = re.compile(r"(?<![\w@#/.$-])[a-z][a-z'’]+(?![\w@/(=-])")
_ANY = re.compile(r"[A-Za-z][\w'’-]*")
_CODE = re.compile(r"[{}=;<>|\\]|\w\(|^(?:import|from|const|let|var|use|return)\b")
# A title that leads to something in the source's language.
_LINK = re.compile(r"\W{0,6}\[[^\]\n]{8,300}\]\(")
_RUN = re.compile(r"(?<![A-Za-z'’])[A-Za-z][A-Za-z'’]*(?:[ ,;:]+[A-Za-z0-9'’`*_-]+){3,}[.!?]?")
_OPEN = "「『“\"'‘(（《〈【[`"
_CLOSE = "」』”\"'’)）》〉】]`"
# An item or a heading of two words or more, only the first one with a capital: "- Show the version:", "## Getting started".
_SHORT = re.compile(
    r"(?:(?:[-*+]|\d+[.)]) [A-Z][a-z]+(?: +[a-z][a-z'’-]+)+ *[.:]|#{1,6} [A-Z][a-z]+(?: +[a-z][a-z'’-]+)+ *)$"
)
_TAG = re.compile(r"<(/?[A-Za-z][\w.-]{0,40})\b[^<>\n]{0,200}>")
_SHOWN = re.compile(
    r"(?:pre|code|samp|kbd|tt|\w*(?:console|terminal|shell|output|log|codeblock|snippet)\w*)$", re.I
)
_BEFORE = 400
"""Characters before a place in which the element that it is in begins."""
_MANY = 3
"""Lower-case words from which something in the source was to be translated."""


def untranslated(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of turns without a letter of the target's script, of sentences left as they were, of the source kept."""
    if meta.source == meta.target:
        return []
    latin = own_letters(meta.source).search("a") is not None
    theirs = own_letters(meta.target)
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if not other.content.strip():
            continue
        if theirs.search("a"):
            found += _into_latin(one, other, number, meta) if not latin else _same_text(one, other, number)
        elif latin:
            found += _from_latin(one, other, number, theirs, meta)
        else:
            found += _same_text(one, other, number)
    return found


def _from_latin(
    one: Turn, other: Turn, number: int, theirs: re.Pattern[str], meta: Meta
) -> Iterator[Finding]:
    if not theirs.search(other.prose):
        small = _LOWER.findall(one.prose)
        grammar = words("words", meta.source)
        was_text = len(small) >= _MANY and any(word in grammar for word in small)
        if was_text and (not theirs.search(other.content) or _LOWER.search(other.prose)):
            message = f"turn {number + 1} holds nothing in the target's language: {clip(other.content)!r}"
            yield hard(ROW, message, number, 0, len(other.content))
        return
    if one.content.strip() in other.content and len(_LOWER.findall(one.prose)) >= _MANY + 1:
        message = f"turn {number + 1} holds the source beside its translation"
        start = other.content.index(one.content.strip())
        yield hard(ECHO, message, number, start, start + len(one.content.strip()))
        return
    yield from _kept(one, other, number, meta) or _runs(one, other, number, meta)


def _kept(one: Turn, other: Turn, number: int, meta: Meta) -> list[Finding]:
    """Return what is told of sentences of the source that stand in the target as they were."""
    content, mine = other.content, one.content
    grammar = words("words", meta.source)
    outside = other.outside
    found: list[Finding] = []
    for piece in one.sentences:
        if len(piece.text) < 9:
            continue
        text = mine[piece.start : piece.stop]
        if text not in content or _LINK.match(text):
            continue
        if not _is_left(piece.text, grammar):
            continue
        start = outside.find(text)
        if start < 0 or _is_quoted(content, start, start + len(text)) or _is_shown(other, start):
            continue
        message = f"turn {number + 1}: {clip(text)!r} is as it was in the source"
        found.append(hard(SENTENCE, message, number, start, start + len(text)))
        if len(found) == 3:
            break
    return found


def _runs(one: Turn, other: Turn, number: int, meta: Meta) -> list[Finding]:
    """Return what is told of runs of words of the source's language that make a sentence, by its words of grammar."""
    prose = other.prose
    grammar = words("words", meta.source)
    found: list[Finding] = []
    for match in _RUN.finditer(prose):
        run = match[0]
        small = _LOWER.findall(run)
        many = sum(word in grammar for word in small)
        # A title has capitals.
        if not many or len(small) < _MANY or len(small) < 0.5 * len(_ANY.findall(run)):
            continue
        start, stop = match.span()
        known = " ".join(run.split()) in " ".join(one.content.split())
        if _is_quoted(prose, start, stop) or _in_link(other.content, start, stop) or _is_shown(other, start):
            continue
        if known and (many < 2 or len(small) < 4):
            continue
        if not known and many < 2:
            continue
        code, what = (SENTENCE, "is as it was in the source") if known else (ADDED, "is not in the source")
        message = f"turn {number + 1}: {clip(run)!r} is in the source's language and {what}"
        found.append(hard(code, message, number, start, stop))
        if len(found) == 3:
            break
    return found


def _is_shown(turn: Turn, start: int) -> bool:
    """Return whether a place is inside an element that shows what a machine says: <pre>, <samp>, <ConsoleBlock>."""
    if "<" not in turn.content:
        return False
    tags = _TAG.findall(turn.content[max(0, start - _BEFORE) : start])
    return bool(tags) and _SHOWN.match(tags[-1]) is not None


def _in_link(content: str, start: int, stop: int) -> bool:
    """Return whether a stretch is the text of a link: a title that leads to something in the source's language."""
    opened = content.rfind("[", max(0, start - 300), start)
    closed = content.find("](", stop, stop + 300)
    if opened < 0 or closed < 0:
        return False
    return not any(sign in content[opened:closed] for sign in ("]", "\n"))


def _is_left(text: str, grammar: frozenset[str]) -> bool:
    """Return whether a sentence was to be translated: most of it small words, one of them of grammar; no title, no code."""
    if _CODE.search(text):
        return False
    if _SHORT.match(text):
        # A heading of two words may be a name.
        return text[0] != "#" or text.count(" ") > 2 or any(word in grammar for word in _LOWER.findall(text))
    small = _LOWER.findall(text)
    every = len(_ANY.findall(text))
    if len(small) < _MANY or len(small) < 0.6 * every or not any(word in grammar for word in small):
        return False
    return every >= 5 or text[-1] in ".:?"


def _is_quoted(prose: str, start: int, stop: int) -> bool:
    """Return whether a stretch stands in quotation marks, brackets or stars: a title, a term with its original."""
    before = prose[max(0, start - 2) : start].rstrip(" ")
    after = prose[stop : stop + 2].lstrip(" ")
    return before[-1:] in tuple(_OPEN) and after[:1] in tuple(_CLOSE) and bool(before) and bool(after)


def _into_latin(one: Turn, other: Turn, number: int, meta: Meta) -> Iterator[Finding]:
    """Tell of the source's letters in a target in Latin ones, but for short runs in brackets or quotation marks."""
    letters = own_letters(meta.source)
    prose = other.prose
    if prose.isascii():
        return
    many = len(letters.findall(prose))
    if not many:
        return
    if many > 0.5 * sum(map(str.isalpha, prose)):
        yield hard(ROW, f"turn {number + 1} is in the source's language", number, 0, len(other.content))
        return
    for match in re.finditer(f"(?:{letters.pattern}|[ーー々、。・])+", prose):
        if (
            len(letters.findall(match[0])) >= 2
            and not _is_quoted(prose, *match.span())
            and not _in_brackets(prose, match)
        ):
            message = f"turn {number + 1}: {clip(match[0])!r} is in the source's language"
            yield hard(SENTENCE, message, number, *match.span())
            return


def _in_brackets(prose: str, match: re.Match[str]) -> bool:
    """Return whether a bracket is open before a match: a name in its own writing, beside others."""
    before = prose[max(0, match.start() - 200) : match.start()]
    return max(before.rfind("("), before.rfind("（"), before.rfind("[")) > max(
        before.rfind(")"), before.rfind("）"), before.rfind("]")
    )


def _same_text(one: Turn, other: Turn, number: int) -> Iterator[Finding]:
    """Tell of turns and sentences of some length that are the same in both, where scripts say nothing."""
    mine, theirs = one.content.strip(), other.content.strip()
    if mine == theirs and len(one.prose.split()) >= 4:
        yield hard(ROW, f"turn {number + 1} is the source as it was", number, 0, len(other.content))
        return
    for piece in one.sentences:
        if _is_sentence(piece) and piece.text in other.prose:
            start = other.prose.index(piece.text)
            message = f"turn {number + 1}: {clip(piece.text)!r} is as it was in the source"
            yield hard(SENTENCE, message, number, start, start + len(piece.text))
            return


def _is_sentence(piece: Piece) -> bool:
    return (len(piece.text) >= 20 and len(piece.text.split()) >= 5) or (
        not piece.text.isascii() and len(piece.text) >= 15
    )


CHECKS = (
    Check(
        "untranslated",
        2,
        dict.fromkeys((ECHO, ROW, SENTENCE, ADDED), Severity.HARD),
        untranslated,
    ),
)
