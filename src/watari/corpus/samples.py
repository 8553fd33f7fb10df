"""Keyed samples that a build keeps for its report: the heads of dropped texts, and rows to measure by every rule."""

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
"""Characters of a dropped text that are kept for the report."""

TEXTS = pa.schema([("key", pa.string()), ("reason", pa.string()), ("text", pa.string())])


class DroppedTexts:
    """The heads of at most `limit` dropped texts a reason: those with the smallest draws on (seed, key)."""

    def __init__(self, limit: int, seed: int) -> None:
        self._limit = limit
        self._seed = seed
        self._heaps: dict[str, list[tuple[int, str, str]]] = {}

    def add(self, table: pa.Table) -> None:
        """Take dropped rows of the working table into account."""
        if not table.num_rows:
            return
        keys, reasons = table.column("key").to_pylist(), table.column("reason").to_pylist()
        heads = pc.utf8_slice_codeunits(table.column("text").fill_null(""), 0, HEAD).to_pylist()
        for key, reason, text in zip(keys, reasons, heads, strict=True):
            heap = self._heaps.setdefault(reason, [])
            # The heap's root is the largest draw that is kept: it goes first.
            entry = (-draw_uint64(self._seed, "corpus.build/examples", key), key, text)
            if len(heap) < self._limit:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                heapq.heapreplace(heap, entry)

    def save(self, path: Path) -> None:
        """Write them, sorted by reason and key."""
        rows = sorted((reason, key, text) for reason, heap in self._heaps.items() for _, key, text in heap)
        columns: dict[str, list[Any]] = {
            "key": [row[1] for row in rows],
            "reason": [row[0] for row in rows],
            "text": [row[2] for row in rows],
        }
        write_small(path, pa.table(columns, schema=TEXTS))


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
