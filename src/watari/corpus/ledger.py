"""The ledger of a corpus: one row an input row, saying what became of it; and the sums that prove it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watari.corpus.table import with_column

KEPT = "kept"
DROPPED = "dropped"

_TEXT = pa.string()

LEDGER = pa.schema(
    [
        ("doc_id", _TEXT),
        ("id", _TEXT),
        ("key", _TEXT),
        ("disposition", _TEXT),
        ("reason", _TEXT),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("survivor", _TEXT),
        ("detail", _TEXT),
        ("step", _TEXT),
        ("source", _TEXT),
        ("path", _TEXT),
        ("place", _TEXT),
        ("language", _TEXT),
        ("license", _TEXT),
        ("url", _TEXT),
        ("characters", pa.int64()),
        ("bytes", pa.int64()),
        ("raw_hash", pa.uint64()),
    ]
)
"""`doc_id` and `survivor` are ids of documents; `step` is where a row was dropped, null for one that is kept."""

_MASK = (1 << 64) - 1


@dataclass
class Totals:
    """Documents, characters and UTF-8 bytes of texts as they were read, and the sum of their 64-bit hashes.

    The sum is taken modulo 2**64. Unlike an exclusive or, it does not lose a row that is counted twice.
    """

    documents: int = 0
    characters: int = 0
    bytes: int = 0
    hash_sum: int = 0

    def add(self, table: pa.Table) -> None:
        """Count the rows of a table that has `characters`, `bytes` and `raw_hash`."""
        self.documents += table.num_rows
        self.characters += _sum(table, "characters")
        self.bytes += _sum(table, "bytes")
        hashes = np.asarray(table.column("raw_hash").combine_chunks(), np.uint64)
        self.hash_sum = (self.hash_sum + int(np.add.reduce(hashes, dtype=np.uint64))) & _MASK

    def merge(self, other: Totals) -> None:
        """Add another's sums."""
        self.documents += other.documents
        self.characters += other.characters
        self.bytes += other.bytes
        self.hash_sum = (self.hash_sum + other.hash_sum) & _MASK

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data; the hash sum as 16 hex digits, since JSON's numbers are too short for it."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.bytes,
            "hash_sum": f"{self.hash_sum:016x}",
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Totals:
        """Return what `plain` gave."""
        return cls(
            int(value["documents"]),
            int(value["characters"]),
            int(value["bytes"]),
            int(str(value["hash_sum"]), 16),
        )


def _sum(table: pa.Table, name: str) -> int:
    return int(np.asarray(table.column(name).combine_chunks(), np.int64).sum()) if table.num_rows else 0


@dataclass
class Tally:
    """Sums by a name: by reason, by language, by source."""

    by: dict[str, Totals] = field(default_factory=dict)

    def add(self, table: pa.Table, column: str) -> None:
        """Count the rows of a table under what stands in `column`; null counts as `und`."""
        names = table.column(column).combine_chunks().fill_null("und")
        encoded = names.dictionary_encode()
        codes = np.asarray(encoded.indices)
        for code, name in enumerate(encoded.dictionary.to_pylist()):
            rows = pa.array(np.flatnonzero(codes == code))
            self.by.setdefault(name, Totals()).add(table.take(rows))

    def merge(self, other: Tally) -> None:
        """Add another's sums."""
        for name, totals in other.by.items():
            self.by.setdefault(name, Totals()).merge(totals)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data, names sorted."""
        return {name: self.by[name].plain() for name in sorted(self.by)}

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Tally:
        """Return what `plain` gave."""
        return cls({name: Totals.read(totals) for name, totals in value.items()})


WAITING = 16 << 20
"""Bytes of rows that wait to become a row group; a worker holds some copies of as much."""


class TableWriter:
    """Tables of one schema to one parquet file, streamed; a file that has its name is whole.

    Rows wait until there are `rows` of them or `WAITING` bytes, so that row groups do not follow the batches.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, compression: str = "zstd", rows: int = 8192) -> None:
        self.path = path
        self.count = 0
        self._schema = schema
        self._rows = rows
        self._waiting: list[pa.Table] = []
        self._held = self._size = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.writing")
        level = 3 if compression == "zstd" else None
        self._writer = pq.ParquetWriter(
            self._temporary, schema, compression=compression, compression_level=level
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()
        if error is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)

    def write(self, table: pa.Table) -> None:
        """Add rows; columns that the schema lacks are left out, columns that the table lacks are null."""
        if not table.num_rows:
            return
        for name in self._schema.names:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows, self._schema.field(name).type))
        table = table.select(self._schema.names).cast(self._schema)
        self._waiting.append(table)
        self.count += table.num_rows
        self._held += table.num_rows
        self._size += table.nbytes
        if self._held >= self._rows or self._size > WAITING:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks(), row_group_size=1 << 20)
            self._waiting, self._held, self._size = [], 0, 0


def entries(table: pa.Table, disposition: str, step: str | None) -> pa.Table:
    """Return rows of the working table as rows of the ledger; ids and survivors are still keys."""
    table = with_column(table, "disposition", pa.array([disposition] * table.num_rows, _TEXT))
    return with_column(table, "step", pa.array([step] * table.num_rows, _TEXT))
