"""From a row in its published form to a row of the house's schema.

The forms, as they are published:
    documents      {text, url?, date?}
    messages       OpenAI's {messages: [{role, content, weight?}]}; content may be a list of text parts
    sharegpt       {conversations: [{from: human | gpt | system, value, weight?}]}
    slimorca       the same with a weight a turn (Open-Orca/SlimOrca): answers of weight 0 are told in `meta.weights`
    alpaca         {instruction, input?, output, system?, history?}
    oasst          one message a row, or one tree a row; the best-ranked conversation of each tree
    ultrafeedback  prompts with scored answers: openbmb's, HuggingFaceH4's, argilla's, distilabel's (see `scored`)
    preferences    {prompt?, chosen, rejected}: texts, or whole conversations
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from watari.artifact.hashing import hash_json, hash_text
from watari.artifact.kinds import Kind
from watari.artifact.records import Fault, Record, text_of
from watari.artifact.rows import Row
from watari.data.dialogue import Messages, Misshapen, alpaca, messages_of, weights_of
from watari.data.pairs import pair_of
from watari.data.scored import USED, Against, Measure, scored_prompt

Form = Literal[
    "documents", "messages", "sharegpt", "slimorca", "alpaca", "oasst", "ultrafeedback", "preferences"
]
Make = Literal["conversations", "preferences"]
"""What is made of rows with several scored answers: the best one as a conversation, or a pair."""

KINDS: dict[Form, Kind] = {
    "documents": Kind.DOCUMENTS,
    "messages": Kind.CONVERSATIONS,
    "sharegpt": Kind.CONVERSATIONS,
    "slimorca": Kind.CONVERSATIONS,
    "alpaca": Kind.CONVERSATIONS,
    "oasst": Kind.CONVERSATIONS,
    "ultrafeedback": Kind.PREFERENCES,
    "preferences": Kind.PREFERENCES,
}
"""What each form gives; of `ultrafeedback`, where `make` does not say otherwise."""

NO_PAIR = "no answer with a lower score"
LOW_SCORE = "score below min_score"
LOW_MARGIN = "margin below min_margin"

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
    further: Columns beside the schema's that were made of it: scores, weights of turns.
    """

    content: Row
    identity: str
    text: str
    used: tuple[str, ...]
    further: Row = field(default_factory=dict)


@dataclass(frozen=True)
class PassedOver:
    """A sound row that the stage's selection does not take; `reason` is a fixed phrase to count by."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class ScoreChoice:
    """What is taken of rows with several scored answers; the fields are the stage's parameters of these names."""

    make: Make = "preferences"
    measure: Measure = "overall"
    against: Against = "worst"
    min_score: float | None = None
    min_margin: float = 0.0
    seed: int = 0
    stage: str = ""


def shape(record: Record, form: Form, scores: ScoreChoice | None = None) -> Shaped | Fault | PassedOver:
    """Return one row in the house's form, or why it has none. `oasst` is not a form of single rows.

    Args:
        record: The row.
        form: Its published form.
        scores: What is taken of an `ultrafeedback` row.
    """
    try:
        if form == "ultrafeedback":
            return _ultrafeedback(record, scores or ScoreChoice())
        return _SHAPES[form](record)
    except Misshapen as error:
        return record.fault(error.reason, error.detail)


def conversation(messages: Messages, used: tuple[str, ...], **further: Any) -> Shaped:
    """Return a conversation's turns as a row."""
    named = {name: value for name, value in further.items() if value is not None}
    return Shaped({"messages": messages}, hash_json(messages), messages[-1]["content"], used, named)


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
    return _turns(record, "messages")


def _sharegpt(record: Record) -> Shaped:
    return _turns(record, "conversations")


def _turns(record: Record, column: str) -> Shaped:
    value = record.row.get(column)
    messages = messages_of(value, column)
    return conversation(messages, (column,), weights=weights_of(value, messages))


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


def _ultrafeedback(record: Record, scores: ScoreChoice) -> Shaped | PassedOver:
    prompt = scored_prompt(record.row, scores.measure)
    best = prompt.best
    if scores.min_score is not None and best.score < scores.min_score:
        return PassedOver(LOW_SCORE, f"{best.score:g}")
    if scores.make == "conversations":
        messages = [*prompt.prompt, {"role": "assistant", "content": best.text}]
        return conversation(messages, USED, score=best.score, model=best.model or None)
    other = prompt.against(scores.against, scores.seed, scores.stage)
    if other is None:
        return PassedOver(NO_PAIR, f"{len(prompt.answers)} answers")
    if best.score - other.score < scores.min_margin:
        return PassedOver(LOW_MARGIN, f"{best.score:g} against {other.score:g}")
    content: Row = {
        "prompt": prompt.prompt,
        "chosen": best.text,
        "rejected": other.text,
        "chosen_by": best.model or None,
        "rejected_by": other.model or None,
    }
    identity = hash_json([prompt.prompt, best.text, other.text])
    return Shaped(
        content, identity, best.text, USED, {"score_chosen": best.score, "score_rejected": other.score}
    )


_SHAPES: dict[Form, Callable[[Record], Shaped | Fault]] = {
    "documents": _documents,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "slimorca": _sharegpt,
    "alpaca": _alpaca,
    "preferences": _preferences,
}
