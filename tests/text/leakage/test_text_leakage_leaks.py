"""Stretches of another language in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.text.leakage import find_leaks, own_letters


def told(text: str, expected: str, **more: str) -> list[tuple[str, str, str]]:
    return [(leak.text, leak.kind, leak.language) for leak in find_leaks(text, expected, **more)]


@pytest.mark.parametrize(
    ("text", "expected", "leaks"),
    [
        ("駅は近いです。Hello, α と é。", "ja", [("é", "latin", "und")]),
        ("駅は 가까워요 です。", "ja", [("가까워요", "script", "ko")]),
        ("駅は близко от дома です。", "ja", [("близко от дома", "script", "ru")]),
        ("駅は ใกล้ です。", "ja", [("ใกล้", "script", "th")]),
        ("駅は λόγος です。", "ja", [("λόγος", "script", "el")]),
        ("駅はgầnです。", "ja", [("gần", "latin", "vi")]),
        ("駅は很近です。", "ja", [("很", "han", "zh")]),
        ("駅で例如と言う。", "ja", [("例如", "han", "zh")]),
        ("通り道です。\n他是我的老朋友了。", "ja", [("他是我的老朋友了", "language", "zh")]),
        ("역은 가깝습니다.", "ko", []),
        ("역은 ちかい 가깝습니다.", "ko", [("ちかい", "script", "ja")]),
        ("역(驛)은 가깝습니다.", "ko", []),
        ("车站很近。", "zh", []),
        ("车站ちかい很近。", "zh", [("ちかい", "script", "ja")]),
        ("车站对込很近。", "zh", [("込", "han", "ja")]),
        ("The station is 近い here.", "en", [("近い", "script", "ja")]),
        ("Станція близько.", "uk", []),
        ("Gần nhà ga.", "vi", []),
        ("La gare est très près, café.", "fr", []),
    ],
)
def test_leaks_are_found(text: str, expected: str, leaks: list[tuple[str, str, str]]) -> None:
    assert told(text, expected) == leaks


def test_what_the_source_holds_may_stand() -> None:
    assert told("韓国語の친구は友達です。", "ja", allowed="친구 means friend.") == []
    assert told("「你好」は挨拶です。", "ja", allowed="“你好” is a greeting.") == []
    assert told("カフェはCaféです。", "ja", allowed="A cafe.") == []


def test_words_with_two_senses_are_told_by_the_original_only() -> None:
    text = "パンの需要がある。"
    assert told(text, "ja") == []
    assert told(text, "ja", context="There is demand for bread.") == []
    assert told(text, "ja", context="You need to know this.") == [("需要", "han", "zh")]


def test_words_inside_compounds_are_not_told() -> None:
    assert told("認知道具と東京都是正を大丈夫。課程序論。", "ja", context="x") == []


@given(
    st.text(st.characters(codec=None), max_size=200),
    st.sampled_from(["ja", "ko", "zh", "en", "uk", "fr", "xx"]),
)
def test_places_are_places_in_the_text(text: str, expected: str) -> None:
    leaks = find_leaks(text, expected, context="")
    last = 0
    for leak in leaks:
        assert last <= leak.start < leak.stop <= len(text)
        assert text[leak.start : leak.stop] == leak.text
        last = leak.stop
    assert find_leaks(text, expected, allowed=text, context="") == [
        leak for leak in find_leaks(text, expected, allowed=text, context="") if leak.text not in text
    ]


@pytest.mark.parametrize("unit", ["a", "é", "あ", "的了", "이 ", "gầ", "ж.", "，。", "\ud800"])
def test_places_in_long_lines(unit: str) -> None:
    text = "あ" + unit * (100_000 // len(unit))
    leaks = find_leaks(text, "ja")
    assert all(text[leak.start : leak.stop] == leak.text for leak in leaks)
    assert {leak.text[0] for leak in leaks} <= set(unit)


def test_letters_of_a_language() -> None:
    assert own_letters("ja").search("ー。abc") is None
    assert own_letters("ja").search("亜")
    assert own_letters("en").search("é")
    assert own_letters("uk").search("ж")
