from __future__ import annotations

import pytest

from watari.synth.ladder import Unreadable
from watari.synth.segments import Exchange, Segment, parts, read_answer, segmented, written

TALK = [
    {"role": "user", "content": "  Hello, `x` there.\n"},
    {"role": "assistant", "content": "```\ncode = 1\n```"},
    {"role": "user", "content": "Bye."},
]


def segments(count: int) -> list[Segment]:
    return [Segment(number, 0, "user", "x") for number in range(1, count + 1)]


def test_a_message_is_a_segment_and_what_holds_only_code_is_none() -> None:
    taken = segmented(TALK)
    assert [(one.number, one.turn, one.text) for one in taken.segments] == [
        (1, 0, "Hello, ⟦1⟧ there."),
        (2, 2, "Bye."),
    ]
    assert written(taken.segments) == "[[1]] Hello, ⟦1⟧ there.\n\n[[2]] Bye."
    assert taken.joined({1: "やあ、⟦1⟧です。", 2: "では。"}) == [
        {"role": "user", "content": "  やあ、`x`です。\n"},
        TALK[1],
        {"role": "user", "content": "では。"},
    ]


def test_a_message_that_stays_is_no_segment() -> None:
    taken = segmented(
        [{"role": "system", "content": "Be kind."}, *TALK], translate=lambda one: one["role"] != "system"
    )
    assert [one.turn for one in taken.segments] == [1, 3]
    assert taken.joined({1: "あ", 2: "い"})[0]["content"] == "Be kind."


def test_a_long_message_is_cut_between_blocks_then_lines_then_sentences() -> None:
    blocks = "\n\n".join(f"Paragraph {n} " + "word " * 15 for n in range(6))
    lines = "\n".join(f"line {n} of it" for n in range(30))
    sentences = "This is one. " * 40
    for text in (blocks, lines, sentences, f"{blocks}\n\n{lines}\n\n\n{sentences}"):
        taken = segmented([{"role": "user", "content": text}], size=200)
        assert len(taken.segments) > 1
        assert max(len(one.text) for one in taken.segments) <= 200
        same = {one.number: one.text for one in taken.segments}
        assert taken.joined(same) == [{"role": "user", "content": text}]


def test_a_code_block_that_is_sent_is_not_cut() -> None:
    code = "```python\n" + "\n\n".join(f"# comment {n}" for n in range(40)) + "\n```"
    text = f"Before it.\n\n{code}\n\nAfter it."
    taken = segmented([{"role": "user", "content": text}], code="translate", size=100)
    assert [one.text for one in taken.segments] == ["Before it.", code, "After it."]


@pytest.mark.parametrize(
    "answer",
    [
        "[[1]] 一\n\n[[2]] 二",
        "Here it is:\n\n[[1]]一\n\n\n[[2]]: 二\n",
        "［［１］］ 一\n［［２］］ 二",
        "**[[1]]** 一\n**[[2]]** 二",
        "[[2]] 二\n\n[[1]] 一",
        "[1] 一\n[2] 二",
        "【１】一\n【２】二",
        '{"1": "一", "2": "二"}',
        '```json\n{"segments": [{"id": 1, "text": "一"}, {"id": "2", "text": "二"}]}\n```',
        "```\n[[1]] 一\n[[2]] 二\n```",
        "<think>[[1]] hm</think>\n[[1]] 一\n[[2]] 二",
    ],
)
def test_forms_that_are_read(answer: str) -> None:
    assert read_answer(answer, segments(2)) == {1: "一", 2: "二"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("[[1]] 一", "without [[2]]"),
        ("[[1]] 一\n[[2]] 二\n[[2]] 二", "twice [[2]]"),
        ("[[1]] 一\n[[2]] 二\n[[3]] 三", "not sent: [[3]]"),
        ("一\n二", "no [[n]] marks"),
        ("Notes:\n[1] 一\n[2] 二", "no [[n]] marks"),
        ('{"1": "一"}', "no [[n]] marks"),
        ('{"1": "一", "2": ["二"]}', "no [[n]] marks"),
        (" \n", "empty"),
    ],
)
def test_what_cannot_be_told_apart_is_not_guessed(answer: str, told: str) -> None:
    found = read_answer(answer, segments(2))
    assert isinstance(found, Unreadable)
    assert told in found.message


def test_one_segment_needs_no_mark_but_a_wrong_mark_is_wrong() -> None:
    assert read_answer("一です。", segments(1)) == {1: "一です。"}
    assert isinstance(read_answer("[[2]] 一です。", segments(1)), Unreadable)


def test_the_text_behind_a_mark_keeps_its_own_colon_and_bold() -> None:
    assert read_answer("[[1]] :mod:`x` --- **y**", segments(1)) == {1: ":mod:`x` --- **y**"}
    assert read_answer("[[1]]**太字**です", segments(1)) == {1: "**太字**です"}


def test_parts_are_even_and_none_is_too_long() -> None:
    many = [Segment(number, 0, "user", "x" * 100) for number in range(1, 11)]
    cut = parts(many, 400)
    assert [one for part in cut for one in part] == many
    assert max(sum(len(one.text) for one in part) for part in cut) <= 400
    assert [len(part) for part in cut] == [3, 3, 4]
    assert parts(many, 10_000) == [many]
    assert [len(part) for part in parts(many, 50)] == [1] * 10
    assert parts([], 50) == []


def test_the_tail_of_an_exchange_has_at_least_one_segment() -> None:
    many = [Segment(number, 0, "user", "x" * 100) for number in range(1, 5)]
    exchange = Exchange(many, {one.number: "y" for one in many})
    assert [one.number for one in exchange.tail(250).segments] == [3, 4]
    assert [one.number for one in exchange.tail(1).segments] == [4]
