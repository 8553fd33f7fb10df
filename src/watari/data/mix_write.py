"""A mixture's rows in their drawn order: thrown into buckets by their draw, then written bucket by bucket.

So no more than one bucket is in memory, however many rows there are, and the order depends on ids and seed alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact.dataset_facts import RowCounts
from watari.artifact.draws import draw_uint64
from watari.artifact.kinds import Kind
from watari.artifact.rows import Row, row_files
from watari.artifact.schema import DROPPED, SCHEMAS, VERSION
from watari.artifact.stage import InputArtifact, Progress, stop_if_asked
from watari.data.mix_draw import Counts
from watari.data.mix_index import KEPT, NOT_SELECTED, Index, batches

_BUCKET = 16_000_000
"""Characters of rows in a bucket, about."""
_ORDER = "\x00order"


def common_schema(inputs: Sequence[InputArtifact]) -> pa.Schema:
    """Return the schema of all inputs together: further columns are kept; where their types differ, as JSON text."""
    schema = SCHEMAS[Kind.CONVERSATIONS]
    further: dict[str, pa.DataType] = {}
    for artifact in inputs:
        for path in row_files(artifact.path):
            for field in pq.read_schema(path):
                if field.name not in schema.names:
                    known = further.get(field.name)
                    further[field.name] = field.type if known is None else _joined(known, field.type)
    for name, kind in sorted(further.items()):
        schema = schema.append(pa.field(name, kind))
    return schema


def _joined(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    try:
        fields = [pa.schema([pa.field("x", kind)]) for kind in (one, other)]
        return pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        if pa.types.is_string(field.type) and not (
            pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        ):
            texts = [
                None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
                for value in column.to_pylist()
            ]
            columns.append(pa.array(texts, pa.string()))
        else:
            columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


class Buckets:
    """Rows on their way to their place.

    Args:
        work: Where they wait.
        schema: Of the rows.
        characters: Of all rows together, about.
        seed, stage: Of the order's draws.
        shuffle: False keeps the order in which rows are added.
    """

    def __init__(
        self, work: Path, schema: pa.Schema, characters: int, *, seed: int, stage: str, shuffle: bool
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._work, self._schema = work, schema
        self._inner = schema.append(pa.field(_ORDER, pa.uint64()))
        self._seed, self._stage, self._shuffle = seed, f"{stage} order", shuffle
        self._bits = min(max((characters // _BUCKET).bit_length(), 0), 10) if shuffle else 0
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._added = 0

    def add(self, table: pa.Table) -> None:
        """Take some rows."""
        if not table.num_rows:
            return
        table = _fitted(table, self._schema)
        if self._shuffle:
            names = table.column("id").to_pylist()
            order = np.array([draw_uint64(self._seed, self._stage, name) for name in names], np.uint64)
        else:
            order = np.arange(self._added, self._added + table.num_rows, dtype=np.uint64)
        self._added += table.num_rows
        table = table.append_column(_ORDER, pa.array(order))
        if not self._bits:
            self._writer(0).write_table(table)
            return
        buckets = (order >> np.uint64(64 - self._bits)).astype(np.int64)
        for bucket in np.unique(buckets).tolist():
            self._writer(bucket).write_table(table.take(np.flatnonzero(buckets == bucket)))

    def _writer(self, bucket: int) -> pa.ipc.RecordBatchStreamWriter:
        if bucket not in self._writers:
            self._writers[bucket] = pa.ipc.new_stream(str(self._path(bucket)), self._inner)
        return self._writers[bucket]

    def _path(self, bucket: int) -> Path:
        return self._work / f"bucket-{bucket:04d}.arrow"

    def write(self, path: Path, progress: Progress) -> RowCounts:
        """Write all rows to one parquet file, in their order; return the counts of what was written."""
        counts = RowCounts()
        for writer in self._writers.values():
            writer.close()
        schema = self._schema.with_metadata({"watari.schema": str(VERSION)})
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as out:
            for bucket in sorted(self._writers):
                stop_if_asked(progress)
                for table in self._tables(bucket):
                    out.write_table(table.cast(schema), row_group_size=8192)
                    for row in table.to_pylist():
                        counts.add(row)
                    progress.update(counts.rows, self._added, unit="rows", note="writing")
                self._path(bucket).unlink()
        return counts

    def _tables(self, bucket: int) -> Iterator[pa.Table]:
        with pa.ipc.open_stream(str(self._path(bucket))) as stream:
            if not self._shuffle:
                for batch in stream:
                    yield pa.Table.from_batches([batch]).drop_columns([_ORDER])
                return
            table = stream.read_all()
        table = table.take(pa.compute.sort_indices(table, [(_ORDER, "ascending"), ("id", "ascending")]))
        yield table.drop_columns([_ORDER])


def throw(
    inputs: Sequence[InputArtifact], index: Index, count: Counts, buckets: Buckets, progress: Progress
) -> int:
    """Add every row to `buckets` as often as it is taken; return how many got another id because theirs was taken.

    Of two rows with one id and different content the later one gets `~` and 8 digits of its content's hash behind
    it, and the second copy of a row `#2`.
    """
    renamed = _renamed(index)
    at = 0
    for artifact in inputs:
        for table in batches(artifact):
            stop_if_asked(progress)
            times = count[at : at + table.num_rows].astype(np.int64)
            if times.any():
                places = np.repeat(np.arange(table.num_rows), times)
                part = table.take(places)
                names = part.column("id").to_pylist()
                seen = 0
                for place, row in enumerate(places.tolist()):
                    seen = seen + 1 if place and places[place - 1] == row else 1
                    name = renamed.get(at + row, names[place])
                    names[place] = name if seen == 1 else f"{name}#{seen}"
                part = part.set_column(part.column_names.index("id"), "id", pa.array(names, pa.string()))
                buckets.add(part)
            at += table.num_rows
            progress.update(at, len(index), unit="rows", note="shuffling")
    return len(renamed)


def _renamed(index: Index) -> dict[int, str]:
    kept = index.kept
    # A draw is a hash of the id: the same id has the same one.
    _, first, inverse = np.unique(index.draw[kept], return_index=True, return_inverse=True)
    later = kept[first[inverse] != np.arange(len(kept))]
    return {
        row: f"{index.ids[row].as_py()}~{int(index.exact[row, 0]):016x}"[: len(index.ids[row].as_py()) + 9]
        for row in later.tolist()
    }


def write_dropped(path: Path, index: Index, names: Sequence[str]) -> dict[str, int]:
    """Write the ledger of dropped rows; return rows by reason.

    Args:
        path: `dropped.parquet`.
        index: After everything was decided.
        names: Of the inputs.
    """
    gone = np.flatnonzero(index.state > NOT_SELECTED)
    counted: dict[str, int] = {}
    with pq.ParquetWriter(path, DROPPED, compression="zstd", compression_level=3) as out:
        for start in range(0, len(gone), 8192):
            rows = gone[start : start + 8192]
            reasons = [index.reasons[code] for code in index.state[rows].tolist()]
            places = [names[place] for place in index.input_of(rows).tolist()]
            sources = [
                index.names["source"][code] if code >= 0 else "" for code in index.source[rows].tolist()
            ]
            for reason in reasons:
                counted[reason] = counted.get(reason, 0) + 1
            twins = index.twin[rows]
            theirs = index.ids.take(pa.array(np.maximum(twins, 0))).to_pylist()
            details = [
                f"of {name}" if twin >= 0 else "" for name, twin in zip(theirs, twins.tolist(), strict=True)
            ]
            columns: list[Any] = [index.ids.take(pa.array(rows)), sources, places, reasons, details]
            out.write_table(pa.Table.from_arrays([pa.array(c, pa.string()) for c in columns], schema=DROPPED))
    return dict(sorted(counted.items()))


def as_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows of conversations as a table."""
    schema = SCHEMAS[Kind.CONVERSATIONS]
    return pa.Table.from_pydict(
        {name: [row.get(name) for row in rows] for name in schema.names}, schema=schema
    )


def kept_by_input(index: Index, count: npt.NDArray[np.int32], inputs: int) -> list[dict[str, int]]:
    """Return for each input {rows_in, kept, written}."""
    found = []
    for place in range(inputs):
        part = slice(int(index.starts[place]), int(index.starts[place + 1]))
        state = index.state[part]
        found.append(
            {
                "rows_in": int((state != NOT_SELECTED).sum()),
                "kept": int((state == KEPT).sum()),
                "written": int(count[part][state == KEPT].sum()),
            }
        )
    return found
