"""MinHash signatures: the same bytes from numba and numpy, and the Jaccard similarity that they estimate."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.kernels import minhash
from watari.kernels.texts import Texts

WORDS = 112


def shingles(text: str, length: int) -> set[str]:
    bare = "".join(character for character in text if not character.isspace())
    return {bare[place : place + length] for place in range(len(bare) - length + 1)}


def jaccard(one: str, other: str, length: int) -> float:
    left, right = shingles(one, length), shingles(other, length)
    return len(left & right) / len(left | right)


def signed(texts: list[str], length: int = 5, count: int = WORDS) -> np.ndarray:
    return minhash.signatures(Texts.of(texts), length=length, count=count)


def plain(text: str, length: int, count: int) -> list[int]:
    """The signature of one text in Python's unbounded integers, written from the module's description."""
    word = (1 << 64) - 1
    hashes = []
    for shingle in shingles(text, length):
        value = 0
        for character in shingle:
            term = (ord(character) + 1) * 0xD6E8FEB86659FD93 & word
            value = (value * 0x9E3779B97F4A7C15 + (term ^ term >> 32)) & word
        hashes.append(((value ^ value >> 32) * 0xC2B2AE3D27D4EB4F & word) >> 32)
    factors, terms = (values.tolist() for values in minhash.permutations(count))
    return [
        min(((a * value + b) % 2**32 for value in hashes), default=minhash.EMPTY)
        for a, b in zip(factors, terms, strict=True)
    ]


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
few_letters = st.text("ab 　\nあ𠮷", max_size=80)


@given(st.lists(any_text | few_letters, max_size=6), st.integers(1, 9), st.integers(1, 20))
def test_numba_numpy_and_plain_integers_agree(texts: list[str], length: int, count: int):
    with pytest.MonkeyPatch.context() as patch:
        found = signed(texts, length, count)
        patch.setenv("WATARI_KERNELS", "numpy")
        assert np.array_equal(signed(texts, length, count), found)
    assert found.dtype == np.uint32
    assert found.tolist() == [plain(text, length, count) for text in texts]


def test_numba_and_numpy_agree_on_books(test_data: Path, monkeypatch: pytest.MonkeyPatch):
    # Longer than the blocks of both.
    with gzip.open(test_data / "aozora/docs.jsonl.gz") as file:
        texts = [json.loads(next(file))["text"] for _ in range(40)]
    texts = [*texts[:20], "", "\n", "短", *texts[20:], "".join(texts)]
    assert max(map(len, texts)) > 100_000
    found = signed(texts)
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    assert np.array_equal(signed(texts), found)


def test_a_text_shorter_than_a_shingle_has_an_empty_signature():
    found = signed(["", "四文字だ", "四 文\n字　だ", "五文字です", "五 文 字 で す"])
    assert (found[:3] == minhash.EMPTY).all()
    assert (found[3:] != minhash.EMPTY).any(axis=1).all()
    assert np.array_equal(found[3], found[4])


def test_no_text():
    assert signed([]).shape == (0, WORDS)


def test_white_space_is_what_python_takes_for_it():
    spaces = "".join(chr(code) for code in range(0x110000) if chr(code).isspace())
    bare, laid_out = signed(["いろはにほへと", spaces.join("いろはにほへと")])
    assert np.array_equal(bare, laid_out)
    # Not white space: the zero-width space, and the last ideographic one's neighbours.
    for other in "\u200b\u3001\u2fff":
        assert not np.array_equal(signed([f"いろはに{other}ほへと"])[0], bare)


def test_the_first_permutations_are_those_of_fewer():
    few, many = minhash.permutations(5), minhash.permutations(300)
    assert np.array_equal(few[0], many[0][:5])
    assert np.array_equal(few[1], many[1][:5])
    assert (many[0] % 2 == 1).all()
    assert len(set(many[0].tolist())) == 300


def test_agreement_estimates_jaccard_without_bias(test_data: Path):
    """Errors in units of sqrt(J (1 - J) / K): mean near 0, standard deviation near 1."""
    rng = np.random.default_rng(7)
    with gzip.open(test_data / "ja-text/ja_wikipedia_paragraphs.jsonl.gz") as file:
        texts = [json.loads(next(file))["text"] for _ in range(600)]
    errors = []
    for text in texts:
        share = rng.uniform(0.2, 0.9)
        other = text[: int(len(text) * share)] + texts[int(rng.integers(600))]
        true = jaccard(text, other, 5)
        if 0.02 < true < 0.98:
            same = np.mean(np.equal(*signed([text, other])))
            errors.append((same - true) / np.sqrt(true * (1 - true) / WORDS))
    assert len(errors) > 400
    assert abs(np.mean(errors)) < 4 / np.sqrt(len(errors))
    assert 0.85 < np.std(errors) < 1.15


@given(st.integers(0, 50), st.integers(1, 30), st.randoms(use_true_random=False))
def test_agreement_counts_equal_words(pairs: int, words: int, rng):
    signature = np.array([[rng.randrange(3) for _ in range(words)] for _ in range(9)], np.uint32)
    left = np.array([rng.randrange(9) for _ in range(pairs)], np.int64)
    right = np.array([rng.randrange(9) for _ in range(pairs)], np.int64)
    wanted = [int((signature[a] == signature[b]).sum()) for a, b in zip(left, right, strict=True)]
    assert minhash.agreement(signature, left, right).tolist() == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", "numpy")
        assert minhash.agreement(signature, left, right).tolist() == wanted


@given(
    st.lists(st.none() | any_text, max_size=6),
    st.lists(st.none() | any_text, max_size=6),
    st.sampled_from([pa.string(), pa.large_string()]),
    st.integers(0, 3),
)
def test_utf8_is_decoded_as_python_does(first: list, second: list, kind: pa.DataType, skipped: int):
    whole = pa.chunked_array([pa.array(first, kind), pa.array(second, kind)])
    for column in (whole, whole.slice(skipped), whole.chunk(1), whole.chunk(1).slice(skipped)):
        with pytest.MonkeyPatch.context() as patch:
            found = Texts.from_arrow(column)
            patch.setenv("WATARI_KERNELS", "numpy")
            wanted = Texts.from_arrow(column)
        assert [found[place] for place in range(len(found))] == [text or "" for text in column.to_pylist()]
        assert found.codes.dtype == wanted.codes.dtype
        assert found.offsets.dtype == wanted.offsets.dtype
        assert np.array_equal(found.codes, wanted.codes)
        assert np.array_equal(found.offsets, wanted.offsets)
