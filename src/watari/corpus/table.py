"""The working table of a corpus: one row a document, and what a kernel says of the rows that it drops.

A kernel is a pure function from table to table: the same rows in the same order, its columns perhaps changed (a text
cleaned, a language told), and `reason`, `value`, `threshold`, `detail` and `survivor` filled in for the rows that it
drops. A row that comes in with a reason goes out as it is: `Kernel`s are only ever given rows that are still kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_TEXT = pa.string()

ROW = pa.schema(
    [
        # xxh128 (hex) of source, path and place: what the row is called where it has no id of its own.
        ("key", _TEXT),
        # Its own id, as given; null if none was.
        ("id", _TEXT),
        ("text", pa.large_string()),
        ("source", _TEXT),
        ("language", _TEXT),
        ("license", _TEXT),
        ("url", _TEXT),
        ("date", _TEXT),
        ("meta", _TEXT),
        # The file below its location, and where in it the row stands: `line 7`, `row group 0, row 3`.
        ("path", _TEXT),
        ("place", _TEXT),
        # Of the text as read: characters, UTF-8 bytes, xxh3-64. A row without a readable text: 0, 0, 0.
        ("characters", pa.int64()),
        ("bytes", pa.int64()),
        ("raw_hash", pa.uint64()),
    ]
)
"""The columns of every row, from reading to writing."""

VERDICT = pa.schema(
    [
        # Null while the row is kept.
        ("reason", _TEXT),
        # What was measured, and the limit that it broke, where the reason has them.
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("detail", _TEXT),
        # The key of the row that stays in its place.
        ("survivor", _TEXT),
    ]
)

WORKING = pa.schema([*ROW, *VERDICT])

Kernel = Callable[[pa.Table], pa.Table]


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with a column set: replaced if it is there, else appended."""
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    place = table.schema.get_field_index(name)
    if place < 0:
        return table.append_column(name, array)
    return table.set_column(place, name, array.cast(table.schema.field(name).type))


def undecided(table: pa.Table) -> pa.Table:
    """Return the table with empty verdict columns, whatever stood there."""
    for field in VERDICT:
        table = with_column(table, field.name, pa.nulls(table.num_rows, field.type))
    return table


def dropped(
    table: pa.Table,
    rows: npt.NDArray[np.int64],
    reason: str | Sequence[str],
    *,
    value: npt.NDArray[np.float64] | None = None,
    threshold: float | npt.NDArray[np.float64] | None = None,
    detail: Sequence[str] | None = None,
    survivor: Sequence[str] | None = None,
) -> pa.Table:
    """Return the table with a verdict on some rows; the others keep theirs.

    Args:
        table: With the verdict columns.
        rows: int64, positions of the rows to drop, each once.
        reason: One for all, or one each.
        value, threshold, detail, survivor: In the order of `rows`; `threshold` may be one for all.
    """
    if not len(rows):
        return table
    size = len(rows)
    reasons = [reason] * size if isinstance(reason, str) else list(reason)
    limits = np.full(size, threshold) if isinstance(threshold, int | float) else threshold
    filled = {"reason": reasons, "value": value, "threshold": limits, "detail": detail, "survivor": survivor}
    where = np.zeros(table.num_rows, bool)
    where[rows] = True
    order = np.argsort(rows, kind="stable")
    for name, values in filled.items():
        if values is None:
            continue
        field = VERDICT.field(name)
        sorted_values = pa.array(values, field.type).take(pa.array(order))
        old = table.column(name).combine_chunks()
        table = with_column(table, name, pc.replace_with_mask(old, pa.array(where), sorted_values))
    return table


def parted(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return (rows still kept, rows dropped)."""
    reasons = table.column("reason")
    if reasons.null_count == table.num_rows:
        # As it is most of the time: nothing to copy.
        return table, table.slice(0, 0)
    kept = pc.is_null(reasons)
    return table.filter(kept), table.filter(pc.invert(kept))
