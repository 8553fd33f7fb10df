"""Spans, numbers and n-grams of words: against plain Python, with and without numba."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.kernels import words as kernel
from watari.kernels import words_lines as line_kernel
from watari.kernels.texts import Texts
from watari.kernels.words import SPACE, Spans, character_flags
from watari.kernels.words_ngrams import repeated_ngrams, top_ngrams

ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
# Few letters, so that words and lines come again; every sort of white space and line end.
NARROW = st.text("ab. \t\n\r\x0b\x85\u2028\u3000é漢😀", max_size=80)
COLUMNS = st.lists(st.one_of(NARROW, ANY), max_size=6)


@pytest.fixture(params=["numba", "numpy"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WATARI_KERNELS", request.param)
    return request.param


def parts(texts: Texts, spans: Spans) -> list[list[str]]:
    found: list[list[str]] = []
    for row in range(len(texts)):
        begin = texts.offsets[row]
        found.append(
            [
                texts[row][spans.starts[place] - begin : spans.ends[place] - begin]
                for place in range(spans.offsets[row], spans.offsets[row + 1])
            ]
        )
    return found


@pytest.mark.parametrize("name", ["numba", "numpy"])
@given(column=COLUMNS)
def test_spans_are_those_of_python(name: str, column: list[str]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", name)
        texts = Texts.of(column)
        chunks = kernel.chunks(texts)
        assert parts(texts, chunks) == [text.split() for text in column]
        lines = line_kernel.lines(texts)
        assert parts(texts, lines) == [text.split("\n") for text in column]
        assert parts(texts, line_kernel.feed_lines(texts)) == [re.split("\n+", text) for text in column]
        assert parts(texts, line_kernel.paragraphs(texts)) == [
            re.split("\n{2,}", text.strip()) for text in column
        ]
        assert parts(texts, line_kernel.any_lines(texts)) == [text.splitlines() for text in column]
        trimmed = kernel.trimmed(texts.codes, lines)
        assert parts(texts, trimmed) == [[line.strip() for line in text.split("\n")] for text in column]
        held = kernel.held(texts.codes, lines, character_flags())
        flat = [line for text in column for line in text.split("\n")]
        assert ((held.some & SPACE) != 0).tolist() == [any(map(str.isspace, line)) for line in flat]
        assert ((held.every & SPACE) != 0).tolist() == [line.isspace() for line in flat]
        run = kernel.first_run(texts.codes, chunks, character_flags(), kernel.ASCII_LETTER)
        first = [re.search("[A-Za-z]+", word) for text in column for word in text.split()]
        assert [word for row in parts(texts, run) for word in row] == [
            match[0] if match else "" for match in first
        ]
        assert kernel.numbers(texts.codes, lines).tolist() == [kernel.number_of(line) for line in flat]
        before = []
        for text in column:
            met: set[str] = set()
            for line in text.split("\n"):
                before.append(line in met)
                met.add(line)
        assert line_kernel.come_before(texts.codes, lines).tolist() == before
        for string in ("a", "..", "a."):
            assert line_kernel.occurrences(texts, string).tolist() == [text.count(string) for text in column]
            starts = line_kernel.begin_with(texts.codes, lines, string)
            assert starts.tolist() == [line.startswith(string) for line in flat]
            assert line_kernel.end_with(texts.codes, lines, string).tolist() == [
                line.endswith(string) for line in flat
            ]


def top(words: list[str], size: int) -> int:
    grams = [" ".join(words[place : place + size]) for place in range(len(words) - size + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def repeated(words: list[str], size: int) -> int:
    met: set[str] = set()
    place = found = 0
    while place <= len(words) - size:
        gram = "".join(words[place : place + size])
        if gram in met:
            found += len(gram)
            place += size
        else:
            met.add(gram)
            place += 1
    return found


@pytest.mark.parametrize("name", ["numba", "numpy"])
@given(
    column=st.lists(st.lists(st.sampled_from(["a", "b", "ab", "aab", "é", "漢字"]), max_size=60), max_size=5)
)
def test_ngrams_are_those_of_counting(name: str, column: list[list[str]]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", name)
        texts = Texts.of([" ".join(words) for words in column])
        spans = kernel.chunks(texts)
        numbers = kernel.numbers(texts.codes, spans)
        sizes = [1, 2, 3, 5, 7]
        tops = top_ngrams(numbers, spans.lengths, spans.offsets, sizes)
        again = repeated_ngrams(numbers, spans.lengths, spans.offsets, sizes)
        assert tops.tolist() == [[top(words, size) for words in column] for size in sizes]
        assert again.tolist() == [[repeated(words, size) for words in column] for size in sizes]


def test_words_put_together_in_another_way_are_the_same_ngram(engine: str):
    texts = Texts.of(["ab c x a bc"])
    spans = kernel.chunks(texts)
    found = repeated_ngrams(kernel.numbers(texts.codes, spans), spans.lengths, spans.offsets, [2])
    assert found.tolist() == [[3]]
    tops = top_ngrams(kernel.numbers(texts.codes, spans), spans.lengths, spans.offsets, [2])
    assert tops.tolist() == [[4]], "with a blank between the words they are two"


def test_long_parts_have_the_same_number_with_and_without_numba(monkeypatch: pytest.MonkeyPatch):
    """Longer than the numpy form works on at a time."""
    texts = Texts.of(["x" * 1_500_000 + " " + "ab " * 400_000, "漢" * 700_000])
    found = []
    for name in ("numba", "numpy"):
        monkeypatch.setenv("WATARI_KERNELS", name)
        found.append(kernel.numbers(texts.codes, kernel.chunks(texts)))
    assert np.array_equal(found[0], found[1])
    assert len(set(found[0].tolist())) == 3
