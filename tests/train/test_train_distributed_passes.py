"""A step's rows are split into as many passes as the ranks can share evenly, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.train.batches import Sample, passes
from watari.train.distributed.world import World


def row(number: int, length: int) -> list[Sample]:
    return [Sample(str(number), np.full(length, number, np.int32), np.ones(length, np.bool_))]


@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=24),
    limit=st.integers(1, 200),
    together=st.sampled_from([1, 2]),
    ranks=st.integers(1, 5),
)
def test_every_row_once_and_a_multiple_of_the_ranks(
    lengths: list[int], limit: int, together: int, ranks: int
) -> None:
    rows = [row(number, length) for number, length in enumerate(lengths * together)]
    split = passes(rows, limit, together=together, ranks=ranks)
    alone = passes(rows, limit, together=together)
    given = [int(r[0].id) for part in split for r in part]
    assert sorted(given) == list(range(len(rows)))
    # Those that belong together stay so.
    for start in range(0, len(given), together):
        assert given[start] % together == 0
        assert given[start : start + together] == list(range(given[start], given[start] + together))
    # As many as divide evenly, unless every pass is one unit already.
    assert len(split) % ranks == 0 or all(len(part) == together for part in split)
    assert len(alone) <= len(split) < len(alone) + ranks
    for part in split:
        widest = max(len(r[0]) for r in part)
        assert len(part) == together or len(part) * widest <= limit


def test_the_largest_are_halved_where_they_stand() -> None:
    rows = [row(number, length) for number, length in enumerate([8, 8, 8, 8, 2, 2, 2, 2])]
    shapes = [[len(r[0]) for r in part] for part in passes(rows, 32, ranks=3)]
    assert shapes == [[8, 8], [8, 8], [2, 2, 2, 2]]
    assert [len(part) for part in passes(rows, 1000, ranks=2)] == [4, 4]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_ranks_share_all_of_them(count: int) -> None:
    batches = list(range(count))
    shares = [World(rank, 4).share(batches) for rank in range(4)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(batch for share in shares for batch in share if batch is not None) == batches
    # A round is one of neighbours; only the last may leave some with nothing.
    for number in range(len(shares[0])):
        got = [share[number] for share in shares]
        assert got == [4 * number + rank if 4 * number + rank < count else None for rank in range(4)]
