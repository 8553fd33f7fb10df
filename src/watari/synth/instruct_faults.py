"""Faults of generated messages that only this stage knows of: JSON that was asked for, the language that was asked for."""

from __future__ import annotations

import re

import orjson

from watari.synth.checks.answer_language import is_foreign
from watari.synth.checks.text import Turn
from watari.synth.ladder import Message

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

    Code blocks, inline code and addresses do not count. The rule is that of the check `answer_language`, for
    messages of any role.
    """
    if not is_foreign(Turn(message["role"], message["content"]), language):
        return ""
    return f"it is not in the language that was asked for ({language}): {message['content'][:60]!r}"
