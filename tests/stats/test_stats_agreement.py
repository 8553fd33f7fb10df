"""Agreement against scipy and published examples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from watari.stats.agreement import kendall_tau, krippendorff_alpha, pearson

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30)


@given(PAIRS)
def test_tau_b_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    found = kendall_tau(a, b)
    expected = float(scipy.stats.kendalltau(a, b).statistic)
    assert (found is None and np.isnan(expected)) or found == pytest.approx(expected, abs=1e-12)


@given(PAIRS)
def test_r_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    found = pearson(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(float(scipy.stats.pearsonr(a, b).statistic), abs=1e-12)


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="paired"):
        kendall_tau([1, 2], [1])
    with pytest.raises(ValueError, match="paired"):
        pearson([1, 2], [1])


def test_alpha_is_that_of_the_textbook() -> None:
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: 4 observers, 12 units; interval 0.849.
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    assert krippendorff_alpha(list(zip(*rows, strict=True))) == pytest.approx(0.849, abs=5e-4)


def test_alpha_falls_with_leniency_where_r_does_not() -> None:
    strict = [1.0, 3.0, 5.0, 7.0]
    lenient = [value + 3 for value in strict]
    assert pearson(strict, lenient) == pytest.approx(1.0)
    alpha = krippendorff_alpha(list(zip(strict, lenient, strict=True)))
    assert alpha is not None
    assert alpha < 0.6
    assert krippendorff_alpha(list(zip(strict, strict, strict=True))) == pytest.approx(1.0)


def test_alpha_of_nothing() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([[1.0, None], [None, 2.0]]) is None
    assert krippendorff_alpha([[3.0, 3.0], [3.0, 3.0]]) is None
