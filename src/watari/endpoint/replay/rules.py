"""Rules in a file: a pattern and what is said to a request that it matches; or recordings, one JSON object a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.endpoint.replay.script import Body, Reply, last_message
from watari.errors import UserError


class Rule(BaseModel):
    """One rule; the first one that matches answers.

    Args:
        match: A regular expression that is searched in the last message (or the prompt); left out: always.
        system: One that is searched in the system message.
        model: One that is searched in the model's name.
        answer: What is said; {0}, {1}, {name} are the match and its groups. A list: one is drawn by body and choice.
        finish_reason, status, code, seconds: As in `Reply`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    match: str = ""
    system: str = ""
    model: str = ""
    answer: str | list[str] = Field(default="")
    finish_reason: str = "stop"
    status: int = 200
    code: str | None = None
    seconds: float = 0.0


class Rules:
    """A function that answers by rules.

    Args:
        rules: In order.

    Raises:
        UserError: for a pattern that is none.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        try:
            self._rules = [
                (rule, re.compile(rule.match, re.S), re.compile(rule.system, re.S), re.compile(rule.model))
                for rule in rules
            ]
        except re.error as error:
            raise UserError(f"rules: {error.pattern!r} is no pattern: {error.msg}") from None

    def __call__(self, body: Body, choice: int = 0) -> Reply:
        """Return what the first rule says that matches; a 404 where none does."""
        text = last_message(body)
        for rule, match, system, model in self._rules:
            found = match.search(text)
            if found is None or not model.search(str(body.get("model", ""))):
                continue
            if rule.system and not system.search(_system(body)):
                continue
            return Reply(
                _filled(rule.answer, found, body, choice),
                finish_reason=rule.finish_reason,
                status=rule.status,
                code=rule.code,
                seconds=rule.seconds,
            )
        return Reply("no rule of the script answers this", status=404, code="no_rule")


def _filled(answer: str | list[str], found: re.Match[str], body: Body, choice: int) -> str:
    if isinstance(answer, list):
        draw = xxhash.xxh3_64_intdigest(orjson.dumps([last_message(body), body.get("seed")]))
        answer = answer[(draw + choice) % len(answer)] if answer else ""
    named = found.groupdict(default="")
    return re.sub(
        r"\{(\d+|[A-Za-z_]\w*)\}",
        lambda place: _group(found, named, place),
        answer,
    )


def _group(found: re.Match[str], named: dict[str, str], place: re.Match[str]) -> str:
    name = place[1]
    if name.isdigit():
        return (found[int(name)] or "") if int(name) <= (found.re.groups) else place[0]
    return named.get(name, place[0])


def _system(body: Body) -> str:
    return "\n".join(
        str(message.get("content") or "")
        for message in body.get("messages") or ()
        if message.get("role") == "system"
    )


def from_file(path: Path) -> Callable[..., Reply]:
    """Return the function that a file describes: rules (.yaml, .jsonl) or exported recordings (.jsonl).

    Raises:
        UserError: naming the file, the rule and the field.
    """
    from watari.endpoint.replay.recordings import Recordings, recorded_row

    rows = _rows(path)
    recorded = [row for row in map(recorded_row, rows) if row is not None]
    if rows and len(recorded) == len(rows):
        return Recordings(recorded)
    rules = []
    for number, row in enumerate(rows, 1):
        try:
            rules.append(Rule(**row))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{path}: rule {number}: {field}: {first['msg']}") from None
    return Rules(rules)


def _rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            rows: Any = [orjson.loads(line) for line in data.splitlines() if line.strip()]
        else:
            import yaml

            rows = yaml.safe_load(data)
            if isinstance(rows, dict):
                rows = rows.get("rules")
    except Exception as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}", "it must hold a list of rules") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: this is no list of rules", "write `- {match: PATTERN, answer: TEXT}`")
    return rows
