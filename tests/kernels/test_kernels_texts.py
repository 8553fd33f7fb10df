"""Texts as code points: nothing is lost on the way, whatever the text and however the column lies in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.errors import UserError
from watari.kernels.jit import compiled
from watari.kernels.texts import Texts

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(ANY_TEXT | st.none(), max_size=12), st.integers(0, 5), st.booleans())
def test_a_column_comes_back_as_it_was(values: list[str | None], skip: int, large: bool) -> None:
    column = pa.array(values, pa.large_string() if large else pa.string()).slice(skip)
    texts = Texts.from_arrow(column)
    expected = [value or "" for value in values[skip:]]
    assert [texts[i] for i in range(len(texts))] == expected
    assert texts.lengths.tolist() == [len(value) for value in expected]
    assert texts.codes.dtype == np.uint32


@given(st.lists(ANY_TEXT, min_size=1, max_size=8), st.data())
def test_rows_are_taken_in_any_order(values: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=8))
    taken = Texts.of(values).take(np.array(rows, np.int64))
    assert [taken[i] for i in range(len(taken))] == [values[row] for row in rows]


def test_chunks_are_one_column() -> None:
    texts = Texts.from_arrow(pa.chunked_array([["渡り"], [], ["𠮷", None]], pa.string()))
    assert [texts[i] for i in range(len(texts))] == ["渡り", "𠮷", ""]
    assert len(Texts.from_arrow(pa.chunked_array([], pa.string()))) == 0


def test_half_a_character_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Texts.of(["\ud800"])


def test_which_kernels_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    assert not compiled()
    monkeypatch.setenv("WATARI_KERNELS", "cuda")
    with pytest.raises(UserError, match="WATARI_KERNELS=cuda"):
        compiled()
