"""Code points, compiled: from UTF-8 (five times as fast as by way of a Python string), and some texts of many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import jit


@jit
def decode(
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
                code = np.uint32((code & 0x1F) << 6 | np.uint32(raw[place + 1]) & 0x3F)
                place += 2
            elif code < 0xF0:
                code = np.uint32(
                    (code & 0x0F) << 12
                    | (np.uint32(raw[place + 1]) & 0x3F) << 6
                    | np.uint32(raw[place + 2]) & 0x3F
                )
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


@jit
def gather(
    codes: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint32],
) -> None:
    """Write the texts at `rows` back to back into `out`."""
    filled = 0
    for row in rows:
        for place in range(offsets[row], offsets[row + 1]):
            out[filled] = codes[place]
            filled += 1
