"""A column of texts as one array of code points, which is what the kernels work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa


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
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
        if array.null_count:
            array = array.fill_null("")
        array = array.cast(pa.large_string())
        if len(array) == 0:
            return Texts(np.zeros(0, np.uint32), np.zeros(1, np.int64))
        _, ends, data = array.buffers()
        ends = np.frombuffer(ends, np.int64, count=len(array) + 1, offset=8 * array.offset)
        start, stop = int(ends[0]), int(ends[-1])
        raw = data.to_pybytes()[start:stop] if data is not None and stop > start else b""
        codes = np.frombuffer(raw.decode("utf-8").encode("utf-32-le"), np.uint32)
        # A character starts at every byte that does not continue one.
        starts = np.zeros(len(raw) + 1, np.int64)
        np.cumsum((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80, out=starts[1:])
        return Texts(codes, starts[ends - start])
