"""What a conversation must be, and the published forms that hold one in a row: messages, ShareGPT, Alpaca."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from watari.artifact.records import kind_of

Messages = list[dict[str, str]]

_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}


class Misshapen(ValueError):
    """A row that is no conversation; `reason` is a fixed phrase to count by, `detail` says what and where.

    Never leaves the room: the stage turns it into a fault.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def messages_of(value: Any, field: str) -> Messages:
    """Return a list of turns in the OpenAI form, checked.

    Each turn is a mapping with `role` and `content`, or ShareGPT's `from` and `value`. The roles of the common
    exports (human, gpt, prompter, …) are understood; content may be OpenAI's list of text parts. An empty system
    message is left out.

    Raises:
        Misshapen: if it is no such list, a role is unknown, a turn is empty, or user and assistant do not take turns.
    """
    if not isinstance(value, list):
        found = f"it is a {kind_of(value)}" if value is not None else "missing or null"
        raise Misshapen(f"field '{field}' is not a list of turns", found)
    turns = [_turn(item, number) for number, item in enumerate(value, 1)]
    if turns and turns[0]["role"] == "system" and not turns[0]["content"].strip():
        turns = turns[1:]
    check_turns(turns)
    return turns


def weights_of(value: Any, turns: Messages) -> list[float] | None:
    """Return the weight of each turn in the loss as a published form gives them (SlimOrca's and OpenAI's `weight`).

    Args:
        value: The list that `messages_of` has read.
        turns: What it returned.

    Returns:
        One number a turn, or None where the weights say what holds anyway: answers 1, all else 0.

    Raises:
        Misshapen: if a weight is no number from 0 to 1, or no answer has one above 0.
    """
    given = [item.get("weight") for item in value][len(value) - len(turns) :]
    weights = []
    for number, (turn, weight) in enumerate(zip(turns, given, strict=True), 1):
        answer = turn["role"] == "assistant"
        if weight is None:
            weight = 1.0 if answer else 0.0
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise Misshapen("field 'weight' is no number from 0 to 1", f"turn {number}: {weight!r}")
        weights.append(float(weight) if answer else 0.0)
    answers = [weight for turn, weight in zip(turns, weights, strict=True) if turn["role"] == "assistant"]
    if answers and not any(answers):
        raise Misshapen("no answer has a weight above 0")
    return None if all(weight == 1 for weight in answers) else weights


def _turn(item: Any, number: int) -> dict[str, str]:
    if not isinstance(item, dict):
        raise Misshapen("a turn is not a mapping", f"turn {number} is a {kind_of(item)}")
    role = item.get("role", item.get("from"))
    content = item.get("content", item.get("value"))
    if not isinstance(role, str) or role not in _ROLES:
        raise Misshapen("unknown role", f"turn {number}: {role!r}")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise Misshapen("a turn's content is not a text", f"turn {number} is a {kind_of(content)}")
    return {"role": _ROLES[role], "content": content}


def check_turns(turns: Sequence[dict[str, str]]) -> None:
    """Make sure that at most one system message comes first, then user and assistant in turn, none of them empty.

    Raises:
        Misshapen: naming the first turn that breaks the rule.
    """
    start = 1 if turns and turns[0]["role"] == "system" else 0
    if len(turns) == start:
        raise Misshapen("no user turn", "")
    for number, turn in enumerate(turns[start:], start + 1):
        wanted = ("user", "assistant")[(number - start - 1) % 2]
        if turn["role"] != wanted:
            raise Misshapen("turns do not alternate", f"turn {number} is {turn['role']}, not {wanted}")
        if not turn["content"].strip():
            raise Misshapen("empty turn", f"turn {number} ({wanted})")


def alpaca(row: dict[str, Any]) -> Messages:
    """Return Alpaca's {instruction, input, output, system, history} as turns.

    The input follows the instruction after a blank line. `history` is LLaMA-Factory's list of [question, answer].

    Raises:
        Misshapen: if a field is missing or of the wrong type.
    """
    turns: list[dict[str, str]] = []
    if system := _text(row, "system", optional=True):
        turns.append({"role": "system", "content": system})
    for pair in row.get("history") or []:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise Misshapen("field 'history' is not a list of pairs")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    prompt = _text(row, "instruction")
    if extra := _text(row, "input", optional=True):
        prompt = f"{prompt}\n\n{extra}"
    turns += [{"role": "user", "content": prompt}, {"role": "assistant", "content": _text(row, "output")}]
    check_turns(turns)
    return turns


def _text(row: dict[str, Any], field: str, *, optional: bool = False) -> str:
    value = row.get(field)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        found = f"it is a {kind_of(value)}" if value is not None else "missing or null"
        raise Misshapen(f"field '{field}' is not a text", found)
    return value
