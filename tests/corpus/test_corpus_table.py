"""The working table: verdicts fall on the rows they are meant for, and on no other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watari.corpus.table import VERDICT, dropped, parted, undecided, with_column


def table(size: int) -> pa.Table:
    return undecided(pa.table({"key": [f"{i:032x}" for i in range(size)]}))


@given(st.integers(0, 12), st.data())
def test_a_verdict_falls_on_its_row(size: int, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(size))) if size else []
    rows = rows[: data.draw(st.integers(0, size))]
    judged = dropped(
        table(size),
        np.array(rows, np.int64),
        [f"reason {row}" for row in rows],
        value=np.array(rows, np.float64) / 2,
        threshold=0.5,
        detail=[str(row) for row in rows],
    )
    for number, row in enumerate(judged.to_pylist()):
        if number in rows:
            assert (row["reason"], row["value"], row["threshold"]) == (f"reason {number}", number / 2, 0.5)
            assert row["detail"] == str(number)
        else:
            assert all(row[name] is None for name in VERDICT.names)
    kept, gone = parted(judged)
    assert kept.num_rows + gone.num_rows == size
    assert gone.num_rows == len(rows)


def test_a_later_verdict_leaves_the_earlier_ones() -> None:
    first = dropped(table(3), np.array([1]), "too short", value=np.array([3.0]), threshold=5)
    both = dropped(first, np.array([2]), "near duplicate", survivor=["00"])
    assert both.column("reason").to_pylist() == [None, "too short", "near duplicate"]
    assert both.column("value").to_pylist() == [None, 3.0, None]
    assert both.column("survivor").to_pylist() == [None, None, "00"]


def test_a_column_keeps_its_place_and_type() -> None:
    before = pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"]})
    after = with_column(before, "a", [3, 4])
    assert after.schema == before.schema
    assert after.column("a").to_pylist() == [3, 4]
