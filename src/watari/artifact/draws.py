"""Seeded draws keyed by (seed, stage, id), never by order or worker (DESIGN law 8).

The same row gets the same draw whatever stands before it in a file, however many workers there are, and
whether or not the run was interrupted in between.
"""

from __future__ import annotations

import numpy as np
import xxhash


def draw_uint64(seed: int, stage: str, row_id: str) -> int:
    """Return a uniform integer in [0, 2**64) for this row in this stage."""
    return int(xxhash.xxh3_64_intdigest(f"{seed}\x1f{stage}\x1f{row_id}".encode()))


def draw_uniform(seed: int, stage: str, row_id: str) -> float:
    """Return a uniform float in [0, 1), with 53 random bits."""
    return (draw_uint64(seed, stage, row_id) >> 11) * 2.0**-53


def generator(seed: int, stage: str, row_id: str = "") -> np.random.Generator:
    """Return a NumPy generator (PCG64) for many draws that belong to one row, or to one stage as a whole."""
    return np.random.Generator(np.random.PCG64(draw_uint64(seed, stage, row_id)))


def shuffled(ids: list[str], seed: int, stage: str) -> list[int]:
    """Return the positions of `ids` in a seeded order that depends on the ids alone, not on their order.

    Ties (the same id twice) keep their given order, so that the result is always a permutation.
    """
    keys = [(draw_uint64(seed, stage, row_id), row_id, position) for position, row_id in enumerate(ids)]
    return [position for _, _, position in sorted(keys)]
