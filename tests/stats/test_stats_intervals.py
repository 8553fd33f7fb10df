from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.stats import bootstrap_mean, bootstrap_ratio, mean_t, student_t_quantile, wilson


@pytest.mark.parametrize(
    ("freedom", "probability", "value"),
    # Published tables of Student's t.
    [
        (1, 0.975, 12.7062),
        (2, 0.975, 4.30265),
        (5, 0.95, 2.01505),
        (10, 0.975, 2.22814),
        (30, 0.995, 2.75000),
        (120, 0.975, 1.97993),
        (1000, 0.975, 1.96234),
    ],
)
def test_student_t_quantiles_are_those_of_the_tables(freedom: int, probability: float, value: float) -> None:
    assert student_t_quantile(probability, freedom) == pytest.approx(value, rel=1e-5)
    assert student_t_quantile(1 - probability, freedom) == pytest.approx(-value, rel=1e-5)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_that_of_the_books(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(pair: tuple[int, int]) -> None:
    successes, n = pair
    found, mirror = wilson(successes, n), wilson(n - successes, n)
    assert found.low is not None
    assert found.high is not None
    assert mirror.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low == pytest.approx(1 - mirror.high, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_share(successes: int, n: int) -> None:
    with pytest.raises(ValueError):
        wilson(successes, n)


def test_mean_t_by_hand() -> None:
    found = mean_t([1.0, 2.0, 3.0, 4.0])
    half = 3.182446 * math.sqrt(5 / 3) / 2
    assert (found.value, found.n) == (2.5, 4)
    assert found.low == pytest.approx(2.5 - half, abs=1e-5)
    assert found.high == pytest.approx(2.5 + half, abs=1e-5)


def test_one_value_has_no_interval() -> None:
    assert mean_t([3.0]).low is None
    assert bootstrap_mean([1.0, 2.0], ["a", "a"], seed=1).high is None


def test_bootstrap_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(120):
        values = rng.normal(5.0, 2.0, size=60)
        found = bootstrap_mean(values.tolist(), [str(i) for i in range(60)], seed=trial, rounds=400)
        hits += found.low <= 5.0 <= found.high  # type: ignore[operator]
    assert 0.86 <= hits / 120 <= 1.0


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    centres = np.repeat(rng.normal(size=30), 20)
    values = (centres + 0.1 * rng.normal(size=600)).tolist()
    clustered = bootstrap_mean(values, [str(i // 20) for i in range(600)], seed=3)
    alone = bootstrap_mean(values, [str(i) for i in range(600)], seed=3)
    assert clustered.stderr > 3 * alone.stderr  # type: ignore[operator]
    assert clustered.value == pytest.approx(alone.value)
    assert (clustered.n, alone.n) == (30, 600)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-100, 100), st.sampled_from("abcdef")), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_bootstrap_does_not_depend_on_order(rows: list[tuple[float, str]], shuffle: random.Random) -> None:
    first = bootstrap_mean([v for v, _ in rows], [c for _, c in rows], seed=5, rounds=50)
    shuffle.shuffle(rows)
    assert bootstrap_mean([v for v, _ in rows], [c for _, c in rows], seed=5, rounds=50) == first


def test_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    found = bootstrap_ratio([10.0, 1.0], [10, 100], ["a", "b"], seed=0)
    assert found.value == pytest.approx(11 / 110)


def test_ratio_refuses_nothing_to_divide_by() -> None:
    with pytest.raises(ValueError):
        bootstrap_ratio([1.0], [0], ["a"], seed=0)
    with pytest.raises(ValueError):
        bootstrap_ratio([], [], [], seed=0)


def test_a_seed_changes_the_interval_only() -> None:
    values, names = [float(i % 7) for i in range(50)], [str(i) for i in range(50)]
    one, two = bootstrap_mean(values, names, seed=1), bootstrap_mean(values, names, seed=2)
    assert one.value == two.value
    assert (one.low, one.high) != (two.low, two.high) or one.stderr != two.stderr
