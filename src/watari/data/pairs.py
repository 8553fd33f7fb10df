"""Preference pairs in their published forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watari.artifact.records import kind_of
from watari.data.dialogue import Messages, Misshapen, messages_of


@dataclass(frozen=True)
class Pair:
    """A prompt (ending with the user's turn) and two answers to it."""

    prompt: Messages
    chosen: str
    rejected: str


def pair_of(row: dict[str, Any]) -> Pair:
    """Return the pair in a row {prompt?, chosen, rejected}.

    `chosen` and `rejected` are texts, or whole conversations that end with the answer (ultrafeedback_binarized); then
    the prompt is what stands before it, which must be the same on both sides. `prompt` is a text or a list of turns;
    with whole conversations it may be missing, and is not looked at if they hold it.

    Raises:
        Misshapen: if it is no such row, the sides have different prompts, or an answer is empty.
    """
    chosen_before, chosen = _side(row, "chosen")
    rejected_before, rejected = _side(row, "rejected")
    if chosen_before != rejected_before:
        raise Misshapen("chosen and rejected have different prompts")
    prompt = chosen_before or _prompt(row.get("prompt"))
    if prompt[-1]["role"] != "user":
        raise Misshapen("the prompt does not end with the user", f"it ends with {prompt[-1]['role']}")
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise Misshapen(f"'{name}' is empty")
    return Pair(prompt, chosen, rejected)


def _side(row: dict[str, Any], field: str) -> tuple[Messages, str]:
    value = row.get(field)
    if isinstance(value, str):
        return [], value
    if not isinstance(value, list):
        found = f"it is a {kind_of(value)}" if value is not None else "missing or null"
        raise Misshapen(f"field '{field}' is neither a text nor a list of turns", found)
    if len(value) == 1 and isinstance(value[0], dict) and value[0].get("role") == "assistant":
        # TRL's form with an explicit prompt: the answer alone, as one turn.
        content = value[0].get("content")
        if isinstance(content, str):
            return [], content
    turns = messages_of(value, field)
    if turns[-1]["role"] != "assistant":
        raise Misshapen(f"'{field}' does not end with an answer")
    return turns[:-1], turns[-1]["content"]


def _prompt(value: Any) -> Messages:
    if isinstance(value, str):
        if not value.strip():
            raise Misshapen("the prompt is empty")
        return [{"role": "user", "content": value}]
    return messages_of(value, "prompt")
