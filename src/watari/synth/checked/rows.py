"""Rows of a file as the checks take them.

A row is {src, tgt} as in data/en-ja-pairs, {source_messages, messages} as a made conversation carries them, or {source,
target}; each side a list of {role, content}, or one text. `id`, `kind`, `finish_reason` and `free` are optional.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Record
from watari.synth.checks.catalogue import UNREADABLE
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.checks.pool import CheckRequest, check_all

Message = dict[str, str]

_SOURCES = ("src", "source_messages", "source")
_TARGETS = ("tgt", "messages", "target")


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row and what was found in it.

    Args:
        id: Its id; where it has none, its place in the file.
        kind: What the row says of itself: chat, markdown, paragraph, or "".
        request: What was checked; None for a row that could not be read.
        findings: What was found.
    """

    id: str
    kind: str
    request: CheckRequest | None
    findings: list[Finding]

    def as_json(self) -> dict[str, Any]:
        """Return {id, findings}, as `watari check --json` prints it."""
        return {"id": self.id, "findings": [finding.as_json() for finding in self.findings]}


@dataclass(frozen=True, slots=True)
class _Read:
    id: str
    kind: str
    request: CheckRequest | None
    fault: Fault | None = None


def checked_rows(
    location: str, meta: Meta, *, target_only: bool = False, workers: int = 0, on_fault: FaultHandler
) -> Iterator[CheckedRow]:
    """Yield every row of a location with its findings, in order.

    Args:
        location: A file (.jsonl, .json, .parquet, .gz, .zst), a folder or a glob.
        meta: Languages and limits; what a row says of itself is laid on it.
        target_only: Look at the targets alone.
        workers: Processes; 0: this one.
        on_fault: Called with each row that cannot be read; if it returns, the row is yielded with one hard finding.

    Raises:
        UserError: if there is nothing to read.
    """
    waiting: list[_Read] = []

    def requests() -> Iterator[CheckRequest]:
        for read in _read(location, meta, target_only=target_only):
            if read.fault is not None:
                on_fault(read.fault)
            waiting.append(read)
            if read.request is not None:
                yield read.request

    at = 0
    for request, findings in check_all(requests(), workers):
        while waiting[at].request is None:
            yield _unreadable(waiting[at])
            at += 1
        read = waiting[at]
        yield CheckedRow(read.id, read.kind, request, findings)
        at += 1
        if at > 4096:
            del waiting[:at]
            at = 0
    for read in waiting[at:]:
        yield _unreadable(read)


class FaultHandler:
    """What is done about rows that cannot be read: stop at the first, or tell and count them."""

    def __init__(self, *, stop: bool) -> None:
        """Args: stop: raise at the first."""
        self.stop = stop
        self.faults: list[Fault] = []
        self.count = 0

    def __call__(self, fault: Fault) -> None:
        """Take note of a fault.

        Raises:
            UserError: naming the row, if that is to stop the command.
        """
        from watari.errors import UserError

        if self.stop:
            raise UserError(str(fault), "mend the row, or give --on-error drop to go on without such rows")
        self.count += 1
        if len(self.faults) < 20:
            self.faults.append(fault)


def _unreadable(read: _Read) -> CheckedRow:
    assert read.fault is not None
    message = f"{read.fault.reason}: {read.fault.detail}" if read.fault.detail else read.fault.reason
    return CheckedRow(read.id, read.kind, None, [Finding(UNREADABLE, Severity.HARD, message)])


def _read(location: str, meta: Meta, *, target_only: bool) -> Iterator[_Read]:
    for item in read_records(location, ReadOptions()):
        if isinstance(item, Fault):
            yield _Read(str(item.place), "", None, item)
            continue
        made = _request(item, meta, target_only=target_only)
        name = item.row.get("id")
        name = str(item.place) if name is None or name == "" else str(name)
        if isinstance(made, Fault):
            yield _Read(name, "", None, made)
        else:
            yield _Read(name, made.meta.kind, made)


def _request(record: Record, meta: Meta, *, target_only: bool) -> CheckRequest | Fault:
    row = record.row
    target = _side(record, _TARGETS)
    if isinstance(target, Fault):
        return target
    if target is None:
        return record.fault("no target", f"it has none of {', '.join(_TARGETS)}")
    source = None if target_only else _side(record, _SOURCES)
    if isinstance(source, Fault):
        return source
    if source is None and not target_only:
        return record.fault("no source", "give it as src or source_messages, or give --target-only")
    more = _more(row)
    return CheckRequest(
        source,
        target,
        Meta(
            source=meta.source,
            target=meta.target,
            kind=_text(row.get("kind")) or _text(more.get("kind")) or meta.kind,
            finish_reason=_text(row.get("finish_reason")) or _text(more.get("finish_reason")),
            free=bool(row.get("free", more.get("free", False))),
            glossary=meta.glossary,
            limits=meta.limits,
        ),
    )


def _side(record: Record, names: Iterable[str]) -> list[Message] | Fault | None:
    """Return the messages of one side, None if the row has none, or what is wrong with them."""
    for name in names:
        value = record.row.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            return [{"role": "user", "content": value}]
        if not isinstance(value, list):
            return record.fault(f"{name} is no list of messages", f"a {type(value).__name__}")
        made: list[Message] = []
        for number, message in enumerate(value, 1):
            if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
                return record.fault(
                    f"{name} is no list of messages", f"item {number} has no text in `content`"
                )
            role, content = message.get("role"), message.get("content")
            made.append({"role": _text(role), "content": content or ""})
        return made
    return None


def _more(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row's `meta`, which is JSON in an artifact's rows."""
    value = row.get("meta")
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
