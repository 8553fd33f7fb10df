"""Near duplicates and contamination, and the form that instructions are read from."""

from __future__ import annotations

import pytest

from watari.artifact.draws import generator
from watari.synth.diversity import Contamination, Diversity, shingles
from watari.synth.instruct_faults import json_fault, language_fault
from watari.synth.instruct_reading import CUT_OFF, EMPTY, FORM, MISSING, SURPLUS, read_items

BASE = "庭の梅の木に毛虫がつきました。薬を使わずに減らす方法を、手間の少ない順に教えてください。"


def jaccard(left: str, right: str) -> float:
    one, other = shingles(left), shingles(right)
    return len(one & other) / len(one | other)


def test_what_is_like_an_earlier_text_is_refused_with_its_name() -> None:
    diversity = Diversity(0.7)
    near = BASE.replace("教えてください", "教えて下さい")
    far = "冬の間に庭の土をよくしておくには、何をどれくらい混ぜればよいでしょうか。"
    found = diversity.take([("a", BASE), ("b", near), ("c", far), ("d", "  " + BASE.replace("。", "。\n"))])
    assert found[0] is None
    assert found[1] is not None
    assert (found[1].name, found[1].group) == ("a", "row")
    assert found[1].similarity == pytest.approx(jaccard(BASE, near))
    assert found[2] is None
    assert found[3] is not None
    assert found[3].similarity == 1
    assert len(diversity) == 2


def test_every_pair_above_the_threshold_is_found() -> None:
    rng = generator(1, "test")
    letters = list("あいうえおかきくけこさしすせそたちつてとなにぬねの漢字仮名交文")
    diversity = Diversity(0.7)
    taken: list[tuple[str, str]] = []
    for number in range(240):
        if taken and rng.random() < 0.5:
            text = list(taken[int(rng.integers(len(taken)))][1])
            for _ in range(int(rng.integers(1, 6))):
                text[int(rng.integers(len(text)))] = str(rng.choice(letters))
            made = "".join(text)
        else:
            made = "".join(rng.choice(letters, size=int(rng.integers(8, 80))))
        expected = any(jaccard(made, other) >= 0.7 for _, other in taken)
        near = diversity.take([(str(number), made)])[0]
        assert (near is not None) == expected
        if near is None:
            taken.append((str(number), made))
    assert 50 < len(taken) < 240


def test_short_texts_are_compared_whole_and_full_width_letters_count_as_narrow() -> None:
    diversity = Diversity()
    assert diversity.take([("a", "やあ"), ("b", "おい"), ("c", "やあ")]) == [
        None,
        None,
        diversity.take([("x", "やあ")])[0],
    ]
    assert (
        diversity.take([("d", "Ｐｙｔｈｏｎで書いてください"), ("e", "pythonで書いてください")])[1]
        is not None
    )


def test_an_evaluation_text_inside_a_row_is_found() -> None:
    contamination = Contamination([("eval: line 1", BASE), ("eval: line 2", "短い文")])
    assert len(contamination) == 1
    assert contamination.found(f"次の質問に答えてください。{BASE}よろしくお願いします。") == "eval: line 1"
    assert contamination.found("庭の梅の木に花が咲きました。写真を撮るこつを教えてください。") == ""
    assert Contamination([]).found(BASE) == ""


GOOD = "<<<1>>>\n[[user]]\n一つ目の依頼です。\n<<<2>>>\n[[user]]\n二つ目の依頼です。\n続きの行。\n<<<end>>>"


def test_instructions_are_read() -> None:
    items = read_items(GOOD, 2, system=False)
    assert [item.reason for item in items] == ["", ""]
    assert items[1].messages == [{"role": "user", "content": "二つ目の依頼です。\n続きの行。"}]


def test_with_system_prompts() -> None:
    text = "<<<1>>>\n[[system]]\nあなたは司書です。\n[[user]]\n本を探しています。\n<<<end>>>"
    (item,) = read_items(text, 1, system=True)
    assert [message["role"] for message in item.messages] == ["system", "user"]
    (item,) = read_items(text, 1, system=False)
    assert item.reason == FORM


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (GOOD.replace("<<<2>>>", "<<<3>>>"), ["", MISSING, SURPLUS]),
        (GOOD.replace("<<<2>>>", "<<<1>>>"), [FORM, MISSING]),
        (GOOD.replace("一つ目の依頼です。", "(一件目の依頼文)"), [EMPTY, ""]),
        (GOOD.replace("[[user]]\n一つ", "では、書きます。\n[[user]]\n一つ"), [FORM, ""]),
        (GOOD.replace("[[user]]\n一つ", "[[assistant]]\n一つ"), [FORM, ""]),
        ("はい、わかりました。", [MISSING, MISSING]),
        ("", [MISSING, MISSING]),
    ],
)
def test_a_bad_item_is_told_and_does_not_spoil_the_others(text: str, reasons: list[str]) -> None:
    assert [item.reason for item in read_items(text, 2, system=False)] == reasons


def test_of_an_answer_that_was_cut_off_the_last_one_is_not_used() -> None:
    cut = GOOD[: GOOD.index("続き")]
    assert [item.reason for item in read_items(cut, 3, system=False, finish_reason="length")] == [
        "",
        CUT_OFF,
        CUT_OFF,
    ]


def test_json_alone_or_in_a_block_is_json() -> None:
    assert json_fault('{"a": [1, null]}') == ""
    assert json_fault('```json\n{"a": 1}\n```') == ""
    assert json_fault('こちらです: {"a": 1}')
    assert json_fault('{"a": 1,}')


def test_an_answer_in_latin_letters_is_told_and_code_is_not() -> None:
    def fault(text: str) -> str:
        return language_fault({"role": "assistant", "content": text}, "ja")

    assert fault("Sure! Here is what you asked me for, in detail.")
    assert fault("はい。Here is what you asked me for, in all the detail that is needed.")
    assert not fault("はい。\n```python\nprint('hello, this is a long line of code')\n```")
    assert not fault("MacBook Pro を再起動してください。設定は System Settings の中にあります。")
    assert not fault("42")
    assert not language_fault({"role": "assistant", "content": "Sure! Here is what you asked me for."}, "id")
