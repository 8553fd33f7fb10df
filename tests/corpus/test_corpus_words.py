"""Words of texts: spaCy's for languages with spaces (recorded), SudachiPy's for Japanese."""

from __future__ import annotations

import builtins
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.corpus.rules import words_japanese
from watari.corpus.rules.words import WITHOUT_SPACES, segment
from watari.corpus.rules.words_affixes import split
from watari.errors import UserError
from watari.kernels.texts import Texts

RECORDED = json.loads((Path(__file__).parent / "words_spacy.json").read_text("utf-8"))
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
# What the rules look at: punctuation, digits, letters of both cases, contractions, blanks.
NARROW = st.lists(
    st.sampled_from(
        [
            *"aBcSs.,:;!?'’\"“()-–—…/%$€#*_@+=<>~5é漢☺ \n\t",
            "don't ",
            "U.S. ",
            "co.uk ",
            "I'll've",
            " 8)",
            "km ",
            "well-known",
            "king's",
            "..",
            "Mr.",
        ]
    ),
    max_size=25,
).map("".join)


def lengths(words: list[str]) -> tuple[int, ...]:
    return tuple(map(len, words))


@pytest.mark.parametrize("language", ["en", "xx"])
def test_strings_are_split_as_spacy_splits_them(language: str):
    recorded = RECORDED[language]
    assert len(recorded) > 400
    wrong = {text: words for text, words in recorded.items() if split(text, language) != lengths(words)}
    assert wrong == {}


@pytest.mark.parametrize("name", ["numba", "numpy"])
@pytest.mark.parametrize("language", ["en", "ko"])
@given(column=st.lists(st.one_of(NARROW, ANY), max_size=5))
def test_texts_are_split_string_by_string(name: str, language: str, column: list[str]):
    """The short cut for strings that differ in a run of letters only says what `split` says of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", name)
        words = segment(Texts.of(column), language)
    for row, text in enumerate(column):
        wanted = []
        for string in text.split():
            place = 0
            for length in split(string, language):
                wanted.append(string[place : place + length])
                place += length
        assert words.of(row) == wanted


@given(text=ANY)
def test_words_of_a_string_are_the_whole_string(text: str):
    for string in text.split():
        assert sum(split(string, "en")) == len(string)
        assert all(length > 0 for length in split(string, "en"))


def test_a_long_string_is_cut_in_parts():
    string = "ab-" * 2_000
    assert sum(split(string, "en")) == len(string)
    words = segment(Texts.of([string + " end"]), "en")
    assert words.of(0)[-1] == "end"
    assert "".join(words.of(0)) == string + "end"


def test_real_pages_are_split_string_by_string(test_data: Path):
    texts = []
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for _, line in zip(range(60), lines, strict=False):
            texts.append("\n".join(json.loads(line)["en"]))
    words = segment(Texts.of(texts), "en")
    assert words.counts.sum() > 20_000
    for row, text in enumerate(texts):
        assert [len(word) for word in words.of(row)] == [
            length for string in text.split() for length in split(string, "en")
        ]


def test_nothing_has_no_words():
    for column in ([], [""], ["", " \n\u3000", ""]):
        for language in ("en", "ja"):
            words = segment(Texts.of(column), language)
            assert words.counts.tolist() == [0] * len(column)
            assert words.numbers.dtype == np.uint64


@pytest.mark.parametrize("language", [code for code in WITHOUT_SPACES if code != "ja"])
def test_a_language_without_spaces_is_refused(language: str):
    with pytest.raises(UserError, match="without spaces"):
        segment(Texts.of(["ไทย"]), language)


def sudachi(text: str) -> list[str]:
    from sudachipy import Dictionary, SplitMode

    global _DICTIONARY
    if _DICTIONARY is None:
        _DICTIONARY = Dictionary(dict="core").create(mode=SplitMode.A)
    surfaces = (word.surface() for word in _DICTIONARY.tokenize(text))
    return [surface.strip() for surface in surfaces if surface.strip()]


_DICTIONARY: Any = None


def test_japanese_words_are_sudachis_short_units(test_data: Path):
    texts = ["外国人参政権は、選挙管理委員会で……\n\n　話し合われた。 New York 2024年😀 ｶﾞｷﾞ \r\n", "", "。"]
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for _, line in zip(range(40), lines, strict=False):
            texts.append("\n".join(json.loads(line)["ja"]))
    words = segment(Texts.of(texts), "ja")
    short = [row for row, text in enumerate(texts) if len(text.encode()) <= 40_000]
    assert len(short) > 30
    for row in short:
        assert words.of(row) == sudachi(texts[row])
    assert "外国" in words.of(0)
    assert "人" in words.of(0), "mode A, the shortest units"


@given(column=st.lists(ANY, max_size=4))
@settings(max_examples=50)
def test_japanese_words_of_any_text(column: list[str]):
    words = segment(Texts.of(column), "ja")
    for row, text in enumerate(column):
        assert words.of(row) == sudachi(text)
        assert "".join("".join(words.of(row)).split()) == "".join(text.split())


def test_a_long_japanese_text_is_cut_between_sentences():
    sentence = "京都の夏は暑いので、川の上に床を出して涼む。"
    text = sentence * 1_500
    assert len(text.encode()) > 40_000
    words = segment(Texts.of(["短い文。", text, "短い文。"]), "ja")
    assert words.of(1) == sudachi(sentence) * 1_500
    assert words.of(0) == words.of(2) == sudachi("短い文。")
    # With neither a line end nor a full stop nor a blank it is cut anywhere, but not within a character.
    joined = segment(Texts.of(["京都" * 20_000]), "ja")
    assert "".join(joined.of(0)) == "京都" * 20_000


def test_without_sudachi_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def missing(name: str, *args: Any, **others: Any) -> Any:
        if name.startswith("sudachi"):
            raise ImportError(name)
        return real(name, *args, **others)

    words_japanese._tokenizer.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UserError) as told:
        segment(Texts.of(["日本"]), "ja")
    assert "pip install 'watari[ja-words]'" in str(told.value) + str(vars(told.value))
    monkeypatch.undo()
    words_japanese._tokenizer.cache_clear()
