"""Rows to scan: responses with what was asked, in whatever form they are kept.

- `{id, prompt or messages, response}`, one JSON object a line (.gz, .zst too), a JSON array, parquet, arrow; besides
  `expected_lang`, `licensed` and any further columns (model, temperature, run);
- rows without a prompt, whose prompts stand in a file of their own and are joined by the columns that both have (`i`);
- conversations: every answer of the assistant is a response;
- an evaluation folder of `watari eval run`, an artifact of a run.

What a response is compared by is its prompt: all answers to one are drawn together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from watari.artifact.hashing import hash_json
from watari.artifact.records import Fault, Record, kind_of
from watari.text.language_codes import is_language_code, language_code
from watari.text.leakage import Licensed

LICENCES = ("none", "names", "any")
RESPONSE = "response"
EXPECTED = ("expected_lang", "expected_language")
PROMPT_TEXTS = ("prompt", "user", "question", "instruction")
KEYS = ("prompt_id", "item_id", "question_id", "i")
"""Columns that name a prompt, where rows do not hold its text."""
_LONGEST = 200
_USED = frozenset(
    {"id", "licensed", "system", RESPONSE, "messages", "turns", "rendered_prompt", *PROMPT_TEXTS, *EXPECTED}
)

Message = Mapping[str, str]
Scalar = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Row:
    """One response.

    Args:
        id: Given, or a hash of the row.
        prompt_id: Of what was asked; answers to the same prompt share it.
        messages: What was asked, `{role, content}` each; empty where it is not known.
        response: What was answered; "" where nothing was.
        expected: ISO 639 code of the language that it should be in, if the row says so.
        default: Likewise, if the prompt itself does not tell.
        licensed: What the row lets it hold in other languages; None: it does not say.
        columns: Everything else that is one short value: model, temperature, run.
        place: Where it stands, for messages.
    """

    id: str
    prompt_id: str
    messages: tuple[Message, ...]
    response: str
    expected: str | None = None
    default: str | None = None
    licensed: Licensed | None = None
    columns: Mapping[str, Scalar] = field(default_factory=dict)
    place: str = ""

    @property
    def prompt(self) -> str:
        """All texts that were given to the model."""
        return "\n".join(message["content"] for message in self.messages)


def rows_of(record: Record, asked: Mapping[str, Any] | None = None) -> Iterator[Row | Fault]:
    """Yield the responses in one row as it was read; most have one, a conversation one for every answer.

    Args:
        record: The row.
        asked: The row of its prompt, where that stands in another file; what the row itself says counts first.
    """
    row = dict(asked or {}) | {name: value for name, value in record.row.items() if value is not None}
    messages = messages_of(row)
    if isinstance(messages, str):
        yield record.fault("no prompt", messages)
        return
    marks = _marks(row)
    if isinstance(marks, str):
        yield record.fault("unknown value", marks)
        return
    expected, default, licensed = marks
    columns = columns_of(row)
    answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    if RESPONSE in row or "problem" in row or not answered:
        said = row.get(RESPONSE, "" if RESPONSE in record.row or row.get("problem") else None)
        if not isinstance(said, str):
            has = ", ".join(sorted(record.row)) or "no columns"
            detail = f"it is a {kind_of(said)}" if RESPONSE in row else f"the row has {has}"
            yield record.fault("no text in 'response'", detail)
            return
        # Some keep the whole exchange: an answer is no part of what was asked.
        whole = bool(messages) and messages[-1] == {"role": "assistant", "content": said}
        parts: list[tuple[list[dict[str, str]], str]] = [(messages[:-1] if whole else messages, said)]
    else:
        parts = [(messages[:place], messages[place]["content"]) for place in answered]
    given = row.get("id")
    name = str(given) if isinstance(given, str | int) else hash_json(_hashable(record.row))
    for number, (before, said) in enumerate(parts):
        yield Row(
            id=name if len(parts) == 1 else f"{name}/{number}",
            prompt_id=_prompt_id(row, before, name),
            messages=tuple(before),
            response=said,
            expected=expected,
            default=default,
            licensed=licensed,
            columns=columns,
            place=str(record.place),
        )


def messages_of(row: Mapping[str, Any]) -> list[dict[str, str]] | str:
    """Return what a row says was asked, as messages; empty if it says nothing; what is wrong with it, as a text."""
    system = row.get("system")
    found = [{"role": "system", "content": system}] if isinstance(system, str) and system.strip() else []
    listed = row.get("messages")
    if listed is None and isinstance(row.get("prompt"), list):
        listed = row["prompt"]
    if isinstance(listed, list):
        for message in listed:
            if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
                return f"messages: not a list of {{role, content}}: {message!r:.60}"
            found.append({"role": str(message.get("role") or "user"), "content": message["content"]})
        return found
    if listed is not None:
        return f"messages: it is a {kind_of(listed)}, not a list"
    turns = row.get("turns")
    if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
        return [*found, {"role": "user", "content": turns[0]}]
    for name in (*PROMPT_TEXTS, "rendered_prompt"):
        value = row.get(name)
        if isinstance(value, str) and value:
            return [*found, {"role": "user", "content": value}]
        if name == "prompt" and value is not None and not isinstance(value, str):
            return f"prompt: it is a {kind_of(value)}"
    return found


def holds_prompt(row: Mapping[str, Any]) -> bool:
    """Return whether a row says what was asked."""
    return any(row.get(name) for name in ("messages", "turns", "rendered_prompt", *PROMPT_TEXTS))


def columns_of(row: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the short values of a row beside its texts; settings in a `sampler` become columns of their own."""
    found: dict[str, Scalar] = {}
    sampler = row.get("sampler")
    if isinstance(sampler, str) and sampler.startswith("{"):
        try:
            sampler = json.loads(sampler)
        except ValueError:
            sampler = None
    sources: Sequence[Mapping[str, Any]] = (sampler, row) if isinstance(sampler, Mapping) else (row,)
    for source in sources:
        for name, value in source.items():
            if name in _USED or name == "sampler" or not isinstance(value, str | bool | int | float):
                continue
            if not isinstance(value, str) or len(value) <= _LONGEST:
                found[name] = value
    return found


