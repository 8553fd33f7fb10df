"""Metrics of llm-jp-eval: exact match, numbers, correlations and their bootstrap, means."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.evals.jaster import correlation
from watari.evals.jaster.metrics import (
    char_f1,
    exact_match,
    exact_mean,
    item_metric,
    number,
    numbers,
    or_zero,
    plain_mean,
    true_char_f1,
)


def test_exact_match_is_to_the_character():
    assert exact_match(["yes", " yes", "Yes", "yes"], ["yes", "yes", "yes", "no"]) == [1.0, 0.0, 0.0, 0.0]


def test_char_f1_is_no_f1_of_characters():
    assert char_f1(["東京都"], ["東京"]) == [0.8]
    assert char_f1(["京東"], ["東京"]) == [0.5]
    assert true_char_f1(["京東"], ["東京"]) == [1.0]


def test_f1_of_characters_counts_repeats():
    # "ああい" and "あい": precision 2/3, recall 1.
    assert true_char_f1(["ああい", "", "", "x", "Ａ b"], ["あい", "", "x", "y", "aB"]) == [
        0.8,
        1.0,
        0.0,
        0.0,
        1.0,
    ]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3.8", 3.8), ("6, 9", 69.0), ("-1.", 1.0), ("類似度は4です", 4.0), ("", -2.0), ("高い", -2.0), ("1.2.3", -2.0),
        (".", -2.0), ("3.", 3.0), ("１", -2.0), ("1e5", 15.0), ("nan", -2.0),
    ],
)  # fmt: skip
def test_a_number_is_what_digits_and_dots_make(text, read):
    assert number(text) == read


def test_correlations_by_hand():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert correlation.pearson(x, y) == pytest.approx(0.8)
    assert correlation.spearman(x, np.array([10.0, 1000.0, 20.0, 1e9])) == pytest.approx(0.8)
    # Ties share the middle rank: ranks 1.5, 1.5, 3, 4 beside 1, 2, 3, 4.
    assert correlation.ranks(np.array([0.0, 0.0, 5.0, 7.0])).tolist() == [1.5, 1.5, 3.0, 4.0]
    assert correlation.spearman(np.array([0.0, 0.0, 5.0, 7.0]), x) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40))
def test_pearson_is_numpys(pairs):
    x, y = np.array(pairs, float).T
    found = correlation.pearson(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)
        assert correlation.spearman(x, y) == pytest.approx(
            np.corrcoef(correlation.ranks(x), correlation.ranks(y))[0, 1], abs=1e-12
        )


@pytest.mark.parametrize(
    "column",
    [[0.1, 0.1, 0.1], [2.9999999999999996] * 7, [3.8] * 100, [1.0, math.inf, 2.0], [5.0]],
)
def test_what_has_no_correlation_is_nan_and_counts_as_0(column):
    found = correlation.pearson(np.array(column), np.arange(len(column), dtype=float))
    assert math.isnan(found)
    assert or_zero(found) == 0.0
    assert or_zero(-0.25) == -0.25


def test_huge_answers_do_not_overflow():
    preds = numbers(["9" * 200, "1", "2"])
    assert correlation.pearson(preds, np.array([5.0, 1.0, 1.0])) == pytest.approx(1.0)
    assert math.isnan(correlation.pearson(numbers(["9" * 400, "1", "2"]), np.array([5.0, 1.0, 1.0])))


@pytest.mark.parametrize("ranked", [False, True])
def test_the_bootstrap_draws_pairs(ranked):
    draws = np.random.default_rng(0)
    x = draws.integers(0, 6, 60).astype(float)
    y = np.clip(x + draws.integers(-2, 3, 60), 0, 5)
    stderr, low, high = correlation.bootstrap(x, y, ranked=ranked, stratum="jsts", seed=1)
    function = correlation.spearman if ranked else correlation.pearson
    slow = []
    for counts in next(iter(correlation.draw_counts(1, "jsts", 60, correlation.ROUNDS)))[:200]:
        places = np.repeat(np.arange(60), counts.astype(int))
        slow.append(function(x[places], y[places]))
    drawn = correlation.bootstrap(x, y, ranked=ranked, stratum="jsts", seed=1, of=lambda values: values[:200])
    assert drawn == pytest.approx((np.std(slow, ddof=1), *np.quantile(slow, [0.025, 0.975])), abs=1e-9)
    assert low < function(x, y) < high
    assert 0 < stderr < 0.2


def test_no_interval_where_every_draw_is_constant():
    constant = np.full(20, 3.8)
    assert correlation.bootstrap(constant, np.arange(20.0), ranked=False, stratum="", seed=0) == (
        None,
        None,
        None,
    )
    assert correlation.bootstrap(constant, np.arange(20.0), ranked=True, stratum="", seed=0) == (
        None,
        None,
        None,
    )
    assert correlation.bootstrap(np.ones(1), np.ones(1), ranked=True, stratum="", seed=0) == (
        None,
        None,
        None,
    )


@given(
    st.lists(st.one_of(st.integers(0, 100).map(lambda k: k / 100), st.floats(0, 1)), min_size=1, max_size=60)
)
def test_the_exact_mean_is_rounded_once(values):
    assert exact_mean(values) == statistics.mean(values)


def test_the_plain_mean_is_rounded_at_every_step():
    assert plain_mean([0.1] * 10) == (0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1) / 10
    assert plain_mean([0.1] * 10) != 0.1 == exact_mean([0.1] * 10)


def test_metrics_are_found_by_name():
    assert item_metric("exact_match") is exact_match
    assert item_metric("set_f1")(["a\nb"], ["b\na"]) == [1.0]
    assert item_metric("pearson") is None  # of columns, not of items
    assert item_metric("comet_wmt22") is None
