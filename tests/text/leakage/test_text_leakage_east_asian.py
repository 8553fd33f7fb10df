"""Korean, Chinese and Japanese as the language that is expected: clean text passes, what is put into it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from watari.languages.leakage import common_words
from watari.text.leakage import find_events, foreign_characters

CLEAN = Path(__file__).parent / "clean"


def told(text: str, expected: str, **more: str) -> list[tuple[str, str, str]]:
    found = find_events(text, expected, **more)  # type: ignore[arg-type]
    return [(event.text, event.cls, event.language) for event in found]


@pytest.mark.parametrize(
    ("name", "expected", "most"),
    [
        ("ko", "ko", 1),
        ("zh-Hans", "zh-Hans", 1),
        ("zh-Hans", "zh", 1),
        ("zh-Hant", "zh-Hant", 1),
        ("zh-Hant", "zh", 1),
        ("ko-unseen", "ko", 2),
        ("zh-Hans-unseen", "zh-Hans", 2),
        ("zh-Hant-unseen", "zh-Hant", 2),
    ],
)
def test_clean_paragraphs_hold_next_to_nothing(name: str, expected: str, most: int) -> None:
    """Everyday and technical text with the English names, units and loan words that such text has."""
    lines = (CLEAN / f"{name}.txt").read_text("utf-8").splitlines()
    assert sum(len(find_events(line, expected)) for line in lines) <= most


@pytest.mark.parametrize(
    ("text", "expected", "events"),
    [
        ("역은 가깝습니다. これは日本語の文章です。 네.", "ko", [("これは日本語の文章です", "switch", "ja")]),
        ("역은 我们去车站吧 가깝습니다.", "ko", [("我们去车站吧", "token", "zh")]),
        ("역은 정말 beautiful 합니다.", "ko", [("beautiful", "token", "en")]),
        ("역(驛)은 가깝습니다.", "ko", []),
        ("이 branch를 commit하고 push한다.", "ko", []),
        ("我觉得これは日本語です很好。", "zh", [("これは日本語です", "switch", "ja")]),
        ("我们去학교上课。", "zh", [("학교", "glyph", "ko")]),
        ("这里的 weather 非常好。", "zh", [("weather", "token", "en")]),
        ("這裡的 weather 非常好。", "zh-TW", [("weather", "token", "en")]),
        ("他写了一个 useState 的 state 和 props。", "zh", []),
        (
            "车站很近。\nI think that this is the best way to learn about it.\n好的。",
            "zh",
            [("I think that this is the best way to learn about it", "switch", "en")],
        ),
        # Chinese in Japanese
        ("駅はgầnです。", "ja", [("gần", "token", "vi")]),
        ("駅は很近です。", "ja", [("很", "token", "zh")]),
        ("駅で例如を見る。", "ja", [("例如", "token", "zh")]),
        ("駅で例如と言う。", "ja", []),
        ("通り道です。\n他是我的老朋友了。", "ja", [("他是我的老朋友了", "switch", "zh")]),
        ("认为所有的标签都是自定义元素。", "ja", [("认为所有的标签都是自定义元素", "switch", "zh")]),
        ("日本国憲法第九条的解釈可能性十分検討不能是非。", "ja", []),
        ("認知道具と東京都是正を大丈夫。課程序論。時候の挨拶。", "ja", []),
        ("Станція близько.", "uk", []),
        ("Gần nhà ga.", "vi", []),
        ("La gare est très près, café.", "fr", []),
    ],
)
def test_events(text: str, expected: str, events: list[tuple[str, str, str]]) -> None:
    assert told(text, expected) == events


def test_words_with_two_senses_are_told_by_the_original_only() -> None:
    text = "パンの需要がある。"
    assert told(text, "ja") == []
    assert told(text, "ja", original="There is demand for bread.") == []
    assert told(text, "ja", original="You need to know this.") == [("需要", "token", "zh")]
    assert told("必需要素。", "ja", original="You need to know this.") == []


def test_a_translation_adds_no_comment_to_code_and_quotes_what_its_original_quotes() -> None:
    code = "変数です。\n```js\nlet x = 1 // 设置变量\n```"
    assert told(code, "ja") == []
    assert [event[0] for event in told(code, "ja", original="let x = 1")] == ["设", "变"]
    assert told(code, "ja", original=code, prompt=code) == []
    assert told("「你好吗」は挨拶です。", "ja") == []
    assert told("「你好吗」は挨拶です。", "ja", original="That is a greeting.") != []
    # What stays in the letters of its code does.
    assert told("`house`を使います。", "ja", original="We use it.") == []


def test_characters_of_the_other_han_language() -> None:
    japanese, chinese = foreign_characters("ja"), foreign_characters("zh")
    assert set("这们问题") <= japanese
    assert set("込峠働") <= chinese
    assert japanese.isdisjoint("日本語学国鹼齋櫻")
    assert chinese.isdisjoint("中国中國")


@pytest.mark.parametrize("word", ["beautiful", "これは", "привет", "สวัสดี"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("아이들은 하루에 아홉 시간 이상 자야 한다", "ko"),
        ("孩子每天应该睡够九个小时", "zh"),
        ("孩子每天應該睡滿九個小時", "zh-TW"),
    ],
)
def test_a_word_put_anywhere_is_found(text: str, expected: str, word: str) -> None:
    for place in range(len(text) + 1):
        assert [one[0] for one in told(text[:place] + word + text[place:], expected)] == [word]


@pytest.mark.parametrize("word", ["palette", "respiratory", "probation", "strawberry"])
def test_a_rare_word_is_found_by_how_it_is_made_unless_code_is_spoken_of(word: str) -> None:
    assert [one[0] for one in told(f"これは{word}です。", "ja")] == [word]
    for text in (f"これは{word}です。`x` を使います。", f"これは{word}です。useState を使います。"):
        assert told(text, "ja") == [] or word in common_words("en")


@pytest.mark.parametrize("name", ["dpkg", "armhf", "konnya", "radiko", "namo"])
def test_a_name_in_small_letters_is_no_word(name: str) -> None:
    assert told(f"これは{name}です。", "ja") == []
