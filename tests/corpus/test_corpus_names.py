"""Names of documents: each row's own, and an id that is given twice stays with one row whatever the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from watari.corpus.names import KEY, Repeated, id_hashes, joined, keys_of

ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from(["a", "b", "c", "d~00000000"]), st.integers(0, 2**128 - 1)),
    max_size=20,
    unique_by=lambda row: row[1],
)


def repeated(rows: list[tuple[str | None, int]]) -> Repeated:
    given_rows = [(name, f"{key:032x}") for name, key in rows if name is not None]
    keys = keys_of(pa.array([key for _, key in given_rows], pa.string()))
    return Repeated.of(id_hashes([name for name, _ in given_rows]), keys)


@given(ROWS, st.randoms(use_true_random=False))
def test_one_row_keeps_the_id_and_the_others_are_told_apart(rows, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = rows[:]
    random.shuffle(shuffled)
    found, again = repeated(rows), repeated(shuffled)
    names = {key: found.name(name, f"{key:032x}") for name, key in rows}
    assert names == {key: again.name(name, f"{key:032x}") for name, key in rows}
    for name in {name for name, _ in rows if name is not None}:
        keys = [key for row_id, key in rows if row_id == name]
        assert names[min(keys)] == name
        assert all(names[key] == f"{name}~{key:032x}"[: len(name) + 9] for key in keys if key != min(keys))
    for name, key in rows:
        if name is None:
            assert names[key] == f"{key:032x}"


def test_it_is_read_back_as_written(tmp_path: Path) -> None:
    found = repeated([("a", 5), ("a", 3), ("b", 1), (None, 2)])
    found.save(tmp_path / "repeated.npz")
    again = Repeated.load(tmp_path / "repeated.npz")
    assert again.hashes.tolist() == found.hashes.tolist()
    assert again.keys.tobytes().hex() == f"{3:032x}"
    table = pa.table({"id": ["a", "a", "b", None], "key": [f"{key:032x}" for key in (5, 3, 1, 2)]})
    assert again.names(table) == [f"a~{5:032x}"[:10], "a", "b", f"{2:032x}"]


def test_keys_sort_as_their_digits_do() -> None:
    digits = [f"{value:032x}" for value in (2**64, 1, 2**127, 2**63, 2**64 - 1)]
    keys = keys_of(pa.array(digits))
    order = np.lexsort((keys["low"], keys["high"]))
    assert [digits[i] for i in order] == sorted(digits)
    assert keys.dtype == KEY
    whole = joined([keys[:2], keys[2:2], keys[2:]])
    assert whole.dtype == KEY
    assert whole.tobytes() == keys.tobytes()
