"""Rows as they come from outside: where each of them stood, what is wrong with one, and what is done about it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from watari.artifact.rows import Ledger, Row
from watari.errors import UserError

OnError = Literal["stop", "drop"]
"""What a stage does about a row that it cannot read."""


@dataclass(frozen=True)
class Place:
    """Where a row stands.

    Args:
        file: The file as a person would name it; for messages only, since it may hold folders of this machine.
        name: The file's name below the location; empty where the location is one file.
        where: `line 7`, `row group 0, row 3`; empty for the file as a whole.
    """

    file: str
    name: str
    where: str

    @property
    def inside(self) -> str:
        """The place within its location, as it stands in ledgers: `part.jsonl: line 7`."""
        return ": ".join(part for part in (self.name, self.where) if part)

    def __str__(self) -> str:
        return f"{self.file}: {self.where}" if self.where else self.file


@dataclass(frozen=True)
class Record:
    """One row as it stands in its file.

    Args:
        place: Where it stands.
        row: The row.
    """

    place: Place
    row: Row

    def fault(self, reason: str, detail: str = "") -> Fault:
        """Return the fault that says why this row cannot be used."""
        return Fault(self.place, reason, detail)


@dataclass(frozen=True)
class Fault:
    """One row, or the rest of one file, that cannot be read.

    Args:
        place: Where it stands.
        reason: A short phrase, the same for all rows of this kind.
        detail: What exactly is wrong.
        known: What can be told of it all the same: url, date, id of a page whose text was not found.
    """

    place: Place
    reason: str
    detail: str = ""
    known: Row = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f": {self.detail}" if self.detail else "")


class Policy:
    """What is done about a fault, as `on_error` says: stop with a one-line error, or go on with a ledger row."""

    def __init__(self, on_error: OnError, ledger: Ledger) -> None:
        self._stop = on_error == "stop"
        self._ledger = ledger

    def settle(self, fault: Fault, *, source: str = "", id: str | None = None) -> None:
        """Record `fault` in the ledger.

        Raises:
            UserError: naming the file and the place, with `on_error: stop`.
        """
        if self._stop:
            raise UserError(str(fault), "mend the row, or set `on_error: drop` to go on without such rows")
        self._ledger.drop(fault.reason, id=id, source=source, place=fault.place.inside, detail=fault.detail)


def plain(value: Any) -> Any:
    """Return a parquet value as JSON data: times as ISO strings, numbers that are not finite as None, bytes as hex."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def text_of(record: Record, field: str, *, optional: bool = False) -> str | Fault:
    """Return the text in `field` of a row: a string, or a list of strings (sentences) joined by newlines.

    Args:
        record: The row.
        field: Its column.
        optional: True if a missing or null column means an empty text.
    """
    value = record.row.get(field)
    if value is None and optional:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    if value is None:
        reason = (
            "is null" if field in record.row else f"the row has {', '.join(sorted(record.row)) or 'none'}"
        )
        return record.fault(f"no field '{field}'", reason)
    return record.fault(f"field '{field}' is not a text", f"it is a {kind_of(value)}")


def meta_of(row: Row, known: Iterable[str], **more: Any) -> str | None:
    """Return the `meta` JSON of a row: its own, and every column beside `known`, so that nothing is lost.

    Args:
        row: The row as read.
        known: Columns that the schema holds or that were used up.
        more: Further fields; None is left out.

    Returns:
        A JSON object with sorted keys, or None if there is nothing to say.
    """
    own = row.get("meta")
    if isinstance(own, str):
        # A text that is no JSON is kept as a text.
        with suppress(ValueError):
            own = json.loads(own or "{}")
    fields: dict[str, Any] = {}
    if isinstance(own, dict):
        fields |= own
    elif own is not None:
        fields["meta"] = own
    used = {"meta", *known}
    fields |= {name: value for name, value in row.items() if name not in used and value is not None}
    fields |= {name: value for name, value in more.items() if value is not None}
    return json.dumps(plain(fields), ensure_ascii=False, sort_keys=True) if fields else None


def source_name(location: str) -> str:
    """Return a short name for a location: `demo`, the hub's `org/name`, or the file's name without suffixes."""
    scheme, _, rest = location.rpartition("://")
    if scheme == "demo":
        return "demo"
    parts = [part for part in rest.removeprefix("datasets/").split("/") if part]
    if scheme == "hf":
        return "/".join(parts[:2])
    name = PurePosixPath(parts[-1]).name if parts else location
    return name.split(".")[0] or name


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in a word."""
    names = {dict: "mapping", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its name if it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
