"""`human.jsonl`: what no rung could translate, for a person to fill in; and the filled-in file, read back.

One JSON object a line: {"id", "source": [{role, content}], "last": [{role, content}] or null (the last attempt, as a start),
"findings": [what was wrong, in words], "translation": [{role, "content": ""}], "reviewer": "", "force": false}.
A person fills in `translation` (every message) and may write their name into `reviewer`. The checks run on it as on any
answer; `force: true` takes the row whatever they say, and needs a `reviewer`, who then stands in the row's meta.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeGuard

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.synth.checks.finding import Finding
from watari.synth.ladder import Messages

FILE = "human.jsonl"


@dataclass(frozen=True, slots=True)
class Filled:
    """One row that a person has filled in.

    Args:
        line: Its line in the file.
        source: Hash of the source that the person saw.
        messages: The translation.
        reviewer: Who; "" if nobody signed.
        force: True if it is taken whatever the checks say.
    """

    line: int
    source: str
    messages: Messages
    reviewer: str
    force: bool


class HumanWriter:
    """Writes `human.jsonl`; there is no file if no row needs a person."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: Any = None
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, id: str, source: Messages, last: Messages | None, findings: Iterable[Finding]) -> None:
        """Add one row."""
        if self._stream is None:
            self._stream = self._path.open("w", encoding="utf-8", newline="\n")
        row = {
            "id": id,
            "source": source,
            "last": last,
            "findings": [f"{finding.code}: {finding.message}" for finding in findings],
            "translation": [{"role": message["role"], "content": ""} for message in source],
            "reviewer": "",
            "force": False,
        }
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.count += 1


def read_human(location: str) -> dict[str, Filled]:
    """Return the rows of a file that were filled in, by id; rows that nobody touched are passed over.

    Raises:
        UserError: naming the line and the field that cannot be used.
    """
    path = Path(location)
    found: dict[str, Filled] = {}
    try:
        # Only at "\n": a JSON text may hold U+2028 and its like as they are, where `splitlines` would cut it.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"human: {location}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"human: {location}: line {number}: not JSON: {error}",
                "keep one row a line, in the form it had",
            ) from None
        entry = _entry(f"human: {location}: line {number}", number, row)
        if entry is None:
            continue
        name = str(row["id"])
        if name in found:
            raise UserError(f"human: {location}: line {number}: row {name} stands there twice", "keep one")
        found[name] = entry
    return found


def carry_over(before: Path, after: Path) -> int:
    """Lay what persons have written into the old file into the new one, and return how many lines that were.

    A run writes its file anew; what a person filled in, in part too, or broke while filling it in, must not go with the old one.

    Args:
        before: The file of an earlier run; need not be there.
        after: The file of this one; made if it is not there and something is carried over.
    """
    touched = [(line, row) for line, row in _lines(before) if not isinstance(row, dict) or _is_touched(row)]
    if not touched:
        return 0
    fresh = {str(row.get("id")): (line, row) for line, row in _lines(after) if isinstance(row, dict)}
    lines: list[str] = []
    for line, row in touched:
        there = fresh.get(str(row.get("id"))) if isinstance(row, dict) else None
        if there is not None and there[1].get("source") == row.get("source"):
            del fresh[str(row["id"])]
            line = json.dumps(
                {**row, "last": there[1]["last"], "findings": there[1]["findings"]}, ensure_ascii=False
            )
        lines.append(line)
    lines += [line for line, _ in fresh.values()]
    after.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return len(touched)


def _lines(path: Path) -> list[tuple[str, Any]]:
    """Return the lines of a file that are not blank, each with its row, or None for one that is no JSON."""
    if not path.is_file():
        return []
    found: list[tuple[str, Any]] = []
    for line in path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff").split("\n"):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        try:
            found.append((line, json.loads(line)))
        except (ValueError, RecursionError):
            found.append((line, None))
    return found


def _is_touched(row: Mapping[str, Any]) -> bool:
    """True if a row is not as it was written: a text, a name, `force`."""
    translation = row.get("translation")
    if not _is_messages(translation):
        return True
    return bool(any(one["content"].strip() for one in translation) or row.get("reviewer") or row.get("force"))


def source_hash(messages: Sequence[Mapping[str, str]]) -> str:
    """Return what tells whether the person saw the source that is there now."""
    return hash_json([[message["role"], message["content"]] for message in messages])


def _entry(where: str, number: int, row: Any) -> Filled | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
        raise UserError(f"{where}: no `id`", "keep the fields of the file that was written")
    where = f"{where}: row {row['id']}"
    translation = row.get("translation")
    if isinstance(translation, str):
        # One message needs no list.
        roles = [message.get("role") for message in row.get("source") or [] if isinstance(message, dict)]
        if translation.strip() and len(roles) != 1:
            raise UserError(
                f"{where}: `translation` is one text, the source has {len(roles)} messages", "fill in a list"
            )
        translation = [{"role": roles[0], "content": translation}] if roles else []
    source = row.get("source")
    if not _is_messages(translation) or not _is_messages(source):
        raise UserError(
            f"{where}: `translation` is no list of role and content", "fill in the texts, keep the form"
        )
    contents = [message["content"].strip() for message in translation]
    if not any(contents):
        return None
    if not all(
        content or not message["content"].strip() for content, message in zip(contents, source, strict=False)
    ):
        empty = next(place for place, content in enumerate(contents, 1) if not content)
        raise UserError(f"{where}: message {empty} is not filled in", "fill in every message, or none")
    reviewer = row.get("reviewer") or ""
    force = row.get("force", False)
    if not isinstance(reviewer, str) or not isinstance(force, bool):
        raise UserError(f"{where}: `reviewer` is a name, `force` is true or false")
    if force and not reviewer.strip():
        raise UserError(
            f"{where}: `force` without a `reviewer`", "whoever accepts it writes their name there"
        )
    messages = [{"role": one["role"], "content": one["content"]} for one in translation]
    return Filled(number, source_hash(source), messages, reviewer.strip(), force)


def _is_messages(value: Any) -> TypeGuard[Messages]:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) and isinstance(one.get("content"), str)
        for one in value
    )
