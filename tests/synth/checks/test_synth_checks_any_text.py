"""No text makes a check fail, or slow; phrases can be read; other pairs of languages get sensible words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.errors import UserError
from watari.languages.checks import CheckPhrases, Phrases, check_languages, check_phrases, pattern, words
from watari.synth.checks import (
    answers,
    leftovers,
    mojibake,
    register,
    repetition,
    roles,
    terms,
    tongues,
    truncation,
    untranslated,
    wrapping,
)
from watari.synth.checks.finding import Finding, Meta
from watari.synth.checks.text import Turn

CHECKS = [
    check
    for module in (
        answers,
        leftovers,
        mojibake,
        register,
        repetition,
        roles,
        terms,
        tongues,
        truncation,
        untranslated,
        wrapping,
    )
    for check in module.CHECKS
]
ANY = st.text(st.characters(codec=None), max_size=120)
BITS = st.lists(
    st.sampled_from(
        [
            "あ",
            "亜。",
            "the ",
            "ok, ",
            "```",
            "`",
            "「",
            "（",
            "\n",
            "\n\n",
            "- ",
            "# ",
            "[x](",
            ")",
            "**",
            "<a>",
            "<<end>>",
            "翻訳",
            "申し訳",
            "ません",
            "User:",
            "…",
            "\ufffd",
            "<0xE3>",
            "\\u3042",
            "&amp;",
            "个",
            "이",
            "ж",
            "\ud800",
            "1.",
        ]
    ),
    max_size=25,
).map("".join)
PAIRS = ["en-ja", "ja-en", "en-ko", "en-zh", "ja-zh", "ko-ja", "en-fr", "en-uk", "xx-yy", "en-en"]


@settings(max_examples=150)
@given(
    st.lists(ANY | BITS, max_size=3),
    st.lists(ANY | BITS, max_size=3),
    st.sampled_from(PAIRS),
    st.sampled_from(["", "chat"]),
)
def test_no_text_makes_a_check_fail(source: list[str], target: list[str], pair: str, kind: str) -> None:
    one, other = pair.split("-")
    meta = Meta(source=one, target=other, kind=kind, glossary={"ok": "はい", "": "x", "翻": "y"})
    mine = [Turn("user", text) for text in source]
    theirs = [Turn(("user", "assistant")[place % 2], text) for place, text in enumerate(target)]
    for check in CHECKS:
        for sources in [mine] if check.needs_source else [mine, []]:
            found = check.run(sources, theirs, meta)
            assert found == check.run(sources, theirs, meta)
            for one_found in found:
                assert check.codes[one_found.code] is one_found.severity
                assert "\n" not in one_found.message
                if one_found.span is not None:
                    size = len(theirs[one_found.span.turn].content)
                    assert 0 <= one_found.span.start <= one_found.span.stop <= size


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a ",
        "the ",
        "あ",
        "あ。",
        "*",
        "- a\n",
        "hi , ",
        "# ",
        "(",
        "「",
        "`",
        "](",
        "<ja ",
        "<<a",
        "---\n",
        "\n",
        " ",
        "縺",
        "ã‚",
        "\\u",
        "&a",
        "Aaa ",
        "ユーザー:",
        "翻訳",
        "申し訳",
        "AI ",
        "的了",
        "이 ",
        "é",
        "あいうえおかきくけこ",
        "0123456789",
    ],
)
def test_long_lines_have_findings_in_their_turns(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    source = [Turn("user", "What is this? Please tell me."), Turn("assistant", text)]
    target = [Turn("user", text), Turn("assistant", "はい。" + text)]
    for turn in target + source:
        _ = turn.sentences
    for check in CHECKS:
        for one in check.run(source, target, Meta(kind="chat")):
            if one.span is not None:
                side = target if one.span.side == "target" else source
                assert 0 <= one.span.start <= one.span.stop <= len(side[one.span.turn].content)


def codes(source: str, target: str, pair: str) -> set[str]:
    one, other = pair.split("-")
    found: list[Finding] = []
    for check in CHECKS:
        found += check.run([Turn("user", source)], [Turn("user", target)], Meta(source=one, target=other))
    return {one_found.code for one_found in found}


ENGLISH = "It is snowing today, so we would like to stay at home with a good book."
JAPANESE = "今日は雪が降っているので、家で良い本を読んでいたいです。"
KOREAN = "오늘은 눈이 와서 집에서 좋은 책을 읽고 싶습니다."
CHINESE = "今天下雪，所以我们想待在家里看一本好书。"


@pytest.mark.parametrize(
    ("pair", "source", "target", "code"),
    [
        ("en-ko", ENGLISH, KOREAN, None),
        ("en-zh", ENGLISH, CHINESE, None),
        ("ja-en", JAPANESE, ENGLISH, None),
        ("ja-zh", JAPANESE, CHINESE, None),
        ("ko-ja", KOREAN, JAPANESE, None),
        ("en-fr", ENGLISH, "Il neige aujourd'hui, donc nous restons à la maison avec un bon livre.", None),
        ("en-ko", ENGLISH, ENGLISH, "untranslated"),
        ("en-zh", ENGLISH, ENGLISH, "untranslated"),
        ("ja-en", JAPANESE, JAPANESE, "untranslated"),
        ("en-fr", ENGLISH, ENGLISH, "untranslated"),
        ("en-ko", ENGLISH, JAPANESE, "wrong-language"),
        ("en-zh", ENGLISH, JAPANESE, "wrong-language"),
        ("ja-en", JAPANESE, KOREAN, "wrong-language"),
        ("ja-en", JAPANESE, "It is snowing today, 家で本を読みたいです。", "untranslated-sentence"),
        ("en-ko", ENGLISH, "죄송하지만 번역해 드릴 수 없습니다.", "refusal"),
        ("en-zh", ENGLISH, "抱歉，我无法翻译这段内容。", "refusal"),
        ("ja-en", JAPANESE, "I'm sorry, but I cannot translate this.", "refusal"),
        ("en-ko", ENGLISH, "다음은 번역입니다:\n\n" + KOREAN, "preamble"),
        ("en-zh", ENGLISH, "好的，以下是翻译：\n\n" + CHINESE, "preamble"),
        ("en-ko", ENGLISH, "오늘은 눈이 와서 家で 좋은 책을 읽고 싶습니다.", "leak"),
    ],
)
def test_other_pairs(pair: str, source: str, target: str, code: str | None) -> None:
    found = codes(source, target, pair)
    assert found == set() if code is None else code in found


def test_phrases_are_read() -> None:
    assert {"en", "ja", "ko", "zh"} <= set(check_languages())
    assert check_phrases("xx") == CheckPhrases(code="xx")
    assert pattern("refusals", "xx").search("anything") is None
    assert "the" in words("words", "en")
    assert pattern("refusals", "en", "en").search("I CAN'T HELP WITH THAT")


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        CheckPhrases(code="xx", refusals=["("])


def test_patterns_match_whatever_stands_around_them() -> None:
    one = Phrases(["終わり", r"\bend\b", "[a-c]って"])
    assert one.search("これで終わりです")
    assert one.search("The END.")
    assert one.search("bって")
    assert one.search("bend") is None
    assert Phrases(["AI|人工知能"]).search("人工知能として")
    assert Phrases(["n/?a"], whole=True).search("N/A")
    assert Phrases(["n/?a"], whole=True).search("N/A.") is None


def test_an_unreadable_file_is_a_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.setattr(yaml, "safe_load", lambda _: {"nothing_known": 1})
    with pytest.raises(UserError, match=r"languages/checks/en\.yaml"):
        check_phrases.__wrapped__("en")
