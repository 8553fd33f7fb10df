"""The prompts of a sweep: rows {id?, prompt | messages | user, system?, expected_lang?, licensed?}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.generate.answerer import Messages
from watari.text.leakage import Licensed, expected_language

_TEXTS = ("prompt", "user", "question", "instruction")
_IDS = ("id", "question_id", "i")
_LICENSED: dict[str, Licensed] = {"none": "none", "names": "names", "any": "any"}
_LONGEST_ID = 200
_CODE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LONG_CODES = {
    "jpn": "ja",
    "eng": "en",
    "zho": "zh",
    "chi": "zh",
    "kor": "ko",
    "fra": "fr",
    "fre": "fr",
    "deu": "de",
    "ger": "de",
    "spa": "es",
    "rus": "ru",
    "tha": "th",
    "vie": "vi",
    "ara": "ar",
    "por": "pt",
    "ita": "it",
}
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt.

    Args:
        id: Unique; keys the seeds of its answers.
        messages: What is asked; the last turn is the user's.
        expected: ISO 639 code of the language that the answer should be in.
        licensed: What an answer may hold in other languages.
    """

    id: str
    messages: tuple[tuple[str, str], ...]
    expected: str
    licensed: Licensed = "none"

    def asked(self) -> Messages:
        """Return the conversation as it is sent."""
        return [{"role": role, "content": text} for role, text in self.messages]

    @property
    def text(self) -> str:
        """All that the model is given."""
        return "\n".join(text for _, text in self.messages)


def read_prompts(
    location: str, *, language: str | None = None, limit: int | None = None
) -> tuple[Prompt, ...]:
    """Return the prompts of a file.

    Args:
        location: Rows as JSON lines, JSON or parquet (packed too), or a hub id.
        language: Of the answers, where a row does not say it and its prompt does not show it.
        limit: Only the first so many.

    Raises:
        UserError: for a row that is no prompt, an id that occurs twice, no rows; names file and row.
    """
    if language is not None and (wrong := _no_code(language)):
        raise UserError(f"language: {wrong[0]}", wrong[1])
    found: dict[str, Prompt] = {}
    places: dict[str, str] = {}
    for place, row in _rows(location):
        prompt = _prompt(place, row, language)
        if prompt.id in found:
            same = found[prompt.id].messages == prompt.messages
            raise UserError(
                f"{place}: prompt {prompt.id:.40} occurs twice: it stands at {places[prompt.id]} too",
                "leave one of them out; --repeats asks a prompt more often"
                if same
                else "give each its own `id`: seeds are keyed by it",
            )
        found[prompt.id] = prompt
        places[prompt.id] = place
        if limit is not None and len(found) >= limit:
            break
    if not found:
        raise UserError(f"{location}: holds no prompts", 'one a line: {"id": ..., "prompt": ...}')
    return tuple(found.values())


def _rows(location: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from watari.artifact.files import dataset_location
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault

    for record in read_records(dataset_location(location), ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record))
        yield str(record.place), record.row


def _prompt(place: str, row: dict[str, Any], language: str | None) -> Prompt:
    messages = _messages(place, row)
    licensed = _LICENSED.get(str(row.get("licensed") or "none"))
    if licensed is None:
        raise UserError(f"{place}: licensed is {row['licensed']!r:.40}", f"one of {', '.join(_LICENSED)}")
    expected = row.get("expected_lang")
    if expected is not None and (wrong := _no_code(expected)):
        raise UserError(f"{place}: expected_lang: {wrong[0]}", wrong[1])
    asked = [{"role": role, "content": text} for role, text in messages]
    return Prompt(
        _id(place, row, messages),
        messages,
        expected.strip() if expected else expected_language(asked, language),
        licensed,
    )


def _no_code(value: Any) -> tuple[str, str] | None:
    """Return what is wrong with a language's code and the mend; None: nothing.

    A language that the detector does not know, such as `Japanese` or `jpn`, would make a leak of every answer in it.
    """
    if not isinstance(value, str) or not _CODE.fullmatch(value.strip()):
        return f"{value!r:.40} is no code of a language", "an ISO 639 code such as ja"
    short = _LONG_CODES.get(value.strip().partition("-")[0].lower())
    return (f"{value!r:.40} is not known by its long code", f"write {short}") if short else None


def _messages(place: str, row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    given = row.get("messages")
    if given is None and isinstance(row.get("prompt"), list):
        given = row["prompt"]
    if given is not None:
        messages = [_turn(place, turn) for turn in given] if isinstance(given, list) else []
        while messages and messages[-1][0] == "assistant":
            messages.pop()
    else:
        text = next((row[name] for name in _TEXTS if isinstance(row.get(name), str)), None)
        if text is None:
            raise UserError(f"{place}: no prompt", "a row has `prompt`, `messages`, or `user` (and `system`)")
        messages = [("user", text)]
        system = row.get("system")
        if isinstance(system, str) and system.strip():
            messages.insert(0, ("system", system))
    if not messages or messages[-1][0] != "user":
        raise UserError(f"{place}: no question: its last turn is not the user's")
    if not messages[-1][1].strip():
        raise UserError(f"{place}: the prompt is empty")
    return tuple(messages)


def _turn(place: str, turn: Any) -> tuple[str, str]:
    if (
        not isinstance(turn, dict)
        or turn.get("role") not in _ROLES
        or not isinstance(turn.get("content"), str)
    ):
        raise UserError(f"{place}: messages: a turn is {{role: system | user | assistant, content: text}}")
    return str(turn["role"]), turn["content"]


def _id(place: str, row: dict[str, Any], messages: tuple[tuple[str, str], ...]) -> str:
    for name in _IDS:
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise UserError(f"{place}: {name} is {value!r:.40}", "a number or a text")
        text = str(value)
        return text if len(text) <= _LONGEST_ID else f"{text[: _LONGEST_ID - 9]}~{hash_json(text)[:8]}"
    return hash_json([list(turn) for turn in messages])
