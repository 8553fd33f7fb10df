"""Hashed character n-grams: numba, numpy and a plain loop give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.kernels.features import gram_counts, gram_numbers, weight_sums
from watari.kernels.texts import Texts

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=12)


def plain_buckets(text: str, order: int, buckets: int) -> list[int]:
    """The definition, in Python's own integers."""
    found = []
    for place in range(len(text)):
        value = 0
        for character in text[place : place + order]:
            value = (value + ord(character) + 1) * 0x9E3779B97F4A7C15 % 2**64
            value ^= value >> 32
            found.append((value % 2**32) * buckets >> 32)
    return found


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
@given(texts=TEXTS, order=st.integers(1, 5), buckets=st.sampled_from([1, 7, 1000, 65536]))
def test_kernels_follow_the_definition(kernels, texts, order, buckets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", kernels)
        column = Texts.of(texts)
        weights = (np.arange(buckets, dtype=np.int64) * 7919) % 100003 - 50000
        counts = gram_counts(column, order, buckets)
        sums = weight_sums(column, order, weights)
    buckets_of = [plain_buckets(text, order, buckets) for text in texts]
    assert counts.dtype == sums.dtype == np.int64
    assert (
        counts.tolist()
        == np.bincount([place for found in buckets_of for place in found], minlength=buckets).tolist()
    )
    assert sums.tolist() == [int(weights[found].sum()) for found in buckets_of]
    assert gram_numbers(column.lengths, order).tolist() == [len(found) for found in buckets_of]


def test_numpy_works_across_its_blocks(monkeypatch):
    texts = Texts.of(["日本語" * 100, "", "𠮷野家で" * 33, "a"])
    weights = np.random.default_rng(1).integers(-(2**24), 2**24, 500)
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    whole = gram_counts(texts, 3, 500), weight_sums(texts, 3, weights)
    monkeypatch.setattr("watari.kernels.features._BLOCK", 13)
    assert (gram_counts(texts, 3, 500) == whole[0]).all()
    assert (weight_sums(texts, 3, weights) == whole[1]).all()


def test_n_grams_spread_over_the_buckets():
    # All pairs of kana: as even as chance would have it (chi-square within 5 sigma).
    kana = [chr(code) for code in range(0x3041, 0x3097)]
    texts = Texts.of([a + b for a in kana for b in kana])
    buckets = 1024
    pairs = gram_counts(texts, 2, buckets) - gram_counts(texts, 1, buckets)
    expected = len(texts) / buckets
    chi = float(((pairs - expected) ** 2 / expected).sum())
    assert chi < buckets + 5 * (2 * buckets) ** 0.5
