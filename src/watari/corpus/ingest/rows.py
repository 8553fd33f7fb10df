"""Rows from Python objects: JSON lines, pages, text files. Every row comes out, with a reason where it is broken."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pyarrow as pa
import xxhash

from watari.artifact.records import Fault, Record, kind_of, meta_of, plain
from watari.corpus.ingest.piece import Piece
from watari.corpus.table import WORKING

UNREADABLE = frozenset(
    {
        "not UTF-8",
        "not JSON",
        "not an object",
        "no text",
        "not a text",
        "not an id",
        "wrong encoding",
        "damaged file",
    }
)
"""Reasons that mean a fault of a file, not a property of its text: what `on_error: stop` stops at."""

BATCH_ROWS = 4096
BATCH_BYTES = 16 << 20
"""At most so many rows, and so much text, in a table, save for one text that is larger than that."""

OWN = ("source", "language", "license", "url", "date")
"""Columns that a row may bring itself."""
BRITISH = "licence"
"""Another spelling of `license`, read where that is not there."""
KNOWN = ("id", "text", *OWN, BRITISH)
"""Columns that do not go into `meta`."""


@dataclass
class Rows:
    """Rows of one piece on their way into a table."""

    piece: Piece
    places: list[str] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    size: int = 0

    def __post_init__(self) -> None:
        self._form = self.piece.form
        self._used = {*KNOWN, self._form.text, self._form.id, "meta"}
        self._kept = None if self._form.keep is None else ("meta", *self._form.keep)
        self._plain = self._form.text == "text" and self._form.id == "id"
        self._start()

    def _start(self) -> None:
        self.places, self.texts, self.size = [], [], 0
        self.columns = {name: [] for name in ("id", "meta", *OWN, "reason", "detail")}

    @property
    def full(self) -> bool:
        """True once what it holds makes a table."""
        # Looked at when a row is in, so that there must be room for another.
        return len(self.texts) >= BATCH_ROWS or self.size >= BATCH_BYTES // 2

    def add(self, item: Record | Fault) -> None:
        """Add a row as the ground floor reads it."""
        if isinstance(item, Fault):
            reason, detail = item.reason, item.detail
            if reason == f"not {self._form.encoding}":
                reason, detail = "wrong encoding", f"{reason}: {detail}"
            self.broken(item.place.where, reason, detail, item.known)
        else:
            self.row(item.place.where, item.row)

    def broken(
        self, place: str, reason: str, detail: str = "", known: dict[str, Any] | None = None, text: str = ""
    ) -> None:
        """Add a row that cannot be used, with what is known of it."""
        self._append(place, text or None, known or {}, None, reason, detail or None)

    def row(self, place: str, row: dict[str, Any]) -> None:
        """Add a row with its columns."""
        form = self._form
        if BRITISH in row and "license" not in row:
            row = {**row, "license": row[BRITISH]}
        text = row.get(form.text)
        if type(text) is not str:
            text, reason, detail = _joined(row, form.text)
            if text is None:
                self._append(place, None, row, None, reason, detail)
                return
        reason = detail = None
        if not text or text.isspace():
            reason = "empty"
        meta = None
        if len(row) > 1:
            for name in row:
                if name not in self._used or name == "meta":
                    meta = self._meta(row)
                    break
        self._append(place, text, row, meta, reason, detail)

    def _meta(self, row: dict[str, Any]) -> str | None:
        if self._kept is not None:
            kept = {name: row[name] for name in self._kept if name in row}
        else:
            kept = {
                name: value
                for name, value in row.items()
                if name == "meta" or not isinstance(value, list | dict)
            }
        return meta_of(kept, self._used)

    def _append(
        self,
        place: str,
        text: str | None,
        row: dict[str, Any],
        meta: str | None,
        reason: str | None,
        detail: str | None,
    ) -> None:
        columns = self.columns
        form = self._form
        given = row.get(form.id)
        if given is not None and type(given) is not str:
            given, wrong = id_of(given)
            if wrong and reason is None:
                reason, detail = "not an id", f"field '{form.id}' is a {kind_of(row[form.id])}"
        columns["id"].append(given or None)
        for name in OWN:
            value = None if name == form.text else row.get(name)
            if value is not None and type(value) is not str:
                value, wrong = word_of(value)
                if wrong and reason is None:
                    reason, detail = "not a text", f"field '{name}' is a {kind_of(row[name])}"
            columns[name].append(value or None)
        columns["meta"].append(meta)
        columns["reason"].append(reason)
        columns["detail"].append(detail)
        self.places.append(place)
        self.texts.append(text)
        if text is not None:
            # Bytes are at most three a character, save for the rare ones of four.
            self.size += len(text) if text.isascii() else 3 * len(text)

    def take(self) -> pa.Table:
        """Return a table of what was added since the last time, and start anew."""
        for _ in range(2):
            try:
                texts = pa.array(self.texts, pa.large_string())
                break
            except UnicodeEncodeError:
                # Half of a surrogate pair is no character; few encodings let one through.
                self._refuse_surrogates()
        table = finished(
            self.piece,
            texts,
            self.places,
            {name: pa.array(values, pa.string()) for name, values in self.columns.items()},
            characters=pa.array([len(text) if text is not None else 0 for text in self.texts], pa.int64()),
        )
        self._start()
        return table

    def _refuse_surrogates(self) -> None:
        for at, text in enumerate(self.texts):
            try:
                (text or "").encode("utf-8")
            except UnicodeEncodeError:
                self.texts[at] = None
                self.columns["reason"][at] = "not UTF-8"
                self.columns["detail"][at] = "half of a surrogate pair"


def finished(
    piece: Piece,
    texts: pa.Array,
    places: list[str],
    columns: dict[str, pa.Array],
    *,
    characters: pa.Array,
) -> pa.Table:
    """Return a working table: keys and hashes made, and what the source says filled in where rows do not.

    Args:
        piece: Where the rows come from.
        texts: large_string, null where there is none.
        places: Of each row.
        columns: id, meta, `OWN`, reason, detail, as string arrays.
        characters: int64, of each text.
    """
    import pyarrow.compute as pc

    said = {"source": piece.source, "language": piece.form.language, "license": piece.form.license}
    for name, value in said.items():
        if value is not None:
            columns[name] = columns[name].fill_null(value)
    head = f"{piece.source}\x1f{piece.path}\x1f"
    key = xxhash.xxh3_128_hexdigest
    hashes, sizes = hashes_of(texts)
    count = len(places)
    filled: dict[str, Any] = {
        **columns,
        "key": pa.array([key((head + place).encode()) for place in places], pa.string()),
        "text": texts,
        "path": pa.repeat(pa.scalar(piece.path, pa.string()), count),
        "place": pa.array(places, pa.string()),
        "characters": pc.fill_null(characters, 0),
        "bytes": sizes,
        "raw_hash": hashes,
    }
    arrays = [filled.get(field.name) for field in WORKING]
    arrays = [
        pa.nulls(count, field.type) if array is None else array
        for field, array in zip(WORKING, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=WORKING)


def hashes_of(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return xxh3-64 (uint64) and UTF-8 bytes (int64) of each text; 0 and 0 for a null."""
    import numpy as np

    count = len(texts)
    if not count:
        return pa.array([], pa.uint64()), pa.array([], pa.int64())
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, np.int64, count=count + 1, offset=8 * texts.offset)
    raw = memoryview(data) if data is not None else memoryview(b"")
    digest = xxhash.xxh3_64_intdigest
    edges = offsets.tolist()
    hashes = np.fromiter((digest(raw[start:stop]) for start, stop in pairwise(edges)), np.uint64, count)
    sizes = np.diff(offsets)
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        hashes[missing] = 0
        sizes = np.where(missing, 0, sizes)
    return pa.array(hashes), pa.array(sizes)


def id_of(value: Any) -> tuple[str | None, bool]:
    """Return a row's id as a text, and whether it is none: a text or a whole number is one."""
    if isinstance(value, str):
        return value, False
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), False
    if isinstance(value, float) and value.is_integer():
        return str(int(value)), False
    return None, True


def word_of(value: Any) -> tuple[str | None, bool]:
    """Return a column's value as a text, and whether it cannot be one: numbers and times can, mappings cannot."""
    value = plain(value)
    if isinstance(value, str):
        return value, False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value), False
    return None, value is not None


def _joined(row: dict[str, Any], name: str) -> tuple[str | None, str | None, str | None]:
    """Return (text, reason, detail) of a row whose text is no string: sentences are joined by newlines."""
    value = row.get(name)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value), None, None
    if value is None:
        missing = f"field '{name}' is null" if name in row else f"no field '{name}'; it has {_names(row)}"
        return None, "no text", missing
    return None, "not a text", f"field '{name}' is a {kind_of(value)}"


def _names(row: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, row))) or "none"
