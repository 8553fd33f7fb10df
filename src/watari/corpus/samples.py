"""Keyed samples of a build: the heads of some texts for its report, and rows to measure by every rule."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watari.artifact.draws import draw_uint64

HEAD = 2000
"""Characters of a text that are kept."""

TEXTS = pa.schema([("key", pa.string()), ("id", pa.string()), ("group", pa.string()), ("text", pa.string())])


class TextHeads:
    """The heads of at most `limit` texts a group (a reason, a language): those with the smallest draws on (seed, key)."""

    def __init__(self, limit: int, seed: int, *, by: str) -> None:
        self._limit = limit
        self._seed = seed
        self._by = by
        self._heaps: dict[str, list[tuple[int, str, str, str | None]]] = {}

    def add(self, table: pa.Table) -> None:
        """Take rows of the working table into account; the group is what stands in the column `by`."""
        if not table.num_rows:
            return
        keys = table.column("key").to_pylist()
        draws = [-draw_uint64(self._seed, "corpus.build/examples", key) for key in keys]
        rows: list[tuple[int, str]] = []
        for row, (draw, group) in enumerate(zip(draws, table.column(self._by).to_pylist(), strict=True)):
            heap = self._heaps.get(group or "", [])
            if len(heap) < self._limit or draw > heap[0][0]:
                rows.append((row, group or ""))
        column = table.column("text").take(pa.array([row for row, _ in rows], pa.int64()))
        heads = pc.utf8_slice_codeunits(column.fill_null(""), 0, HEAD).to_pylist()
        ids = table.column("id")
        for (row, group), text in zip(rows, heads, strict=True):
            heap = self._heaps.setdefault(group, [])
            # The heap's root is the largest draw that is kept: it goes first. Keys differ, so ids are not compared.
            entry = (draws[row], keys[row], text, ids[row].as_py())
            if len(heap) < self._limit:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                heapq.heapreplace(heap, entry)

    def table(self) -> pa.Table:
        """Return them as `TEXTS`, sorted by group and key."""
        rows = sorted(
            (group, key, text, row_id) for group, heap in self._heaps.items() for _, key, text, row_id in heap
        )
        columns: dict[str, list[Any]] = {
            "key": [row[1] for row in rows],
            "id": [row[3] for row in rows],
            "group": [row[0] for row in rows],
            "text": [row[2] for row in rows],
        }
        return pa.table(columns, schema=TEXTS)


def write_small(path: Path, table: pa.Table) -> None:
    """Write a table that fits in memory; a file that has its name is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    pq.write_table(table, temporary, compression="zstd", compression_level=3)
    temporary.replace(path)


def sampled(table: pa.Table, share: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of rows whose draw on (seed, key) falls below `share`."""
    if share >= 1:
        return np.arange(table.num_rows, dtype=np.int64)
    limit = int(share * 2.0**64)
    draws = [draw_uint64(seed, "corpus.build/measured", key) for key in table.column("key").to_pylist()]
    return np.flatnonzero(np.array(draws, np.uint64) < np.uint64(limit)).astype(np.int64)