def _marks(row: Mapping[str, Any]) -> tuple[str | None, str | None, Licensed | None] | str:
    codes: list[str | None] = []
    for names in (EXPECTED, ("language",)):
        value = next((row[name] for name in names if row.get(name)), None)
        code = language_code(value) if isinstance(value, str) else value
        if names is EXPECTED and code is not None and not is_language_code(code):
            return f"{names[0]}: {value!r} is no language code; write ja, en, ..."
        codes.append(code if is_language_code(code) else None)
    licensed = row.get("licensed")
    if licensed is not None and licensed not in LICENCES:
        return f"licensed: {licensed!r} is not one of {', '.join(LICENCES)}"
    return codes[0], codes[1], cast("Licensed | None", licensed)


def _prompt_id(row: Mapping[str, Any], messages: Sequence[Message], name: str) -> str:
    """Return what answers to the same prompt share; earlier answers of a model are no part of it."""
    if row.get("prompt_id") is not None:
        return str(row["prompt_id"])
    if row.get("item_id") is not None:
        return f"{row.get('group') or row.get('dataset') or ''}/{row['item_id']}"
    asked = [message for message in messages if message["role"] != "assistant"]
    if asked:
        return hash_json([[message["role"], message["content"]] for message in asked])
    key = next((key for key in KEYS if row.get(key) is not None), None)
    return name if key is None else f"{key}={row[key]}"


def _hashable(value: Any) -> Any:
    """Return JSON data without numbers that canonical JSON refuses."""
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, Mapping):
        return {str(name): _hashable(item) for name, item in value.items()}
    return [_hashable(item) for item in value] if isinstance(value, list | tuple) else value
