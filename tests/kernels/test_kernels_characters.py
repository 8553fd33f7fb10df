"""Counting by class, sentences and n-grams, each beside a few lines of Python, for numba and for numpy."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.kernels import ngrams, sentences
from watari.kernels.classes import class_counts, class_table
from watari.kernels.ngrams import most_frequent_bound, ngram_bounds, ngram_figures
from watari.kernels.sentences import WHITESPACE, repetition, sentence_figures
from watari.kernels.texts import Texts

BOTH = ["numba", "numpy"]
FEW = st.text(st.sampled_from("ab\u3099𠮷\n。"), max_size=40)
TEXTS = st.lists(st.one_of(FEW, st.text(max_size=30)), max_size=6)


def under(kernels: str) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    if kernels == "numpy":
        patch.setenv("WATARI_KERNELS", "numpy")
    return patch


def grams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))


def expected_figures(text: str, n: int) -> tuple[int, int, int]:
    counted = grams(text, n)
    return max(counted.values(), default=0), len(counted), sum(count > 1 for count in counted.values())


@pytest.mark.parametrize("kernels", BOTH)
@given(TEXTS, st.integers(1, 7), st.integers(0, 5), st.randoms())
def test_ngrams_are_counted_exactly(
    kernels: str, texts: list[str], first: int, more: int, draws: object
) -> None:
    rows = np.array([number for number in range(len(texts)) if draws.random() < 0.8][::-1], np.int64)
    lowest = np.array([first + draws.randrange(more + 1) for _ in rows], np.int64)
    highest = np.full(len(rows), first + more)
    patch = under(kernels)
    try:
        figures = ngram_figures(Texts.of(texts), rows, lowest, highest)
    finally:
        patch.undo()
    for number, row in enumerate(rows.tolist()):
        for n in range(1, first + more + 1):
            found = (figures.most[number, n], figures.distinct[number, n], figures.repeated[number, n])
            asked = lowest[number] <= n and len(texts[row]) >= n
            assert found == (expected_figures(texts[row], n) if asked else (0, 0, 0))


@pytest.mark.parametrize("kernels", BOTH)
def test_ngrams_over_more_characters_than_a_key_holds(kernels: str) -> None:
    # Five numbers of 13 bits do not fit into 64; of the same text with 4,000 characters five of 12 do.
    texts = []
    for distinct in (4000, 5000, 70000):
        draws = np.random.default_rng(distinct)
        codes = 0x20000 + np.concatenate([np.arange(distinct) % 60000, draws.integers(0, 40, 3000)])
        text = "".join(map(chr, codes.tolist()))
        texts.append(text + text[100:900] + text[-500:])
    patch = under(kernels)
    try:
        rows = np.arange(len(texts))
        figures = ngram_figures(Texts.of(texts), rows, np.full(3, 5), np.full(3, 8))
    finally:
        patch.undo()
    for row, text in enumerate(texts):
        for n in range(5, 9):
            found = (figures.most[row, n], figures.distinct[row, n], figures.repeated[row, n])
            assert found == expected_figures(text, n)


@pytest.mark.parametrize("kernels", BOTH)
@given(TEXTS, st.integers(1, 8))
def test_bounds_hold(kernels: str, texts: list[str], n: int) -> None:
    patch = under(kernels)
    try:
        column = Texts.of(texts)
        most = most_frequent_bound(column)
        bounds = ngram_bounds(column, np.arange(len(texts)), n)
    finally:
        patch.undo()
    for row, text in enumerate(texts):
        counted = grams(text, n)
        assert most[row] >= max(counted.values(), default=0)
        assert bounds.distinct[row] <= len(counted)
        assert bounds.again[row] >= sum(count for count in counted.values() if count > 1)
        assert bounds.again[row] <= max(0, len(text) - n + 1)


def test_numpy_counts_ngrams_exactly_where_hashes_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    monkeypatch.setattr(
        ngrams, "_hashed", lambda codes, n: (codes[: max(0, len(codes) - n + 1)] % 3).astype(np.uint64)
    )
    text = "abcabdabcabeabcf" * 3 + "xyz"
    figures = ngram_figures(Texts.of([text]), np.array([0]), np.array([3]), np.array([6]))
    for n in range(3, 7):
        assert (figures.most[0, n], figures.distinct[0, n], figures.repeated[0, n]) == expected_figures(
            text, n
        )


def test_numpy_compares_sentences_where_hashes_are_equal() -> None:
    texts = ["ab。cd。ab。ef。cd。cd。", "ab。cd。", "ab。"]
    codes = Texts.of(texts).codes
    starts = np.arange(0, len(codes), 3)
    rows = np.array([0] * 6 + [1] * 2 + [2])
    again = sentences._again(codes, starts, np.full(9, 3), rows, np.zeros(9, np.uint64))
    assert again.tolist() == [False, False, True, False, True, True, False, False, False]


def test_white_space_is_what_strip_takes_off() -> None:
    known = {code for first, last in WHITESPACE for code in range(first, last + 1)}
    assert known == {code for code in range(sys.maxunicode + 1) if not chr(code).strip()}


@pytest.mark.parametrize("kernels", BOTH)
@given(st.lists(st.text(st.sampled_from("ab .!\n\u3000…"), max_size=30), max_size=5))
def test_sentences_of_other_terminators(kernels: str, texts: list[str]) -> None:
    marks, dots = ((ord("!"), ord("!")), (ord("."), ord("."))), ((ord("…"), ord("…")),)
    patch = under(kernels)
    try:
        figures = sentence_figures(Texts.of(texts), marks, dots)
        said = repetition(Texts.of(texts), marks)
    finally:
        patch.undo()
    for row, text in enumerate(texts):
        lines = []
        for line in text.split("\n"):
            cut, current = [], ""
            for mark in line:
                if mark in ".!":
                    if current:
                        cut.append(current + mark)
                    current = ""
                else:
                    current += mark
            lines.append([*cut, current] if current else cut)
        spans = [span for line in lines for span in line]
        assert figures.sentences[row] == said.sentences.spans[row] == len(spans)
        assert figures.characters[row] == said.sentences.characters[row] == sum(map(len, spans))
        assert figures.longest[row] == max(map(len, spans), default=0)
        assert figures.ending[row] == sum(span.strip().endswith("…") for span in spans)
        for found, cut in ((said.sentences, spans), (said.paragraphs, ["".join(line) for line in lines])):
            assert found.spans[row] == len(cut)
            assert found.again[row] == len(cut) - len(set(cut))
            assert found.characters_again[row] == sum(map(len, cut)) - sum(map(len, set(cut)))


@pytest.mark.parametrize("kernels", BOTH)
@given(TEXTS)
def test_classes_may_overlap(kernels: str, texts: list[str]) -> None:
    classes = (((97, 97), (0x20000, 0x2FFFF)), ((0, 0x10FFFF),), ((97, 98),), ())
    patch = under(kernels)
    try:
        counts = class_counts(Texts.of(texts), classes)
    finally:
        patch.undo()
    assert counts.shape == (len(texts), 4)
    for row, text in enumerate(texts):
        assert counts[row].tolist() == [
            sum(any(first <= ord(mark) <= last for first, last in ranges) for mark in text)
            for ranges in classes
        ]


def test_too_many_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="63 classes of characters: 62 at most"):
        class_table(tuple(((code, code),) for code in range(63)))
    bits = [tuple((code, code) for code in range(257) if code >> bit & 1) for bit in range(9)]
    with pytest.raises(ValueError, match="overlap in 257 ways: 255 at most"):
        class_table((*bits, ((256, 256),)))
