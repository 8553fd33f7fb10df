"""A column of texts as one array of code points, which is what the kernels work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watari.kernels.jit import compiled
from watari.kernels.utf8 import decode, gather


@dataclass(frozen=True)
class Texts:
    """Texts back to back.

    Args:
        codes: uint32, the code points of all texts, one after the other.
        offsets: int64, n + 1 of them: text i is codes[offsets[i]:offsets[i + 1]].
    """

    codes: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64[n]: characters of each text."""
        return np.diff(self.offsets)

    def __getitem__(self, index: int) -> str:
        """Return one text as a string."""
        part = self.codes[self.offsets[index] : self.offsets[index + 1]]
        return part.astype("<u4").tobytes().decode("utf-32-le")

    def take(self, rows: npt.NDArray[np.int64]) -> Texts:
        """Return the texts at `rows` (int64, any order) as a new column."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if compiled():
            codes = np.empty(offsets[-1], np.uint32)
            gather(self.codes, self.offsets, np.ascontiguousarray(rows, np.int64), codes)
            return Texts(codes, offsets)
        # Position in `codes` of every character: its text's start there, less the start here, plus its place here.
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Texts(self.codes[shift + np.arange(offsets[-1], dtype=np.int64)], offsets)

    @staticmethod
    def of(texts: Sequence[str]) -> Texts:
        """Return strings as code points.

        Raises:
            UnicodeEncodeError: if one holds half of a surrogate pair, which is no text.
        """
        return Texts.from_arrow(pa.array(texts, pa.large_string()))

    @staticmethod
    def from_arrow(column: pa.Array | pa.ChunkedArray) -> Texts:
        """Return a string column as code points; a null is an empty text."""
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        # Bytes may lie under a null.
        parts = [
            (chunk.fill_null("") if chunk.null_count else chunk).cast(pa.large_string())
            for chunk in chunks
            if len(chunk)
        ]
        if compiled():
            return _decoded(parts)
        offsets = np.zeros(sum(map(len, parts)) + 1, np.int64)
        sizes = [np.asarray(pc.utf8_length(part), np.int64) for part in parts]
        np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes]), out=offsets[1:])
        return Texts(np.concatenate([np.zeros(0, np.uint32), *map(_by_python, parts)]), offsets)


def _edges(part: pa.Array) -> npt.NDArray[np.int64]:
    """Return int64[n + 1]: where each text of a large_string array begins and ends in its data."""
    return np.frombuffer(part.buffers()[1], np.int64, count=len(part) + 1, offset=8 * part.offset)


def _decoded(parts: list[pa.Array]) -> Texts:
    lengths = np.zeros(sum(map(len, parts)) + 1, np.int64)
    codes = np.empty(sum(int(edges[-1] - edges[0]) for edges in map(_edges, parts)), np.uint32)
    row = filled = 0
    for part in parts:
        data = part.buffers()[2]
        raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        filled = decode(raw, _edges(part), codes, filled, lengths[row + 1 : row + 1 + len(part)])
        row += len(part)
    return Texts(codes[:filled], np.cumsum(lengths, dtype=np.int64))


def _by_python(part: pa.Array) -> npt.NDArray[np.uint32]:
    edges, data = _edges(part), part.buffers()[2]
    raw = memoryview(data)[edges[0] : edges[-1]] if data is not None else memoryview(b"")
    return np.frombuffer(str(raw, "utf-8").encode("utf-32-le"), np.uint32)
