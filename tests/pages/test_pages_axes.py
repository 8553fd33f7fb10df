"""Axes have round numbers within their ends, and numbers are written in few letters."""

from __future__ import annotations

from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.pages.axes import even, logarithmic, ticks
from watari.pages.numbers import percent, short, tick_label, whole


@given(st.floats(-1e9, 1e9, allow_nan=False), st.floats(1e-6, 1e9, allow_nan=False), st.integers(1, 10))
def test_ticks_cover_the_axis(low: float, span: float, count: int) -> None:
    high = low + span
    if not span > abs(low) * 1e-6:
        return
    marks = ticks(low, high, count)
    slack = span * 1e-6
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert 2 <= len(marks) <= count + 3
    assert all(two > one for one, two in pairwise(marks))


def test_ticks_refuse_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="no axis"):
        ticks(float("nan"), 1, 5)


@given(st.floats(1e-12, 1e9), st.floats(1.0, 1e9), st.integers(2, 6))
def test_a_logarithmic_axis_has_round_numbers_within(low: float, ratio: float, count: int) -> None:
    scale = logarithmic(low, low * ratio, count)
    assert 1 <= len(scale.marks) <= count + 3
    assert all(scale.low <= mark <= scale.high for mark in scale.marks)
    assert all(two > one for one, two in pairwise(scale.marks))
    assert scale.share(scale.low) == 0
    assert isclose(scale.share(scale.high), 1)
    assert isclose(scale.share((scale.low * scale.high) ** 0.5), 0.5, abs_tol=1e-6)
    assert scale.share(0.0) == scale.share(-1.0) == 0


def test_a_logarithmic_axis_needs_values_above_zero() -> None:
    with pytest.raises(ValueError, match="no logarithmic axis"):
        logarithmic(0.0, 1.0, 3)


def test_logarithmic_marks() -> None:
    assert logarithmic(0.9, 12.0, 5).marks == [1, 2, 5, 10]
    assert logarithmic(2e-4, 12.0, 5).marks == [1e-3, 1e-2, 0.1, 1, 10]
    assert logarithmic(3e-31, 5e-30, 3).marks == [5e-31, 1e-30, 2e-30, 5e-30]
    assert logarithmic(1.1, 1.2, 3).marks == [1.1, 1.15, 1.2]


def test_an_even_axis_keeps_what_is_beyond_it_at_its_ends() -> None:
    scale = even(0.0, 7.0, 4)
    assert (scale.low, scale.high, scale.marks) == (0.0, 8.0, [0, 2, 4, 6, 8])
    assert [scale.share(value) for value in (-5, 0, 2, 8, 100)] == [0, 0, 0.25, 1, 1]


def test_an_exact_axis_ends_where_it_is_told() -> None:
    scale = even(0.1, 0.7 - 1e-16, 5, exact=True)
    assert (scale.low, scale.high) == (0.1, 0.7 - 1e-16)
    assert scale.marks == [0.2, 0.4, 0.6]
    assert even(0.05, 1.02, 5, exact=True).marks == [0.2, 0.4, 0.6, 0.8, 1.0]
    # A number that a computed end misses by a hair stands at it all the same.
    assert even(0.0, 0.1 * 6 - 1e-15, 3, exact=True).marks == [0, 0.2, 0.4, 0.6]
    assert even(2.0, 2.0, 2, exact=True).marks == [1, 2, 3]


def test_a_floored_axis_begins_where_it_is_told() -> None:
    scale = even(0.0, 7.0, 4, floored=True)
    assert (scale.low, scale.high) == (0.0, 8.0)


def test_tick_labels() -> None:
    assert tick_label(1_500_000, 5e6) == "1.5M"
    assert tick_label(20_000, 1e5) == "20k"
    assert tick_label(5_000, 1e5) == "5k"
    assert tick_label(1_200, 2e3) == "1200"
    assert tick_label(2e-5, 1e-4) == "2e-5"
    assert tick_label(2.5e-4, 1e-3) == "2.5e-4"
    assert tick_label(0.25, 1) == "0.25"
    assert tick_label(0, 1) == "0"
    assert tick_label(2e12, 1e13) == "2T"


def test_counts_in_few_letters() -> None:
    assert [short(value) for value in (0, 999, 1000, 20_400, 1_530_000, 999_999, 6.02e12)] == [
        "0",
        "999",
        "1k",
        "20.4k",
        "1.53M",
        "1M",
        "6.02T",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.5, "50.0%"),
        (0.99996, ">99.99%"),
        (0.00001, "<0.01%"),
        (0.0042, "0.42%"),
        (-0.2, "−20.0%"),
    ],
)
def test_percent(value: float, said: str) -> None:
    assert percent(value) == said


def test_counts_are_grouped() -> None:
    assert [whole(value) for value in (None, 0, 1234.6, -3)] == ["–", "0", "1,235", "-3"]
