"""Reference-free quality: windows, loops, self-repetition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.leakage.sweep.quality import WINDOW, distinct, loops, quality_of, repetition, units


def test_units_are_words_or_single_characters() -> None:
    assert units("The cat, 高校の Cat!") == ["the", "cat", "高", "校", "の", "cat"]
    assert units("สวัสดี 안녕 하세요") == [*"สวัสดี", "안녕", "하세요"]
    assert units("--- …") == []


def test_distinct_is_of_windows_and_so_not_of_length() -> None:
    once = [str(number) for number in range(WINDOW)]
    assert distinct(once, 1) == distinct(once * 5, 1) == 1.0
    assert distinct(["a"] * WINDOW, 2) == pytest.approx(1 / (WINDOW - 1))
    assert distinct(["a"], 2) is None
    # A short rest joins no mean; half a window does.
    assert distinct(once + ["a"] * 10, 1) == 1.0
    assert distinct(once + ["a"] * 50, 1) == pytest.approx((1 + 1 / 50) / 2)


def test_self_repetition_is_the_share_of_grams_seen_before() -> None:
    assert repetition(list("abcdefgh")) == 0
    assert repetition(list("abcdabcd")) == pytest.approx(1 / 5)
    assert repetition(list("abc")) is None


@pytest.mark.parametrize(
    "text",
    [
        "Fine at first. " + "I do not know. " * 4,
        "はい、" + "そうです。" * 12,
        "wwwwwwwwww" * 5,
        "\n".join(f"{n}.\nThis is one and the same line.\nnumber {n * 7}" for n in range(5)),
        "x " * 24 + "  \n",
    ],
)
def test_loops(text: str) -> None:
    assert loops(text)
    assert not quality_of(text, "stop").sound


@pytest.mark.parametrize(
    "text",
    [
        "",
        "はい。" * 3,
        "Yes, yes, yes, yes.",
        "Title\n" + "=" * 80,
        "| a | b |\n" + "| --- | --- |\n" * 6,
        "I do not know. " * 3,
        "\n".join(f"{n}. Line {n} says {n * n}." for n in range(30)),
        "\n" * 100,
        "}\n" * 30 + "done",
    ],
)
def test_no_loops(text: str) -> None:
    assert not loops(text)


def test_sound_is_something_that_ends_and_does_not_loop() -> None:
    assert quality_of("はい。", "stop").sound
    assert not quality_of("はい。", "length").sound
    assert not quality_of(" \n", "stop").sound
    found = quality_of("a b a b", "stop")
    assert (found.characters, found.distinct[0]) == (7, 0.5)


@given(st.text(max_size=300), st.integers(4, 8), st.text("abcdefgあ漢", min_size=10, max_size=40))
def test_whatever_goes_before_a_stretch_said_often_at_the_end_is_a_loop(
    before: str, times: int, said: str
) -> None:
    assert loops(before + said * times)


@given(st.text(max_size=400))
def test_shares_stay_within_bounds(text: str) -> None:
    found = quality_of(text, "stop")
    for share in (*found.distinct, found.repetition):
        assert share is None or 0 <= share <= 1
