"""What was decided of every document of a piece, and its verdict in the working table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.artifact.atomic import write_bytes
from watari.corpus.dedup.arrays import hex_of, keys_of, piece_folder
from watari.corpus.dedup.params import DedupParams
from watari.corpus.table import dropped, with_column

KEPT, EXACT, NEAR = 0, 1, 2

EXACT_REASON = "exact duplicate"
NEAR_REASON = "near duplicate"

_RECORD = np.dtype(
    [
        ("key", "<u8", 2),  # the document's own, so that decisions cannot fall on other rows
        ("survivor", "<u8", 2),
        ("size", "<u4"),  # documents of the cluster, the survivor included
        ("agreement", "<u2"),  # words in which its signature and the survivor's agree
        ("kind", "u1"),
    ]
)


@dataclass(frozen=True)
class Decisions:
    """Decisions on rows of one piece, in the order in which they were added.

    Args:
        records: One a row: `key`, `survivor`, `size`, `agreement`, `kind` (0 kept, 1 exact duplicate, 2 near
            duplicate).
    """

    records: npt.NDArray[Any]

    def __len__(self) -> int:
        """Rows."""
        return len(self.records)

    def of(self, start: int, stop: int) -> Decisions:
        """Return the decisions on the rows `start` … `stop` - 1."""
        return Decisions(self.records[start:stop])


def empty_records(rows: int) -> npt.NDArray[Any]:
    """Return records of so many rows, all zero."""
    return np.zeros(rows, _RECORD)


def save_decisions(folder: Path, piece: int, records: npt.NDArray[Any]) -> None:
    """Write a piece's decisions beside its arrays."""
    write_bytes(piece_folder(folder, piece) / "decisions", records.tobytes())


def load_decisions(folder: Path, piece: int) -> Decisions:
    """Return the decisions on a piece that `resolve` has written; they stay on disk until they are used."""
    path = piece_folder(folder, piece) / "decisions"
    if not path.stat().st_size:
        return Decisions(empty_records(0))
    return Decisions(np.memmap(path, _RECORD, "r"))


def apply(table: pa.Table, decisions: Decisions, params: DedupParams) -> pa.Table:
    """Return the table with the duplicates dropped and a column `cluster_size` (int32; null for what is
    dropped).

    A near duplicate's `value` is the share of words in which its signature agrees with the survivor's.

    Args:
        table: Rows as they were added to the arrays, with the verdict columns.
        decisions: On the same rows in the same order.
        params: As they were when the duplicates were found.

    Raises:
        ValueError: where the rows are not those that were decided on.
    """
    records = np.asarray(decisions.records)
    if len(records) != table.num_rows or not np.array_equal(keys_of(table), records["key"]):
        raise ValueError("the rows are not those that deduplication decided on")
    kept = records["kind"] == KEPT
    sizes = pa.array(records["size"].astype(np.int32), pa.int32(), mask=~kept)
    table = with_column(table, "cluster_size", sizes)
    for kind, reason in ((EXACT, EXACT_REASON), (NEAR, NEAR_REASON)):
        rows = np.flatnonzero(records["kind"] == kind)
        told = records[rows]
        table = dropped(
            table,
            rows,
            reason,
            value=told["agreement"] / np.float64(params.words) if kind == NEAR else None,
            threshold=params.threshold if kind == NEAR else None,
            survivor=hex_of(told["survivor"]),
        )
    return table
