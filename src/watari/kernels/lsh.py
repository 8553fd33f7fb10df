"""Locality-sensitive hashing of MinHash signatures: texts that agree in all words of a band meet in a bucket.

With b bands of r words, two texts of Jaccard similarity J meet with probability 1 - (1 - J**r)**b (Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, §3.4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Words64 = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Similar = Callable[[Places, Places], npt.NDArray[np.bool_]]
"""Whether the members at the places left[i] and right[i] are similar."""

EVERY_PAIR = 16
"""Members of a bucket up to which each is compared with each."""

LEADERS = 64
"""Representatives of a larger bucket with which its members are compared: its cost is linear in its size."""


def band_keys(signature: npt.NDArray[np.uint32], bands: int, rows: int) -> Words64:
    """Return uint64[bands, n]: a hash of each band of each signature (uint32[n, bands * rows])."""
    keys = np.zeros((bands, len(signature)), np.uint64)
    for band in range(bands):
        mixed = keys[band]
        for word in range(band * rows, (band + 1) * rows):
            mixed ^= signature[:, word].astype(np.uint64)
            mixed *= np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        mixed ^= mixed >> np.uint64(29)
    return keys


def pairs(buckets: Words64, similar: Similar) -> tuple[Places, Places]:
    """Return the similar pairs of members of the same bucket, as two arrays of places, the earlier one first.

    In a bucket of up to `EVERY_PAIR` members each is compared with each. In a larger one its first member
    leads: those that are similar to it are paired with it, the first of the others leads next, and so on for
    `LEADERS` rounds. So no bucket costs the square of its size; what a huge one may lose are pairs of its
    less common kinds.

    Args:
        buckets: The bucket of each member; members of one bucket lie side by side, in an order that is
            theirs.
        similar: Asked for many pairs at a time.
    """
    starts = (
        np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
        if len(buckets)
        else np.zeros(0, int)
    )
    sizes = np.diff(np.concatenate([starts, [len(buckets)]]))
    lefts, rights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in range(2, EVERY_PAIR + 1):
        first = starts[sizes == size]
        if len(first):
            one, other = np.triu_indices(size, 1)
            lefts.append((first[:, None] + one).ravel())
            rights.append((first[:, None] + other).ravel())
    left, right = np.concatenate(lefts), np.concatenate(rights)
    met = similar(left, right)
    large = sizes > EVERY_PAIR
    places = np.repeat(starts[large], sizes[large]) + _counted(sizes[large])
    followers, leaders, _ = led(places, np.repeat(np.flatnonzero(large), sizes[large]), similar, LEADERS)
    return np.concatenate([left[met], leaders]), np.concatenate([right[met], followers])


def led(places: Places, groups: Places, similar: Similar, rounds: int) -> tuple[Places, Places, Places]:
    """Let the first member of each group lead those similar to it, then the first of the others, and so on.

    Args:
        places: The members, group by group, in the order in which they may lead.
        groups: The group of each.
        similar: Asked with (members, their leaders).
        rounds: Leaders of a group at most; members left over after that follow nobody.

    Returns:
        (followers, the leader of each, leaders and members left over).
    """
    followers, leaders, alone = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
    for _ in range(rounds):
        if not len(places):
            break
        first = np.concatenate([[True], groups[1:] != groups[:-1]])
        heads = places[first]
        alone.append(heads)
        ahead = heads[np.cumsum(first) - 1][~first]
        places, groups = places[~first], groups[~first]
        met = similar(places, ahead)
        followers.append(places[met])
        leaders.append(ahead[met])
        places, groups = places[~met], groups[~met]
    return np.concatenate(followers), np.concatenate(leaders), np.concatenate([*alone, places])


def _counted(sizes: Places) -> Places:
    """Return 0, 1, …, size - 1 for each size, one after the other."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0, dtype=np.int64) - np.repeat(ends - sizes, sizes)
