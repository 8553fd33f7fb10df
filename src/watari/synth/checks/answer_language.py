"""Answers that translate nothing: each is, as a whole, in the language that it was asked for."""

from __future__ import annotations

import re

from watari.languages.checks import pattern, words
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn
from watari.synth.checks.wording import clip, hard
from watari.text.leakage import own_letters

OTHER_LANGUAGE = "answer-language"

_LATIN = re.compile("[A-Za-z]")
_LETTERS = 30
"""Letters of prose below which nothing is said of a language: names, a title, a formula may be a whole answer."""
_SHARE = 0.15
"""Share of the language's own letters below which a text is another's."""
_GRAMMAR, _SMALL = 2, 8
"""Words of English grammar, or words in small letters, that names and titles do not have so many of."""
_WORD = re.compile(r"(?<![\w@#/.$-])[a-z][a-z'’]*(?![\w@/(=-])")
_QUOTED = re.compile(r"「[^「」\n]*」|『[^『』\n]*』|“[^“”\n]*”|\"[^\"\n]*\"|^[ \t]*>[^\n]*", re.M)
_DATA = ("{", "[", "<")


def answer_language(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of answers in Latin letters where the language has others.

    Code, quotations, addresses, names and data do not count, and nothing is said where the conversation is about other
    languages or translating.
    """
    if source or own_letters(meta.target).search("a") is not None:
        return []
    found = []
    for number, turn in enumerate(target):
        if turn.role == "assistant" and is_foreign(turn, meta.target) and not _asked_for(target, meta):
            message = f"turn {number + 1} is not in '{meta.target}': {clip(turn.content)!r}"
            found.append(hard(OTHER_LANGUAGE, message, number, 0, len(turn.content)))
    return found


def is_foreign(turn: Turn, language: str) -> bool:
    """Return whether a message's prose is in Latin letters where the language has others."""
    own = own_letters(language)
    if own.search("a") is not None or turn.content.lstrip().startswith(_DATA):
        return False
    content = turn.content
    if len(content) < _LETTERS or len(own.findall(content[:200])) > 60:
        return False
    prose = turn.prose
    without = _QUOTED.sub("", prose)
    # What is quoted as a whole is an answer all the same.
    prose = without if without.strip() else prose
    latin, mine = len(_LATIN.findall(prose)), len(own.findall(prose))
    if latin < _LETTERS or mine >= _SHARE * (latin + mine):
        return False
    small = _WORD.findall(prose)
    grammar = words("words", "en")
    return len(small) >= _SMALL or sum(word in grammar for word in small) >= _GRAMMAR


def _asked_for(conversation: Conversation, meta: Meta) -> bool:
    """Return whether others than the assistant speak of translating or of languages."""
    return any(
        pattern(field, "en", meta.target).search(turn.content)
        for turn in conversation
        if turn.role != "assistant"
        for field in ("about", "latin")
    )


CHECKS = (Check("answer_language", 1, {OTHER_LANGUAGE: Severity.HARD}, answer_language, needs_source=False),)
