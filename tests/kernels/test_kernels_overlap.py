"""The folded form of texts, and the search for n-grams and whole sentences in it, against naive Python."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.kernels.fold import BOUNDARY, CODE, WIDE, Folded, fold, fold_table, kept_places, units
from watari.kernels.overlap import (
    GramSet,
    HashSet,
    Hits,
    find_grams,
    find_whole,
    gram_hashes,
    stride_of,
    whole_hashes,
)

Made = TypeVar("Made")

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# Few characters, so that n-grams repeat; marks, width and boundaries among them.
JAPANESE = st.text(st.sampled_from("かガﾞﾞ゛゚\u3099\u309aﾊｶ。、\n aAＡ1１漢「」𠮷é"), max_size=60)
TEXTS = st.lists(st.one_of(ANY_TEXT, JAPANESE), max_size=8)


def by_numpy(make: Callable[[], Made]) -> Made:
    before = os.environ.get("WATARI_KERNELS")
    os.environ["WATARI_KERNELS"] = "numpy"
    try:
        return make()
    finally:
        if before is None:
            del os.environ["WATARI_KERNELS"]
        else:
            os.environ["WATARI_KERNELS"] = before


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def text_of(folded: Folded, row: int) -> str:
    return "".join(chr(code & CODE) for code in folded.row(row).tolist())


def folded_text(text: str) -> str:
    return text_of(fold(column([text])), 0)


def grams(texts: list[str], n: int) -> GramSet:
    form = fold(column(texts))
    inner = gram_hashes(form, n - stride_of(n) + 1)[0]
    return GramSet(n, HashSet.of(gram_hashes(form, n)[0]), HashSet.of(inner))


def places(hits: Hits) -> list[tuple[int, int, int]]:
    return list(zip(hits.rows.tolist(), hits.starts.tolist(), hits.lengths.tolist(), strict=True))


def same(ours: Hits, other: Hits) -> bool:
    return all(
        np.array_equal(getattr(ours, name), getattr(other, name))
        for name in ("rows", "starts", "lengths", "slots")
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("がっこう　パン", "がっこうパン"),
        ("ｶﾞｯｺｳ、ﾊﾟﾝ！", "ガッコウパン"),
        (unicodedata.normalize("NFD", "がっこうパン"), "がっこうパン"),
        ("か゛あﾞ", "があ"),
        ("「ＡＢＣ　abc」（１２③）", "abcabc123"),
        ("サーバー・々〆ヶ", "サーバー々〆ヶ"),
        ("1,000円+2=3$", "1000円23"),
        ("ÉCOLE Straße ﬁ ㈱", "écolestraßeﬁ"),
        ("𠮷野家😀\u200b\ufeff葛󠄀", "𠮷野家葛"),
        ("", ""),
        ("。、!? \n", ""),
    ],
)
def test_fold_keeps_letters_and_kana_whole(text: str, wanted: str):
    assert folded_text(text) == wanted
    assert by_numpy(lambda: folded_text(text)) == wanted


def test_kana_with_and_without_dakuten_stay_apart():
    assert folded_text("がっこう") != folded_text("かっこう")
    assert folded_text("パン") != folded_text("ハン") != folded_text("バン")


def test_flags_say_width_and_boundaries():
    codes = fold(column(["彼は、A「はい」と言う。\nそう"])).row(0)
    text = "".join(chr(code & CODE) for code in codes.tolist())
    assert text == "彼はaはいと言うそう"
    assert [text[i] for i, code in enumerate(codes.tolist()) if code & BOUNDARY] == ["彼", "は", "と", "そ"]
    assert [text[i] for i, code in enumerate(codes.tolist()) if not code & WIDE] == ["a"]
    assert units(codes).tolist() == [3, 3, 1, *[3] * 7]
    # A half-width kana is as wide as the kana that it becomes.
    assert fold(column(["ｶ"])).codes[0] & WIDE


def test_every_code_point_folds_to_itself_or_to_a_fixed_point():
    table = fold_table()
    base = table & np.uint32(CODE)
    kept = np.flatnonzero(base)
    again = table[base[kept]]
    assert np.array_equal(again & np.uint32(CODE), base[kept])
    assert np.array_equal(again & np.uint32(WIDE), table[kept] & np.uint32(WIDE))


@given(TEXTS)
@settings(max_examples=150)
def test_numba_and_numpy_fold_to_the_same_bytes_and_places_map_back(texts: list[str]):
    ours = fold(column(texts))
    other = by_numpy(lambda: fold(column(texts)))
    assert np.array_equal(ours.codes, other.codes)
    assert np.array_equal(ours.offsets, other.offsets)
    assert len(ours) == len(texts)
    for row, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        assert len(kept_places(codes)) == len(ours.row(row))
        # Cut out and folded anew, a text is what it was, but for boundaries in it.
        assert folded_text(text_of(ours, row)) == text_of(ours, row)


def test_a_column_may_hold_nulls_chunks_and_slices():
    array = pa.array(["x", None, "かな。", "", "y"], pa.string())
    chunked = pa.chunked_array([array.slice(1, 2), array.slice(0, 0), array.slice(3)])
    for form in (fold(chunked), by_numpy(lambda: fold(chunked))):
        assert [text_of(form, row) for row in range(len(form))] == ["", "かな", "", "y"]
    assert len(fold(pa.chunked_array([], pa.large_string()))) == 0


@given(TEXTS, TEXTS, st.integers(2, 6))
@settings(max_examples=150)
def test_grams_are_found_where_naive_search_finds_them(texts: list[str], items: list[str], n: int):
    # Some of the texts hold a piece of an item, so that there is something to find.
    texts = [*texts, *("か" + item[1:] + "漢" for item in items), *items[:1]]
    wanted = grams(items, n)
    form = fold(column(texts))
    item_grams = {folded[i : i + n] for folded in map(folded_text, items) for i in range(len(folded) - n + 1)}
    naive = [
        (row, start, n)
        for row in range(len(texts))
        for start in range(len(text_of(form, row)) - n + 1)
        if text_of(form, row)[start : start + n] in item_grams
    ]
    hits = find_grams(form, wanted)
    assert places(hits) == naive
    assert same(hits, by_numpy(lambda: find_grams(form, wanted)))


@given(TEXTS, TEXTS, st.integers(1, 5), st.integers(5, 12))
@settings(max_examples=150)
def test_whole_texts_are_found_between_boundaries_only(
    texts: list[str], items: list[str], shortest: int, longest: int
):
    texts = [*texts, *(f"漢。{item}\nか" for item in items), *(f"漢{item}" for item in items)]
    items = [item for item in items if shortest <= len(folded_text(item)) <= longest]
    wanted = HashSet.of(whole_hashes(fold(column(items))))
    form = fold(column(texts))
    known = set(map(folded_text, items))
    naive = []
    for row in range(len(texts)):
        codes, text = form.row(row), text_of(form, row)
        edges = [*np.flatnonzero(codes & np.uint32(BOUNDARY)).tolist(), len(text)]
        naive += [
            (row, start, stop - start)
            for start in edges[:-1]
            for stop in edges
            if shortest <= stop - start <= longest and text[start:stop] in known
        ]
    hits = find_whole(form, shortest, longest, wanted)
    assert places(hits) == naive
    assert same(hits, by_numpy(lambda: find_whole(form, shortest, longest, wanted)))


def test_many_hits_outgrow_the_first_guess():
    text = "".join(chr(0x4E00 + i) for i in range(9000))
    form = fold(column([text] * 3))
    wanted = grams([text], 20)
    hits = find_grams(form, wanted)
    assert len(hits) == 3 * (9000 - 19)
    assert same(hits, by_numpy(lambda: find_grams(form, wanted)))
    lines = fold(column(["かなかな\n" * 5000]))
    whole = HashSet.of(whole_hashes(fold(column(["かなかな"]))))
    assert len(find_whole(lines, 4, 4, whole)) == 5000
    assert same(find_whole(lines, 4, 4, whole), by_numpy(lambda: find_whole(lines, 4, 4, whole)))


def test_an_empty_set_finds_nothing():
    form = fold(column(["かな", ""]))
    assert len(find_grams(form, grams([], 20))) == 0
    assert len(find_whole(form, 1, 5, HashSet.of(np.zeros(0, np.uint64)))) == 0
