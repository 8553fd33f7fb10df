"""Events in responses: what is one, what is none, and that places are places."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.text.leakage import Event, expected_language, find_events

JA = "駅は近いです。歩いて五分ほどで着きます。"
EN = "The station is near. It takes about five minutes on foot."


def told(text: str, expected: str, **more: str) -> list[tuple[str, str, str]]:
    found = find_events(text, expected, **more)  # type: ignore[arg-type]
    return [(event.text, event.cls, event.language) for event in found]


@pytest.mark.parametrize(
    ("text", "expected", "events"),
    [
        # Letters of a third script
        ("駅は 가까워요 です。", "ja", [("가까워요", "glyph", "ko")]),
        ("駅はблизкоです。", "ja", [("близко", "glyph", "ru")]),
        ("The station is ใกล้ here.", "en", [("ใกล้", "glyph", "th")]),
        ("駅は λόγος です。", "ja", [("λόγος", "glyph", "el")]),
        ("角度 α と β です。", "ja", []),
        ("def join(a): return fi혼자le", "en", [("혼자", "glyph", "ko")]),
        # Japanese in English
        ("It leads to 高校生の stunting.", "en", [("高校生の", "token", "ja")]),
        ("such as (apples and 学校 and trees)", "en", [("学校", "token", "ja")]),
        ("with豪h artist lineups", "en", [("豪", "token", "ja")]),
        ("The テレビサービス is new.", "en", [("テレビサービス", "token", "ja")]),
        (
            "Fine.\nこれらの要因は予測できなかったため、ご理解ください。\n私は行きます。お元気で。\nBye.",
            "en",
            [
                (
                    "これらの要因は予測できなかったため、ご理解ください。\n私は行きます。お元気で",
                    "switch",
                    "ja",
                )
            ],
        ),
        ("He said 这是什么意思 to me.", "en", [("这是什么意思", "token", "zh")]),
        # English in Japanese
        ("私はhouseに行きます。", "ja", [("house", "token", "en")]),
        ("彼は walking が好きです。", "ja", [("walking", "token", "en")]),
        ("東京andで会いましょう。", "ja", [("and", "token", "en")]),
        (
            "はい。\nI think that this is the best way to learn about it.\nそうです。",
            "ja",
            [("I think that this is the best way to learn about it", "switch", "en")],
        ),
        ("GoogleとiPhoneとNASAを使うvue3です。", "ja", []),
        ("10. 渋谷duo music exchange: 様々な音楽。", "ja", []),
        ("例えば動詞「run」は走るという意味です。", "ja", []),
        ("接続詞（and, but, with）を使います。", "ja", []),
        ("git remote show origin を実行します。", "ja", []),
        ("距離は 5 miles です。", "ja", []),
        # Chinese in Japanese, never by runs of Han characters
        ("私は问題を解きます。", "ja", [("问", "token", "zh")]),
        ("彼は没有お金です。", "ja", [("没有", "token", "zh")]),
        ("彼は沒有お金。", "ja", [("沒有", "token", "zh")]),
        ("日本国憲法第九条的解釈可能性十分検討不能是非。", "ja", []),
        ("櫻井さんと齋藤さんと國學院大學。", "ja", []),
        # Broken characters
        ("これは\ufffd\ufffdです。", "ja", [("\ufffd\ufffd", "glyph", "und")]),
        ("plain \ufeff text", "en", [("\ufeff", "glyph", "und")]),
        ("plain <0xE3><0x81> text", "en", [("<0xE3><0x81>", "glyph", "und")]),
        ("It isnâ€™t so.", "en", [("â€™", "glyph", "und")]),
        # Other languages
        ("역은 가깝습니다 そうです 네.", "ko", [("そうです", "token", "ja")]),
        ("역은 beautiful 합니다.", "ko", [("beautiful", "token", "en")]),
        ("车站ちかい很近。", "zh", [("ちかい", "token", "ja")]),
        ("车站込很近。", "zh", [("込", "token", "ja")]),
        ("國家很大。", "zh", []),
        ("國家很大。", "zh-Hans", [("國", "token", "zh")]),
        ("国家很大。", "zh-TW", [("国", "token", "zh")]),
        ("Станция рядом, очень house близко.", "ru", [("house", "token", "en")]),
        ("สถานีอยู่ใกล้ 学校 มาก", "th", [("学校", "token", "ja")]),
        (
            "It is near.\nLa estación está muy cerca de la casa de mi hermano.\nYes.",
            "en",
            [("La estación está muy cerca de la casa de mi hermano.", "switch", "es")],
        ),
    ],
)
def test_events_of_a_response(text: str, expected: str, events: list[tuple[str, str, str]]) -> None:
    assert told(text, expected) == events


@pytest.mark.parametrize(
    "text",
    [
        'The word "学校" is common.',
        "The Japanese word 学校 is common.",
        "A school (学校) is here.",
        "A place (学校: school) is here.",
        "A place (Japanese name: 学校) is here.",
        r"Let \(λόγος = 1\) be so.",
        "文型（bunrui）covers all sentences.",
        "Roppongi - ブルーノート東京(Blue Note Tokyo)",
        "```python\nprint('学校')\n# 学校です\n```",
        "```python\nprint('학교')  # cut off",
        "Use `学校` here.",
        "See https://example.com/学校/x for more.",
        r"Let \(学校 = 1\) be so.",
    ],
)
def test_what_is_masked_or_mentioned_is_no_leak(text: str) -> None:
    assert told(text, "en") == []


def test_what_the_prompt_holds_may_stand() -> None:
    assert told("Here 儚い means fleeting.", "en", prompt='a haiku that expresses "hakanai" (儚い)') == []
    assert told("ここでhouseを使います。", "ja", prompt="Houseという語の意味は？") == []


def test_a_word_that_comes_back_is_a_term() -> None:
    line = "ここでは state が変わります。\n"
    assert told(line, "ja") == [("state", "token", "en")]
    assert told(line * 4, "ja") == []


def test_licences() -> None:
    text = "Try au スマートパス, and then これを使ってください now."
    assert told(text, "en") == [("スマートパス", "token", "ja"), ("これを使ってください", "token", "ja")]
    assert told(text, "en", licensed="names") == [("これを使ってください", "token", "ja")]
    assert told(text + "\ufffd", "en", licensed="any") == [("\ufffd", "glyph", "und")]
    # A piece of a word is no name.
    assert told("with豪華h artist", "en", licensed="names") == [("豪華", "token", "ja")]


def test_near_runs_are_one_event() -> None:
    assert told("It is おはよう、こんにちは now, and then 学校 too.", "en") == [
        ("おはよう、こんにちは", "token", "ja"),
        ("学校", "token", "ja"),
    ]
    assert told("a가 x ж b", "en") == [("가 x ж", "glyph", "und")]


def test_json_of_an_event() -> None:
    (event,) = find_events(f"{EN} 学校", "en")
    assert event == Event("token", "ja", len(EN) + 1, len(EN) + 3, "学校", "medium", event.why)
    assert set(event.as_json()) == {"class", "language", "span", "start", "end", "severity", "why"}


_PIECES = st.lists(
    st.sampled_from(
        [
            "学校",
            "house",
            " ",
            "\n",
            "「",
            "」",
            "(",
            ")",
            "`",
            "```",
            "$",
            "한국",
            "ж",
            "…",
            "<0xE3>",
            "\ufffd",
            "の",
            "é",
            "1. ",
            ":",
        ]
    )
    | st.text(st.characters(codec=None), max_size=8),
    max_size=30,
)


@given(
    _PIECES.map("".join),
    st.sampled_from(["ja", "en", "zh", "zh-Hans", "ko", "ru", "th", "vi", "fr", "xx", ""]),
)
def test_places_are_places_in_the_response(text: str, expected: str) -> None:
    last = 0
    for event in find_events(text, expected):
        assert last <= event.start < event.end <= len(text)
        assert text[event.start : event.end] == event.text
        last = event.end


@given(st.integers(0, len(JA)), st.sampled_from(["한국어", "привет", "สวัสดี", "我们"]))
def test_a_word_put_anywhere_is_found(place: int, word: str) -> None:
    text = JA[:place] + word + JA[place:]
    assert [event.text for event in find_events(text, "ja")] == [word]


@pytest.mark.parametrize(
    "unit",
    [
        "a ",
        "あ",
        "「a",
        "(学",
        "`a",
        "$x_",
        "a, b ",
        "<b ",
        "\ud800",
        "家house",
        "git ",
        "学校学校学校学校x ",
    ],
)
def test_long_lines_are_read_in_linear_time(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    for expected in ("ja", "en"):
        assert all(text[event.start : event.end] == event.text for event in find_events(text, expected))


@pytest.mark.parametrize(
    ("messages", "language"),
    [
        ([("user", "What is the history of Tokyo Station?")], "en"),
        ([("user", "東京駅の歴史を教えてください。")], "ja"),
        ([("user", "東京駅の歴史を英語で教えてください。")], "en"),
        ([("user", "Tell me about it in Japanese.")], "ja"),
        ([("user", "この文を英語に訳してください：「一期一会」")], "en"),
        ([("user", 'Please translate this to Japanese: "He kicked the bucket."')], "ja"),
        ([("user", "次の英文を和訳してください。\nHe kicked the bucket.")], "ja"),
        ([("system", "Always answer in Japanese."), ("user", "Who are you?")], "ja"),
        ([("system", "Reply in either Japanese or English as appropriate."), ("user", "Can you?")], "en"),
        ([("system", "必要に応じて日本語または英語で返信してください。"), ("user", "分かりますか？")], "ja"),
        ([("user", "Can you understand Japanese?")], "en"),
        ([("user", "英語分かりますか？")], "ja"),
        ([("user", "Do not answer in Japanese.")], "en"),
        ([("user", "请用英语回答：你是谁？")], "en"),
        ([("user", "你是谁？")], "zh"),
        ([("user", "영어로 대답해 주세요.")], "en"),
        ([("user", "오늘 날씨 어때?")], "ko"),
        ([("user", "Ответь на японском, пожалуйста.")], "ja"),
        ([("user", "Кто ты?")], "ru"),
        ([("user", "¿Dónde está la casa de mi hermano?")], "es"),
        ([("user", "Was ist das für ein Haus, und wo ist es?")], "de"),
        ([("user", "日本語で"), ("assistant", "はい"), ("user", "What now?")], "en"),
        ([], "und"),
        ([("user", "123")], "und"),
    ],
)
def test_expected_language(messages: list[tuple[str, str]], language: str) -> None:
    rows = [{"role": role, "content": content} for role, content in messages]
    assert expected_language(rows) == language


def test_a_default_is_for_what_nothing_tells() -> None:
    assert expected_language([{"role": "user", "content": "1 + 1"}], "ja") == "ja"
    assert expected_language([{"role": "user"}], "ja") == "ja"


@pytest.mark.data
def test_hand_labels(test_data: Path) -> None:
    folder = test_data / "shisa-generations"
    prompts = [json.loads(line) for line in (folder / "prompts.jsonl").read_text("utf-8").splitlines()]
    asked = {row["i"]: row for row in prompts}
    labels = {}
    for line in (folder / "leak_labels.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["label"] != "uncertain":
            labels[row["model"], row["temperature"], row["run"], row["i"]] = row["label"] == "leak"
    counts: Counter[tuple[bool, bool]] = Counter()
    with gzip.open(folder / "generations.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            leak = labels.get((row["model"], row["temperature"], row["run"], row["i"]))
            if leak is not None:
                given = asked[row["i"]]
                expected = expected_language([{"role": "user", "content": given["user"]}])
                prompt = f"{given['system']}\n{given['user']}"
                counts[leak, bool(find_events(row["response"], expected, prompt=prompt))] += 1
    right = counts[True, True]
    assert right / (right + counts[False, True]) >= 0.85
    assert right / (right + counts[True, False]) >= 0.90


@pytest.mark.data
def test_clean_japanese(test_data: Path) -> None:
    size = found = 0
    with gzip.open(
        test_data / "ja-text" / "ja_wikipedia_paragraphs.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            text = json.loads(line)["text"]
            size += len(text)
            found += len(find_events(text, "ja"))
    assert 1000 * found / size <= 0.1
