"""Best-fit packing: documents into windows of a fixed number of tokens, so that few of them are cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.corpus.pack_index import Pieces
from watari.kernels.jit import compiled, jit


@dataclass(frozen=True)
class Windows:
    """Pieces in the order of their windows.

    Args:
        pieces: All of them.
        bounds: int64[windows + 1], the first piece of each window, and their number.
        cut: Documents (copies counted) that did not fit into a window whole.
    """

    pieces: Pieces
    bounds: npt.NDArray[np.int64]
    cut: int


def best_fit(pieces: Pieces, capacity: int) -> Windows:
    """Pack documents into windows of at most `capacity` tokens by best-fit decreasing.

    A document of more tokens is cut into parts of `capacity`, and only the last part shares its window. Each piece, the
    longest first, goes into the fullest window that still holds it (Ding et al. 2024, arXiv:2404.10830; Johnson 1973:
    at most 11/9 of the fewest windows possible, plus 4). Pieces of equal length go in the order given; windows come in
    the order in which their longest pieces were given, pieces within a window as they were given.
    """
    parts = np.maximum(-(-pieces.size // capacity), 1)
    owner = np.repeat(np.arange(len(pieces)), parts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    start = number * capacity
    cut = Pieces(
        pieces.document[owner],
        pieces.copy[owner],
        start,
        np.minimum(pieces.size[owner] - start, capacity),
        number.astype(np.int32),
        parts[owner].astype(np.int32),
    )
    longest_first = np.argsort(-cut.size, kind="stable")
    window = np.empty(len(cut), np.int64)
    window[longest_first] = _fitted(cut.size[longest_first], capacity)
    # Windows were numbered as they were opened, longest piece first: put them back in the order given.
    opener = np.full(int(window.max(initial=-1)) + 1, len(cut), np.int64)
    _, first = np.unique(window[longest_first], return_index=True)
    opener[:] = longest_first[first]
    place = np.empty(len(opener), np.int64)
    place[np.argsort(opener, kind="stable")] = np.arange(len(opener))
    order = np.argsort(place[window], kind="stable")
    counts = np.bincount(window, minlength=len(opener))[np.argsort(opener, kind="stable")]
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Windows(cut.take(order), bounds, int((parts > 1).sum()))


def _fitted(sizes: npt.NDArray[np.int64], capacity: int) -> npt.NDArray[np.int64]:
    """Return int64[n]: the window of each piece; `sizes` falls, and none is above `capacity`.

    Of several windows with the same room, the one that came to have it last is taken.
    """
    if compiled():
        window = np.empty(len(sizes), np.int64)
        newest = np.full(capacity + 1, -1, np.int64)
        _fit(sizes, newest, np.empty(len(sizes), np.int64), np.zeros(capacity // 64 + 1, np.int64), window)
        return window
    # Bit `room` says that there are windows with that many tokens to spare; waiting[room] lists them.
    open_rooms, opened = 0, 0
    waiting: list[list[int]] = [[] for _ in range(capacity + 1)]
    found = []
    for need in sizes.tolist():
        enough = open_rooms >> need
        if enough:
            room = need + (enough & -enough).bit_length() - 1
            place = waiting[room].pop()
            if not waiting[room]:
                open_rooms &= ~(1 << room)
        else:
            room, place = capacity, opened
            opened += 1
        found.append(place)
        waiting[room - need].append(place)
        open_rooms |= 1 << (room - need)
    return np.array(found, np.int64)


@jit
def _fit(
    sizes: npt.NDArray[np.int64],
    newest: npt.NDArray[np.int64],
    below: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    window: npt.NDArray[np.int64],
) -> None:
    """Fill `window`. Windows of a room are a stack: `newest` of it, and `below` each the one before; -1 ends it.

    `numbers` counts the windows of each 64 rooms, so that empty stretches are passed over.
    """
    capacity = len(newest) - 1
    opened = 0
    for piece in range(len(sizes)):
        need = sizes[piece]
        room = need
        while room <= capacity and newest[room] < 0:
            room += 1
            while room <= capacity and room % 64 == 0 and numbers[room // 64] == 0:
                room += 64
        if room <= capacity:
            place = newest[room]
            newest[room] = below[place]
            numbers[room // 64] -= 1
        else:
            room = capacity
            place = opened
            opened += 1
        window[piece] = place
        rest = room - need
        below[place] = newest[rest]
        newest[rest] = place
        numbers[rest // 64] += 1
