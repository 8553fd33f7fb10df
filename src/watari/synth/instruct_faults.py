"""Faults of generated messages that only this stage knows of: JSON that was asked for, the language that was asked for."""

from __future__ import annotations

import re

import orjson

from watari.synth.checks.text import Turn
from watari.synth.ladder import Message
from watari.text.leakage import own_letters

_FEW, _SHARE = 20, 0.15
"""Latin letters from which a text says something; share of the language's own letters below which it is another's."""
_LATIN = re.compile("[A-Za-z]")
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.S)


def json_fault(text: str) -> str:
    """Return why an answer is no JSON (alone or in one code block), in a line; "" if it is."""
    match = _FENCED.match(text)
    try:
        orjson.loads(match[1] if match else text)
    except orjson.JSONDecodeError as error:
        return f"JSON was asked for, and the answer cannot be read as JSON: {error}"
    return ""


def language_fault(message: Message, language: str) -> str:
    """Return that a message is in Latin letters where the language is not, in a line; "" if it is not.

    Code blocks, inline code and addresses do not count. The checks leave this to those that see a source.
    """
    theirs = own_letters(language)
    if theirs.search("a") is not None:
        return ""
    prose = Turn(message["role"], message["content"]).prose
    latin, own = len(_LATIN.findall(prose)), len(theirs.findall(prose))
    if latin < _FEW or own >= _SHARE * (latin + own):
        return ""
    return f"it is not in the language that was asked for ({language}): {message['content'][:60]!r}"
