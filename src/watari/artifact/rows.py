"""Rows of artifacts: parquet + zstd with a written schema, read back through a recipe's selection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact.draws import draw_uniform
from watari.artifact.kinds import Kind
from watari.artifact.params import Range, Selection
from watari.artifact.schema import DROPPED, SCHEMAS, VERSION
from watari.artifact.stage import InputArtifact
from watari.errors import UserError

ROWS = "rows.parquet"
"""The file of an artifact of rows; a large one may be `rows-00000.parquet`, `rows-00001.parquet`, ..."""
PARTS = "documents"
"""The folder of an artifact of documents that was written in parts: `documents/part-00000.parquet`, ..."""

Row = dict[str, Any]


class RowWriter:
    """Write rows of one kind to one parquet file, batch by batch; the order given is the order kept.

    Columns of the schema that a row lacks are null; columns that the schema does not know are kept, with the type
    that the first batch shows. Where a later batch brings a new column, what is written is written again with it.

    Args:
        path: The file; its folder is made.
        kind: A kind with a schema in `artifact.schema`, or an explicit schema.
        batch: Rows in a row group.
    """

    def __init__(self, path: Path, kind: Kind | pa.Schema, *, batch: int = 8192) -> None:
        self.path = path
        self.count = 0
        self._schema = SCHEMAS[kind] if isinstance(kind, Kind) else kind
        self._batch = batch
        self._pending: list[Row] = []
        self._writer: pq.ParquetWriter | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row."""
        self._pending.append(dict(row))
        self.count += 1
        if len(self._pending) >= self._batch:
            self._flush()

    def _flush(self) -> None:
        widened = self._widened()
        if self._writer is None or widened != self._schema:
            before, self._schema = self._writer, widened
            stamped = widened.with_metadata({"watari.schema": str(VERSION)})
            if before is None:
                self._writer = self._open(self.path, stamped)
            else:
                before.close()
                self._writer = self._written_again(stamped)
        if self._pending:
            columns = {name: [row.get(name) for row in self._pending] for name in self._schema.names}
            self._writer.write_table(pa.Table.from_pydict(columns, schema=self._writer.schema))
            self._pending.clear()

    def _open(self, path: Path, schema: pa.Schema) -> pq.ParquetWriter:
        return pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)

    def _written_again(self, schema: pa.Schema) -> pq.ParquetWriter:
        old = self.path.with_name(f".{self.path.name}.old")
        self.path.rename(old)
        writer = self._open(self.path, schema)
        with pq.ParquetFile(old) as table:
            for group in range(table.num_row_groups):
                rows = table.read_row_group(group)
                missing = [name for name in schema.names if name not in rows.column_names]
                for name in missing:
                    rows = rows.append_column(name, pa.nulls(rows.num_rows))
                writer.write_table(rows.select(schema.names).cast(schema))
        old.unlink()
        return writer

    def _widened(self) -> pa.Schema:
        """Return the schema with every column of the pending rows that it does not know, or knows only as null."""
        schema = self._schema
        names: dict[str, None] = {}
        for row in self._pending:
            names.update(dict.fromkeys(row))
        for name in names:
            known = schema.field(name) if name in schema.names else None
            if known is not None and not pa.types.is_null(known.type):
                continue
            values = [row.get(name) for row in self._pending]
            try:
                inferred = pa.field(name, pa.array(values).type)
            except pa.ArrowInvalid as error:
                raise UserError(f"{self.path.name}: column '{name}' mixes types: {error}") from None
            schema = (
                schema.append(inferred) if known is None else schema.set(schema.names.index(name), inferred)
            )
        return schema


def write_rows(path: Path, kind: Kind | pa.Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write `rows` to one parquet file and return how many there were."""
    with RowWriter(path, kind) as writer:
        for row in rows:
            writer.write(row)
    return writer.count


def row_files(folder: Path) -> list[Path]:
    """Return the row files of an artifact, in order."""
    whole = sorted([*folder.glob("rows.parquet"), *folder.glob("rows-*.parquet")])
    return whole or sorted((folder / PARTS).glob("part-*.parquet"))


def count_rows(folder: Path) -> int:
    """Return the number of rows of an artifact, from the files' footers."""
    return sum(pq.read_metadata(path).num_rows for path in row_files(folder))


def read_rows(folder: Path) -> Iterator[Row]:
    """Yield every row of an artifact, in order."""
    for path in row_files(folder):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=2048):
            yield from batch.to_pylist()


