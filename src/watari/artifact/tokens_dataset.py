"""A shard of tokens as a `datasets.Dataset`: a view of tokens.bin, mapped into memory, nothing copied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact.tokens import TokenReader
from watari.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset


def as_dataset(
    folder: Path, rows: Literal["documents", "windows"] = "windows", *, sequence: int | None = None
) -> Dataset:
    """Return the shard as a dataset whose `input_ids` lie in tokens.bin.

    Args:
        folder: A shard of `tokens.pack`.
        rows: documents: one row a sequence of the index, with the columns of the sidecar. windows: one row a window;
            those of a best-fit shard hold whole pieces without padding, and `seq_lengths` says how long each is (as TRL
            names it); those of other shards are cut every `sequence` tokens, the last may be shorter.
        sequence: Tokens of a window of a shard without windows of its own.

    Raises:
        UserError: if the shard is not whole, `sequence` is missing or not the shard's, or `datasets` is not installed.
    """
    try:
        from datasets import Dataset
    except ImportError:
        raise UserError("datasets is not installed", "pip install datasets") from None
    reader = TokenReader(folder)
    if rows == "documents":
        sidecar = pq.read_table(folder / "documents.parquet")
        return Dataset(sidecar.append_column("input_ids", _lists(reader.tokens, reader.offsets)))
    packed = reader.info.sequence
    if packed is None and sequence is None:
        raise UserError(f"{folder}: its documents stand back to back", "give the `sequence` of a window")
    if packed is not None and sequence not in (None, packed):
        raise UserError(
            f"{folder}: its windows are of {packed} tokens, not {sequence}", "leave `sequence` out"
        )
    bounds = reader.windows()
    if bounds is None:
        total = int(reader.offsets[-1])
        ends = np.append(np.arange(0, total, sequence, dtype=np.int64), total)
        return Dataset(pa.table({"input_ids": _lists(reader.tokens, ends)}))
    lengths = np.diff(reader.offsets).astype(np.int32)
    columns = {
        "input_ids": _lists(reader.tokens, reader.offsets[bounds]),
        "seq_lengths": _lists(lengths, np.asarray(bounds)),
    }
    return Dataset(pa.table(columns))


def _lists(values: npt.NDArray[Any], ends: npt.NDArray[np.int64]) -> pa.LargeListArray:
    """Return stretches of an array as lists, on the array's own memory."""
    flat = pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), flat)
