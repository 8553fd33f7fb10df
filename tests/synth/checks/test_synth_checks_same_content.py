"""What says the same and what does not: little evidence, set phrases, free translations, answers in another language."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from watari.synth.checks import catalogue
from watari.synth.checks.answer_language import answer_language
from watari.synth.checks.content import OMISSION, WRONG_PAIR, content
from watari.synth.checks.finding import Meta, Severity


def said(source: str, target: str, **meta: object) -> list[str]:
    found = content(
        catalogue.turns([{"role": "user", "content": source}]),
        catalogue.turns([{"role": "user", "content": target}]),
        Meta(**meta),  # type: ignore[arg-type]
    )
    return [one.code for one in found if one.severity is Severity.HARD]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Good night.", "おやすみなさい。"),
        ("Good night! Sleep well.", "おやすみなさい！ゆっくり休んでください。"),
        ("Good evening! How can I help you?", "こんばんは！何かお手伝いしましょうか。"),
        ("Please do not worry.", "どうぞ気にしないでください。"),
        ("Thank you very much.", "どうもありがとうございます。"),
        (
            "You're welcome! Let me know if you need anything.",
            "どういたしまして！何かあればお知らせください。",
        ),
        ("Long time no see! How are you?", "お久しぶりです！お元気ですか。"),
        ("Happy birthday!", "お誕生日おめでとう！"),
        ("Break a leg!", "頑張ってね！"),
        ("Cancel", "中止"),
        ("It's a piece of cake.", "朝飯前だよ。"),
    ],
)
def test_set_phrases_and_short_texts_are_no_evidence(source: str, target: str) -> None:
    assert said(source, target) == []


def test_another_text_is_told() -> None:
    source = "The old man walked along the river every morning and talked to the children who played there."
    right = "老人は毎朝川沿いを歩き、そこで遊ぶ子供たちと話をした。"
    wrong = "電池の残量が少なくなると、画面の右上に赤い印が現れ、充電器につなぐよう促されます。"
    assert said(source, right) == []
    assert said(source, wrong) == [WRONG_PAIR]


STORY = [
    ("The old man walked along the river every morning.", "老人は毎朝川沿いを歩いた。"),
    ("The children played in the water and laughed.", "子供たちは水の中で遊んで笑った。"),
    ("His wife bought bread and fish in the market.", "妻は市場でパンと魚を買った。"),
    ("At night they read books and listened to music.", "夜になると二人は本を読み、音楽を聴いた。"),
]


@pytest.mark.parametrize("left", range(4))
def test_a_sentence_that_was_left_out_is_told(left: int) -> None:
    source = " ".join(one for one, _ in STORY)
    target = "".join(other for number, (_, other) in enumerate(STORY) if number != left)
    assert said(source, "".join(other for _, other in STORY)) == []
    assert said(source, target) == [OMISSION]


def test_sentences_that_were_put_together_are_none_that_are_missing() -> None:
    source = " ".join(one for one, _ in STORY)
    target = "老人は毎朝川沿いを歩き、子供たちは水の中で遊んで笑った。妻は市場でパンと魚を買い、夜は本を読み、音楽を聴いた。"
    assert said(source, target) == []


def test_an_encyclopedia_that_was_translated_freely_passes(test_data: Path) -> None:
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        docs = [json.loads(line) for line, _ in zip(lines, range(600), strict=False)]
    draw = random.Random(1)
    pairs = []
    for doc in docs:
        many = draw.choice((1, 2, 3, 4))
        source, target = " ".join(doc["en"][:many]), "".join(doc["ja"][:many])
        if 50 <= len(source) <= 1500:
            pairs.append((source, target))
    flagged = sum(bool(said(source, target, kind="paragraph")) for source, target in pairs)
    assert flagged <= 0.06 * len(pairs)
    others = [pairs[(number + 7) % len(pairs)][1] for number in range(len(pairs))]
    swapped = sum(
        bool(said(source, other, kind="paragraph")) for (source, _), other in zip(pairs, others, strict=True)
    )
    assert swapped >= 0.4 * len(pairs)


def foreign(*messages: tuple[str, str], target: str = "ja") -> list[str]:
    turns = catalogue.turns([{"role": role, "content": text} for role, text in messages])
    return [one.code for one in answer_language((), turns, Meta(source=target, target=target, kind="chat"))]


ENGLISH = "This answer is written in plain English, all of it, from the first word to the last one."


@pytest.mark.parametrize(
    ("messages", "codes"),
    [
        ([("user", "空はなぜ青い？"), ("assistant", ENGLISH)], ["answer-language"]),
        ([("assistant", ENGLISH)], ["answer-language"]),
        ([("user", "「空は青い」を英語に翻訳してください。"), ("assistant", ENGLISH)], []),
        ([("user", ENGLISH), ("assistant", "空が青いのは光が散らばるからです。")], []),
        ([("assistant", f"```\n{ENGLISH}\n```")], []),
        ([("assistant", f"著者の言葉です。「{ENGLISH}」とあります。")], []),
        ([("assistant", "Python, Java, JavaScript, Ruby, Go, Rust, Kotlin, Swift, Scala")], []),
        ([("assistant", '{"title": "the name of the book", "price": 10, "by": "the author"}')], []),
        ([("assistant", "42")], []),
    ],
)
def test_an_answer_in_another_language_is_told(messages: list[tuple[str, str]], codes: list[str]) -> None:
    assert foreign(*messages) == codes


def test_latin_letters_are_what_other_languages_are_written_with() -> None:
    assert foreign(("assistant", ENGLISH), target="id") == []


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("空が青く見えるのは、太陽の光が空気の分子に当たって散らばるからで、とくに青い光を", ["truncated"]),
        ("空が青く見えるのは、太陽の光が空気の分子に当たって散らばるからで、とくに青い光です。", []),
        (
            "おすすめの都市は次のとおりです。どれも訪れる価値があります。\n- 京都\n- 奈良\n- 金沢と能登半島",
            [],
        ),
    ],
)
def test_an_answer_that_ends_inside_a_sentence_is_told(text: str, codes: list[str]) -> None:
    turns = catalogue.turns([{"role": "assistant", "content": text}])
    found = catalogue.run_target_checks(turns, Meta(source="ja", target="ja", kind="chat"))
    assert [one.code for one in found if one.severity is Severity.HARD] == codes
