"""Reading a piece: working tables, in the order of the file, none of them large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from watari.artifact.files import RowFile, open_file
from watari.artifact.reading import arrow_batches, read_file, read_records
from watari.artifact.records import Fault, Record, first_line
from watari.artifact.rows import copies, matches, row_files
from watari.corpus.ingest.columns import columns_read, tables_of
from watari.corpus.ingest.jsonlines import read_lines
from watari.corpus.ingest.piece import Piece
from watari.corpus.ingest.rows import BATCH_BYTES, BATCH_ROWS, Rows

_BUFFER = 1 << 20


def read(piece: Piece) -> Iterator[pa.Table]:
    """Yield the rows of a piece as `WORKING` tables of at most 4,096 rows or 16 MB of text, in order.

    Every row comes out: one without a usable text has a `reason`, and mostly a `detail`. Texts are as they stand in the
    file; nothing is normalised.

    Raises:
        UserError: if the file cannot be opened, a connection breaks, or a selection names a column that is not there.
    """
    found = RowFile(
        path=piece.file,
        name=piece.path,
        format=piece.format,
        open=partial(open_file, piece.file, any_order=piece.format in ("parquet", "arrow")),
    )
    if piece.file.startswith("demo://"):
        yield from _in_tables(piece, read_records(piece.file, piece.form.options, seed=piece.seed))
    elif piece.artifact:
        yield from _artifact(piece)
    elif piece.format == "jsonl":
        yield from read_lines(piece, found)
    elif piece.format == "parquet":
        yield from _parquet(piece, found)
    elif piece.format == "arrow":
        yield from _arrow(piece, found)
    else:
        yield from _in_tables(piece, read_file(found, piece.form.options))


def _in_tables(piece: Piece, items: Iterable[Record | Fault]) -> Iterator[pa.Table]:
    rows = Rows(piece)
    for item in items:
        rows.add(item)
        if rows.full:
            yield rows.take()
    if rows.texts:
        yield rows.take()


def _broken(piece: Piece, places: Iterable[str], detail: str) -> Iterator[pa.Table]:
    rows = Rows(piece)
    for place in places:
        rows.broken(place, "damaged file", detail)
        if rows.full:
            yield rows.take()
    if rows.texts:
        yield rows.take()


def _parquet(piece: Piece, found: RowFile) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    with closing(found.open()) as raw:
        try:
            # Buffered: a whole column chunk, which may be all of a file, need not be in memory.
            table = pq.ParquetFile(raw, buffer_size=_BUFFER, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            yield from _broken(piece, [""], first_line(error))
            return
        names = columns_read(piece, table.schema_arrow)
        for group in range(piece.start, table.num_row_groups if piece.stop is None else piece.stop):
            total = table.metadata.row_group(group).num_rows
            done = 0
            for batch in _until_broken(_group_batches(table, group, names)):
                if isinstance(batch, str):
                    lost = (f"row group {group}, row {row}" for row in range(done + 1, total + 1))
                    yield from _broken(piece, lost, batch)
                    break
                rows = range(done + 1, done + batch.num_rows + 1)
                yield from tables_of(piece, batch, [f"row group {group}, row {row}" for row in rows])
                done += batch.num_rows


def _until_broken(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch | str]:
    """Yield batches, and last of all what the matter is where the file is damaged."""
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            yield first_line(error)
            return
        if batch is None:
            return
        yield batch


def _group_batches(table: Any, group: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield a row group in batches that are small whatever the size of its texts."""
    about = table.metadata.row_group(group)
    mean = max(1, about.total_byte_size // max(about.num_rows, 1))
    # Texts unpack to more than the group's pages hold where values repeat; half the limit leaves room.
    size = max(1, min(BATCH_ROWS, BATCH_BYTES // 2 // mean))
    yield from table.iter_batches(batch_size=size, row_groups=[group], columns=names)


def _arrow(piece: Piece, found: RowFile) -> Iterator[pa.Table]:
    done = 0
    for whole in _until_broken(arrow_batches(found)):
        if isinstance(whole, str):
            yield from _broken(piece, [f"row {done + 1}" if done else ""], whole)
            return
        names = columns_read(piece, whole.schema)
        for start in range(0, whole.num_rows, BATCH_ROWS):
            batch = whole.select(names).slice(start, BATCH_ROWS)
            rows = range(done + 1, done + batch.num_rows + 1)
            yield from tables_of(piece, batch, [f"row {row}" for row in rows])
            done += batch.num_rows


def _artifact(piece: Piece) -> Iterator[pa.Table]:
    """Yield the rows of a stage; those that a selection takes, where there is one."""
    chosen = _Chosen(piece) if piece.selection else None
    for batch, places in _artifact_batches(piece):
        if chosen is None:
            yield from tables_of(piece, batch, places)
        else:
            yield from chosen.tables(batch, places)
            if chosen.enough:
                return


def _artifact_batches(piece: Piece) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
    import pyarrow.parquet as pq

    folder = Path(piece.file)
    whole = folder.is_dir()
    for path in row_files(folder) if whole else [folder]:
        name = f"{path.relative_to(folder).as_posix()}: " if whole else ""
        table = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        number = piece.line
        for group in range(piece.start, table.num_row_groups if piece.stop is None else piece.stop):
            for batch in _group_batches(table, group, table.schema_arrow.names):
                yield batch, [f"{name}row {row}" for row in range(number, number + batch.num_rows)]
                number += batch.num_rows


class _Chosen:
    """The rows of an artifact that a selection takes: `where`, then `limit`, then `ratio`, as `filter_rows` does."""

    def __init__(self, piece: Piece) -> None:
        if piece.selection is None:
            raise ValueError("no selection")
        self._piece = piece
        self._selection = piece.selection
        self._taken = 0

    @property
    def enough(self) -> bool:
        """True once `limit` is reached."""
        return self._selection.limit is not None and self._taken >= self._selection.limit

    def tables(self, batch: pa.RecordBatch, places: list[str]) -> Iterator[pa.Table]:
        """Yield tables of the rows of a batch that are taken; a row taken again says so in its place."""
        names = batch.schema.names
        needed = {"id", *self._selection.where}
        needed |= {"meta"} if any(name.startswith("meta.") for name in self._selection.where) else set()
        blank = dict.fromkeys(names)
        rows, at = [], []
        for index, row in enumerate(batch.select([name for name in names if name in needed]).to_pylist()):
            if self.enough:
                break
            if not matches({**blank, **row}, self._selection, self._piece.artifact):
                continue
            self._taken += 1
            for copy in range(copies(row, self._selection, seed=self._piece.seed, stage=self._piece.stage)):
                at.append(index)
                rows.append(places[index] + (f", copy {copy + 1}" if copy else ""))
        if at:
            yield from tables_of(self._piece, batch.take(pa.array(at)), rows)
