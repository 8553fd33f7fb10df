"""Columns that a schema does not know: kept as columns where one type fits every row, else as fields of `meta`.

The type of a column is known only when the last row has been read, so rows wait in a file with their further columns
as JSON, and are then written with the schema that fits them all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact.kinds import Kind
from watari.artifact.records import meta_of, plain
from watari.artifact.rows import Row, RowWriter
from watari.artifact.schema import SCHEMAS

_EXTRA = "further columns"
_INT64 = 1 << 63
_TYPES = {
    "text": pa.string(),
    "flag": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "texts": pa.list_(pa.string()),
}


class WaitingRows:
    """Rows of one kind on their way into an artifact.

    Args:
        path: Where they wait, below `out/work/`.
        kind: Their kind.
    """

    def __init__(self, path: Path, kind: Kind) -> None:
        self._path = path
        self._schema = SCHEMAS[kind]
        self._writer = RowWriter(path, self._schema.append(pa.field(_EXTRA, pa.string())))
        self._types: dict[str, str] = {}

    def add(self, row: Row, further: Row) -> None:
        """Take one row of the schema, and the columns that it has beside it."""
        further = {name: plain(value) for name, value in further.items() if value is not None}
        for name, value in further.items():
            self._types[name] = _joined(self._types.get(name), _type_of(value))
        extra = json.dumps(further, ensure_ascii=False) if further else None
        self._writer.write({**row, _EXTRA: extra})

    @property
    def count(self) -> int:
        """How many rows wait."""
        return self._writer.count

    def write(self, path: Path) -> None:
        """Write all rows to their place; the waiting file is removed."""
        self._writer.__exit__(None, None, None)
        columns = {name: kind for name, kind in sorted(self._types.items()) if kind in _TYPES}
        schema = self._schema
        for name, kind in columns.items():
            schema = schema.append(pa.field(name, _TYPES[kind]))
        with RowWriter(path, schema) as writer:
            for batch in pq.ParquetFile(self._path).iter_batches(batch_size=2048):
                for row in batch.to_pylist():
                    further = json.loads(row.pop(_EXTRA) or "{}")
                    odd = {name: value for name, value in further.items() if name not in columns}
                    if odd:
                        row["meta"] = meta_of({**odd, "meta": row["meta"]}, ())
                    writer.write({**row, **{name: further.get(name) for name in columns}})
        self._path.unlink()


def _type_of(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int):
        return "int" if -_INT64 <= value < _INT64 else "mixed"
    if isinstance(value, float):
        return "float"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "texts"
    return "mixed"


def _joined(first: str | None, second: str) -> str:
    if first is None or first == second:
        return second
    return "float" if {first, second} == {"int", "float"} else "mixed"
