"""From a row in its published form to a row of the house's schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from watari.artifact.hashing import hash_json, hash_text
from watari.artifact.kinds import Kind
from watari.artifact.records import Fault, Record, text_of
from watari.artifact.rows import Row
from watari.data.dialogue import Messages, Misshapen, alpaca, messages_of
from watari.data.pairs import pair_of

Form = Literal["documents", "messages", "sharegpt", "alpaca", "oasst", "preferences"]

KINDS: dict[Form, Kind] = {
    "documents": Kind.DOCUMENTS,
    "messages": Kind.CONVERSATIONS,
    "sharegpt": Kind.CONVERSATIONS,
    "alpaca": Kind.CONVERSATIONS,
    "oasst": Kind.CONVERSATIONS,
    "preferences": Kind.PREFERENCES,
}

_DEMO: dict[str, Form] = {
    "documents": "documents",
    "parallel": "documents",
    "conversations": "messages",
    "questions": "messages",
    "preferences": "preferences",
}


def demo_form(location: str) -> Form | None:
    """Return the form of a `demo://` resource, from its name in the URL, or None if the URL names none."""
    parts = urlsplit(location)
    names = [parts.netloc, *parts.path.split("/")]
    return next((_DEMO[name] for name in names if name in _DEMO), None)


@dataclass(frozen=True)
class Shaped:
    """A row in the house's form.

    Args:
        content: The columns that the form fills, e.g. {"messages": …}.
        identity: The xxh128 of that content: its id where the source gives none, and what tells two rows apart.
        text: What the language is guessed from.
        used: Columns of the source that are in `content` now.
    """

    content: Row
    identity: str
    text: str
    used: tuple[str, ...]


def shape(record: Record, form: Form) -> Shaped | Fault:
    """Return one row in the house's form, or why it has none. `oasst` is not a form of single rows."""
    try:
        return _SHAPES[form](record)
    except Misshapen as error:
        return record.fault(error.reason, error.detail)


def conversation(messages: Messages, used: tuple[str, ...]) -> Shaped:
    """Return a conversation's turns as a row."""
    return Shaped({"messages": messages}, hash_json(messages), messages[-1]["content"], used)


def _documents(record: Record) -> Shaped | Fault:
    text = text_of(record, "text")
    if isinstance(text, Fault):
        return text
    if not text.strip():
        return record.fault("empty text")
    content: Row = {"text": text}
    for name in ("url", "date"):
        value = record.row.get(name)
        if value is not None and not isinstance(value, str):
            return record.fault(f"field '{name}' is not a text")
        content[name] = value
    return Shaped(content, hash_text(text), text, ("text", "url", "date"))


def _messages(record: Record) -> Shaped:
    return conversation(messages_of(record.row.get("messages"), "messages"), ("messages",))


def _sharegpt(record: Record) -> Shaped:
    return conversation(messages_of(record.row.get("conversations"), "conversations"), ("conversations",))


def _alpaca(record: Record) -> Shaped:
    used = ("instruction", "input", "output", "system", "history")
    return conversation(alpaca(record.row), used)


def _preferences(record: Record) -> Shaped:
    row: dict[str, Any] = record.row
    pair = pair_of(row)
    content: Row = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    for name in ("chosen_by", "rejected_by"):
        content[name] = row[name] if isinstance(row.get(name), str) else None
    used = ["prompt", "chosen", "rejected", *(name for name in content if content[name] is not None)]
    if row.get("messages") == row["chosen"]:  # ultrafeedback_binarized repeats the chosen side
        used.append("messages")
    identity = hash_json([pair.prompt, pair.chosen, pair.rejected])
    return Shaped(content, identity, pair.chosen, tuple(used))


_SHAPES: dict[Form, Callable[[Record], Shaped | Fault]] = {
    "documents": _documents,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "preferences": _preferences,
}
