"""Sums that prove a corpus whole, and files that are whole once they have their name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.corpus.ledger import TableWriter, Tally, Totals
from watari.corpus.samples import TextHeads, sampled

COUNTS = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 2**64 - 1), st.sampled_from(["a", "b", None])), max_size=15
)


def table(rows: list[tuple[int, int, str | None]]) -> pa.Table:
    return pa.table(
        {
            "characters": pa.array([count for count, _, _ in rows], pa.int64()),
            "bytes": pa.array([3 * count for count, _, _ in rows], pa.int64()),
            "raw_hash": pa.array([number for _, number, _ in rows], pa.uint64()),
            "reason": pa.array([name for _, _, name in rows], pa.string()),
        }
    )


@given(COUNTS, st.integers(0, 15))
def test_sums_do_not_depend_on_how_rows_are_parted(rows, cut: int) -> None:  # type: ignore[no-untyped-def]
    whole, parts, tally = Totals(), Totals(), Tally()
    whole.add(table(rows))
    for part in (rows[:cut], rows[cut:]):
        counted = Totals()
        counted.add(table(part))
        parts.merge(Totals.read(counted.plain()))
        by = Tally()
        by.add(table(part), "reason")
        tally.merge(Tally.read(by.plain()))
    assert whole == parts
    assert whole.hash_sum == sum(number for _, number, _ in rows) % 2**64
    again = Totals()
    for totals in tally.by.values():
        again.merge(totals)
    assert again == whole
    assert set(tally.by) == {name or "und" for _, _, name in rows}


def test_a_row_counted_twice_is_seen() -> None:
    """An exclusive or of the hashes would lose a pair of equal rows; a sum does not."""
    once, twice = Totals(), Totals()
    once.add(table([(1, 77, "a")]))
    twice.add(table([(1, 77, "a")] * 3))
    assert once.hash_sum != twice.hash_sum


def test_row_groups_do_not_follow_the_batches(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    for name, sizes in (("x", [7, 1, 0, 12]), ("y", [5] * 4)):
        done = 0
        with TableWriter(tmp_path / name, schema, rows=5) as writer:
            for size in sizes:
                writer.write(pa.table({"a": pa.array(range(done, done + size), pa.int64())}))
                done += size
    read = [pq.read_table(tmp_path / name) for name in "xy"]
    assert read[0] == read[1]
    assert read[0].column("b").null_count == 20


def test_what_is_not_whole_has_no_name(tmp_path: Path) -> None:
    def broken_off() -> None:
        with TableWriter(tmp_path / "t.parquet", pa.schema([("a", pa.int64())])) as writer:
            writer.write(pa.table({"a": pa.array([1], pa.int64())}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert list(tmp_path.iterdir()) == []


def test_examples_are_a_draw_and_not_the_first() -> None:
    rows = pa.table(
        {
            "key": [f"{i:032x}" for i in range(300)],
            "id": [str(i) if i % 2 else None for i in range(300)],
            "reason": ["short" if i % 3 else "long" for i in range(300)],
            "text": pa.array([None if i == 7 else f"text {i} " * 400 for i in range(300)], pa.large_string()),
        }
    )
    found = []
    for order in (range(300), range(299, -1, -1)):
        texts = TextHeads(10, seed=3, by="reason")
        for start in range(0, 300, 50):
            texts.add(rows.take(pa.array(list(order)[start : start + 50])))
        found.append(texts.table().to_pylist())
    assert found[0] == found[1]
    assert [row["group"] for row in found[0]] == ["long"] * 10 + ["short"] * 10
    assert all(len(row["text"]) <= 2000 for row in found[0])
    assert all(row["id"] == (str(n) if (n := int(row["key"], 16)) % 2 else None) for row in found[0])
    assert {row["key"] for row in found[0]} != {f"{i:032x}" for i in range(20)}


def test_a_sample_is_about_as_large_as_asked() -> None:
    rows = pa.table({"key": [f"{i:032x}" for i in range(4000)]})
    assert 300 < len(sampled(rows, 0.1, 0)) < 500
    assert sampled(rows, 0.1, 0).tolist() != sampled(rows, 0.1, 1).tolist()
    assert len(sampled(rows, 1.0, 0)) == 4000
    assert len(sampled(rows, 0.0, 0)) == 0
