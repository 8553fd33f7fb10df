"""Reading ratings: each rule by its letter, and the stored score for every stored judge text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.judge.rating import (
    NO_RATING,
    NO_TEXT,
    NOT_ASKED,
    RULES,
    fastchat_rating,
    nejumi_rating,
    rating_of,
    stability_rating,
    why_unreadable,
)


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Rating: [[8]]", 8),
        ("Rating: [[8.5]]", 8.5),
        ("[[8.]]", 8.0),
        ("[[0]]", 0),
        ("first [[3]] then [[9]]", 3),
        ("a single [2], but a double [[7]]", 7),
        ("only a single [6] and [9]", 6),
        ("Rating: [[rating]] was asked for, [4]", 4),
        ("[[10/10]]", None),
        ("[[ 8 ]]", None),
        ("[[-1]]", None),
        ("Rating: 8", None),
        ("[[08]]", None),  # no Python literal
        ("[[00]]", 0),
        ("[[08.5]]", 8.5),
        ("[[8,5]]", None),
        ("[[8]", 8),
        ("［［8］］", None),
        ("[[" + "9" * 5000 + "]]", None),
        ("", None),
    ],
)
def test_fastchat(text: str, rating: float | None) -> None:
    assert fastchat_rating(text) == rating


def test_an_integer_stays_one() -> None:
    assert isinstance(fastchat_rating("[[8]]"), int)
    assert isinstance(fastchat_rating("[[8.0]]"), float)


def test_digits_of_other_scripts() -> None:
    # Upstream's code breaks off at them; a judge of Japanese may mean them.
    assert fastchat_rating("[[８]]") is None
    assert stability_rating("評価：[[８]]") == 8
    assert stability_rating("評価：[[５.５]]") == 5.5
    assert stability_rating("評価：[[5]]") == 5
    assert stability_rating("評価：５") is None


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ('{"explanation": "scored [[3]] at first", "rating": "[[7]]"}', 7),
        ('{"explanation": "x", "rating": 10}', 10),
        ('```json\n{"rating": 0}\n```', 0),
        ('{"rating": "9"}', 9),
        ('{"rating": 11}', None),
        ('{"rating": 7.5}', None),
        ('{"rating": true}', None),
        ('{"rating": null, "explanation": "[[5]]"}', None),
        ('{"rating": "seven"}', None),
        ("plain text [[6.5]]", 6.5),
        ('{"no": "rating [[4]]"}', 4),
        ('{"rating": 4', None),
    ],
)
def test_nejumi(text: str, rating: float | None) -> None:
    assert nejumi_rating(text) == rating


def test_why_there_is_none() -> None:
    assert why_unreadable("$ERROR$") == NOT_ASKED
    assert why_unreadable(" \n") == why_unreadable(None) == NO_TEXT
    assert why_unreadable("good") == NO_RATING


@given(st.text(alphabet=st.sampled_from('[]{}"0123456789.,８評価ratings: \n'), max_size=80))
def test_no_text_breaks_a_rule(text: str) -> None:
    for rule in RULES:
        rating = rating_of(rule, text)
        assert rating is None or rating >= 0


@given(st.integers(0, 10), st.text(alphabet="abc 点。\n(", max_size=30))
def test_a_number_in_brackets_is_found_by_every_rule(number: int, around: str) -> None:
    for rule in RULES:
        assert rating_of(rule, f"{around}[[{number}]]{around}") == number


def test_every_stored_text(test_data: Path) -> None:
    seen = 0
    for path in sorted((test_data / "mt-bench-judgments").glob("*/*single*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                stored = None if row["score"] == -1 else row["score"]
                assert fastchat_rating(row["judgment"]) == stored, (path, row["question_id"])
                assert stability_rating(row["judgment"]) == stored
                assert nejumi_rating(row["judgment"]) == stored
                seen += 1
    assert seen == 1772