def select_rows(artifact: InputArtifact, *, seed: int, stage: str) -> Iterator[Row]:
    """Yield the rows that the recipe's selection names, in order.

    Args:
        artifact: The input, with its selection.
        seed: The stage's seed, for `ratio`.
        stage: The stage's kind, for `ratio`.

    Raises:
        UserError: if `where` names a column that the rows lack, or nothing is left.
    """
    return filter_rows(
        read_rows(artifact.path), artifact.selection, name=artifact.name, seed=seed, stage=stage
    )


def filter_rows(
    rows: Iterable[Row], selection: Selection, *, name: str, seed: int, stage: str
) -> Iterator[Row]:
    """Yield the rows of `rows` that `selection` keeps: `where`, then `limit`, then `ratio`."""
    seen = taken = 0
    yielded = False
    for row in rows:
        seen += 1
        if selection.limit is not None and taken >= selection.limit:
            break
        if not matches(row, selection, name):
            continue
        taken += 1
        for _ in range(copies(row, selection, seed=seed, stage=stage)):
            yielded = True
            yield row
    if seen and not yielded and selection.narrowed:
        raise UserError(
            f"{name}: the selection keeps none of its rows ({json.dumps(selection.narrowing(), ensure_ascii=False)})",
            "check the column and the values of `where`",
        )


def matches(row: Row, selection: Selection, name: str) -> bool:
    """Return whether `where` takes a row.

    Raises:
        UserError: if it names a column that the row lacks.
    """
    return unmatched(row, selection.where, name) is None


def unmatched(row: Row, where: Mapping[str, Any], name: str) -> str | None:
    """Return the first column of a `where` that does not take a row, or None if all of them do.

    Args:
        row: The row.
        where: Column → value, list of values, or range, as in a selection.
        name: What errors are about.

    Raises:
        UserError: if it names a column that the row lacks.
    """
    return next((column for column, wanted in where.items() if not _matches(row, column, wanted, name)), None)


def copies(row: Row, selection: Selection, *, seed: int, stage: str) -> int:
    """Return how often `ratio` takes a row: a draw keyed by seed, stage and id."""
    ratio = 1.0 if selection.ratio is None else selection.ratio
    return int(ratio) + (draw_uniform(seed, stage, str(row.get("id"))) < ratio - int(ratio))


def _matches(row: Row, column: str, wanted: Any, name: str) -> bool:
    value = _value(row, column, name)
    if isinstance(wanted, Range):
        if value is None:
            return False
        try:
            low = wanted.min is None or value >= wanted.min
            return bool(low and (wanted.max is None or value <= wanted.max))
        except TypeError:
            raise UserError(
                f"{name}: where: column '{column}' holds {value!r:.40}, which min / max cannot be compared with"
            ) from None
    if isinstance(wanted, list):
        return value in wanted
    return bool(value == wanted)


def _value(row: Row, column: str, name: str) -> Any:
    if column in row:
        return row[column]
    head, _, field = column.partition(".")
    if head == "meta" and field and "meta" in row:
        try:
            meta = json.loads(row["meta"] or "{}")
        except ValueError:
            raise UserError(f"{name}: where: row {row.get('id')}: its meta is not JSON") from None
        return meta.get(field) if isinstance(meta, dict) else None
    raise UserError(
        f"{name}: where: no column '{column}'",
        f"its columns: {', '.join(row)}; a field of meta is `meta.field`",
    )


class Ledger:
    """The rows that a stage did not pass on, each with a reason (DESIGN law 1).

    `close` writes `dropped.parquet` and proves in = kept + Σ dropped.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self.reasons: dict[str, int] = {}

    def drop(
        self, reason: str, *, id: str | None = None, source: str = "", place: str = "", detail: str = ""
    ) -> None:
        """Record one dropped row."""
        self._rows.append({"id": id, "source": source, "place": place, "reason": reason, "detail": detail})
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def dropped(self) -> int:
        """How many rows were dropped."""
        return len(self._rows)

    def close(self, out: Path, *, rows_in: int, kept: int) -> dict[str, Any]:
        """Write `dropped.parquet` and return the metrics {rows_in, kept, dropped, dropped_by_reason}.

        Raises:
            AssertionError: if a row is unaccounted for, which is a defect of the stage.
        """
        if rows_in != kept + self.dropped:
            raise AssertionError(
                f"rows are unaccounted for: {rows_in} in, {kept} kept, {self.dropped} dropped"
            )
        write_rows(out / "dropped.parquet", DROPPED, self._rows)
        return {
            "rows_in": rows_in,
            "kept": kept,
            "dropped": self.dropped,
            "dropped_by_reason": dict(sorted(self.reasons.items())),
        }
