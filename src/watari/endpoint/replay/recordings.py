"""Recorded answers, given again: from a ledger, or from exported lines; found by the messages that were sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from watari.artifact.hashing import hash_bytes
from watari.endpoint.replay.script import Body, Reply
from watari.errors import UserError


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer on record.

    Args:
        asked: The body that was sent; of a plain row only the messages.
        replies: What was answered, a reply a choice.
    """

    asked: Body
    replies: tuple[Reply, ...]


def question_key(body: Body) -> str:
    """Return what a question is known by: a hash of its messages, or of its prompt."""
    asked = body.get("messages") or body.get("prompt") or ""
    return hash_bytes(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))


def body_key(body: Body) -> str:
    """Return a hash of the whole body, whatever the order of its fields."""
    return hash_bytes(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


class Recordings:
    """A function that gives recorded answers.

    The same body gets what it got. Another body with the same messages (another seed, another model) gets one of the
    answers to these messages, the choices one after the other.

    Args:
        records: Later ones to the same body take the place of earlier ones.
    """

    def __init__(self, records: Iterable[Recorded]) -> None:
        self._by_body: dict[str, tuple[Reply, ...]] = {}
        self._by_question: dict[str, list[Reply]] = {}
        for record in records:
            self._by_body[body_key(record.asked)] = record.replies
            self._by_question.setdefault(question_key(record.asked), []).extend(record.replies)

    def __len__(self) -> int:
        return len(self._by_question)

    def __call__(self, body: Body, choice: int = 0) -> Reply:
        """Return the recorded answer; a 404 where there is none."""
        exact = self._by_body.get(body_key(body))
        if exact is not None and choice < len(exact):
            return exact[choice]
        alike = self._by_question.get(question_key(body))
        if alike is None:
            return Reply("nothing is on record for these messages", status=404, code="not_recorded")
        return alike[(choice + int(body.get("seed") or 0)) % len(alike)]


def replies_of(response: Any) -> tuple[Reply, ...]:
    """Return the choices of a response of the chat or completions interface; () where it holds none."""
    found = []
    choices = response.get("choices") if isinstance(response, dict) else None
    for choice in choices or ():
        message = choice.get("message")
        text = (message or {}).get("content") if "message" in choice else choice.get("text")
        if isinstance(text, str):
            found.append(Reply(text, finish_reason=str(choice.get("finish_reason") or "stop")))
    return tuple(found)


def recorded_row(row: Any) -> Recorded | None:
    """Return an exported line as a record, or None for one of another form.

    Forms: {request: {…}, response: {…}} as a ledger exports them (either may be a string of JSON);
    {messages, answer}; {messages} whose last one is the assistant's.
    """
    if not isinstance(row, dict):
        return None
    if "request" in row and "response" in row:
        try:
            asked, response = (
                orjson.loads(value) if isinstance(value, str | bytes) else value
                for value in (row["request"], row["response"])
            )
        except orjson.JSONDecodeError:
            return None
        return Recorded(asked, replies_of(response)) if isinstance(asked, dict) else None
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    if isinstance(row.get("answer"), str):
        return Recorded({"messages": messages}, (Reply(row["answer"]),))
    if messages[-1].get("role") == "assistant":
        return Recorded({"messages": messages[:-1]}, (Reply(str(messages[-1].get("content") or "")),))
    return None


def from_ledger(path: Path) -> Recordings:
    """Return what a ledger holds: every answered attempt. The file is only read, also while a run writes to it.

    Args:
        path: The ledger, or a folder with `ledger.sqlite` in it.

    Raises:
        UserError: if there is none, or it is no ledger.
    """
    file = path / "ledger.sqlite" if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: there is no ledger here")
    try:
        return Recordings(_ledger_rows(file))
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file}: this is no ledger of Watari's: {error}") from None


def _ledger_rows(file: Path) -> list[Recorded]:
    found = []
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT b.request, b.response FROM attempt a JOIN body b ON b.attempt = a.id"
            " WHERE a.status = 'answered' AND a.voided = 0 ORDER BY a.id"
        )
        for request, response in rows:
            record = recorded_row({"request": request, "response": response})
            if record is not None and record.replies:
                found.append(record)
    finally:
        connection.close()
    return found
