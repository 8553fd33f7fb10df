"""The documents that are packed, column by column: what a selection takes, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watari.artifact.rows import copies, matches, row_files
from watari.artifact.stage import InputArtifact
from watari.errors import UserError

_MOST = 8 << 20
"""Bytes of text that are tokenised at a time, but for a longer document."""


@dataclass(frozen=True)
class Documents:
    """Some documents.

    Args:
        rows: `id`, `text`, `language`, `source`; no nulls.
        copies: int64[n], how often each is packed; above 0.
    """

    rows: pa.Table
    copies: npt.NDArray[np.int64]


def read_documents(artifact: InputArtifact, *, seed: int, stage: str, batch: int) -> Iterator[Documents]:
    """Yield the documents that the recipe's selection takes, in order, at most `batch` at a time.

    A document's copies are its column `copies` (1 where that is missing or null) times what the selection's `ratio`
    takes of it.

    Raises:
        UserError: for a row without id or text, a negative number of copies, or a selection that takes nothing.
    """
    narrowed = artifact.selection.narrowed
    selected = _Selected(artifact, seed, stage)
    before = given = 0
    for path in row_files(artifact.path):
        with pq.ParquetFile(path) as file:
            for part in file.iter_batches(batch_size=batch, columns=_columns(file, artifact)):
                table = _checked(pa.Table.from_batches([part]), artifact.name, before)
                before += table.num_rows
                numbers = _copies(table, artifact.name)
                if narrowed:
                    numbers *= selected.times(table)
                chosen = np.flatnonzero(numbers > 0)
                given += len(chosen)
                if len(chosen):
                    kept = table.select(["id", "text", "language", "source"]).take(pa.array(chosen))
                    yield from _cut(kept, numbers[chosen])
                if selected.done:
                    break
    if narrowed and before and not given:
        raise UserError(
            f"{artifact.name}: the selection keeps none of its rows",
            "check the column and the values of `where`",
        )


class _Selected:
    """How often a recipe's selection takes each row: `where`, then `limit`, then `ratio`."""

    def __init__(self, artifact: InputArtifact, seed: int, stage: str) -> None:
        self._name = artifact.name
        self._selection = artifact.selection
        self._seed = seed
        self._stage = stage
        self._taken = 0

    @property
    def done(self) -> bool:
        """True once `limit` is reached."""
        return self._selection.limit is not None and self._taken >= self._selection.limit

    def times(self, table: pa.Table) -> npt.NDArray[np.int64]:
        numbers = np.zeros(table.num_rows, np.int64)
        light = table if "text" in self._selection.where else table.drop_columns(["text"])
        for place, row in enumerate(light.to_pylist()):
            if self.done:
                break
            if matches(row, self._selection, self._name):
                self._taken += 1
                numbers[place] = copies(row, self._selection, seed=self._seed, stage=self._stage)
        return numbers


def _cut(rows: pa.Table, numbers: npt.NDArray[np.int64]) -> Iterator[Documents]:
    """Yield rows in parts of at most `_MOST` bytes of text, a longer document by itself."""
    ends = np.cumsum(np.asarray(pc.binary_length(rows.column("text")), np.int64))
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _MOST, side="right")))
        yield Documents(rows.slice(start, stop - start), numbers[start:stop])
        start = stop


def _columns(file: pq.ParquetFile, artifact: InputArtifact) -> list[str]:
    wanted = {"id", "text", "language", "source", "copies"}
    for column in artifact.selection.where:
        wanted |= {column, column.partition(".")[0]}
    return [name for name in file.schema_arrow.names if name in wanted]


def _checked(table: pa.Table, name: str, before: int) -> pa.Table:
    for column in ("id", "text"):
        values = table.column(column) if column in table.column_names else pa.nulls(table.num_rows)
        if values.null_count:
            row = before + int(np.flatnonzero(np.asarray(pc.is_null(values)))[0]) + 1
            raise UserError(f"{name}: row {row} has no {column}")
    for column, default in (("language", "und"), ("source", "")):
        values = table.column(column) if column in table.column_names else pa.nulls(table.num_rows)
        filled = values.cast(pa.string()).fill_null(default)
        place = table.schema.get_field_index(column)
        table = table.append_column(column, filled) if place < 0 else table.set_column(place, column, filled)
    return table


def _copies(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    if "copies" not in table.column_names:
        return np.ones(table.num_rows, np.int64)
    column = table.column("copies").fill_null(1).cast(pa.int64())
    numbers: npt.NDArray[np.int64] = column.to_numpy().copy()
    if (numbers < 0).any():
        row = table.column("id")[int(np.flatnonzero(numbers < 0)[0])].as_py()
        raise UserError(f"{name}: document {row}: a number of copies below 0")
    return numbers
