from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.text import SCRIPTS, guess_language, script_shares
from watari.text.chunks import chunks
from watari.text.normalise import normalise


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("吾輩は猫である。名前はまだ無い。", "ja"),
        ("カタカナ", "ja"),
        ("ﾊﾝｶｸ", "ja"),
        ("PythonのpandasライブラリでDataFrameを読み込む方法", "ja"),
        ("我们在这里学习中文", "zh"),
        ("한국어 문장입니다.", "ko"),
        ("Привет, мир", "ru"),
        ("สวัสดีชาวโลก", "th"),
        ("Hello, world. One 東 only.", "en"),
        ("Ｈｅｌｌｏ", "en"),
        ("12345 !?", "und"),
        ("", "und"),
    ],
)
def test_language_by_script(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_shares_count_each_script() -> None:
    shares = script_shares("あ漢 a!")
    assert shares == {
        "kana": 0.25, "han": 0.25, "hangul": 0, "latin": 0.25, "cyrillic": 0, "thai": 0, "other": 0.25,
    }  # fmt: skip


@given(st.text())
def test_shares_sum_to_one_or_nothing(text: str) -> None:
    shares = script_shares(text)
    assert tuple(shares) == SCRIPTS
    assert sum(shares.values()) == pytest.approx(1 if text.split() else 0)


@given(st.characters(exclude_categories=["Cs"]))
def test_scripts_agree_with_the_unicode_names(character: str) -> None:
    name = unicodedata.name(character, "")
    shares = script_shares(character)
    starts = {
        "HIRAGANA LETTER": "kana",
        "KATAKANA LETTER": "kana",
        "CJK UNIFIED": "han",
        "HANGUL SYLLABLE": "hangul",
    }
    for start, script in starts.items():
        if name.startswith(start):
            assert shares[script] == 1
    if name.startswith(("GREEK", "ARABIC", "DEVANAGARI", "HEBREW")):
        assert shares["other"] == 1


def test_normal_form_keeps_japanese_typography() -> None:
    assert normalise("\ufeffは\u3099！？（１）\r\n次\r行\x00\x0b\u2028末  \n") == "ば！？（１）\n次\n行\n末"


@given(st.text())
def test_normal_form_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "\r" not in once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text(alphabet="あ。.! \n漢a", max_size=300), st.integers(1, 50))
def test_chunks_join_to_the_text_again(text: str, limit: int) -> None:
    parts = chunks(text, limit)
    assert "".join(parts) == text
    assert all(0 < len(part) <= limit for part in parts) or text == ""


def test_chunks_end_at_the_best_boundary() -> None:
    text = "一段落目。\n二行目。\n\n二段落目の文。続きの文。終わり"
    assert chunks(text, 14)[0] == "一段落目。\n二行目。\n\n"
    assert chunks("短い文。もう一つの長い文がここに続く", 7)[0] == "短い文。"
    assert chunks("aaaa", 2) == ["aa", "aa"]


def test_a_part_needs_room() -> None:
    with pytest.raises(ValueError):
        chunks("x", 0)
