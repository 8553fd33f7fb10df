"""Decontamination: planted items are found however they are laid out, unrelated documents are left alone."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.corpus.contamination import screen
from watari.corpus.contamination_report import OVERLAP, findings, merged, report
from watari.corpus.table import WORKING, undecided
from watari.errors import UserError
from watari.kernels.contamination_index import ContaminationIndex, ContaminationParams, build_index
from watari.text.evaluation_sets import EvaluationText, read

QUESTION = "日本国内で出版されたすべての出版物を収集・保存する機関はどこにありますか？"
PASSAGE = (
    "梅雨は、北海道と小笠原諸島を除く日本、朝鮮半島南部、中国の南部から長江流域にかけての沿海部、および台湾など、"
    "東アジアの広範囲においてみられる特有の気象現象である。5月から7月にかけて来る曇りや雨の多い期間のこと。"
)
BEFORE = "きのうの夜、町の図書館へ本を返しに行った。入り口は閉まっていたので、箱に入れて帰った。"
AFTER = "\nそのあとは川のそばを歩いて、橋のところで友だちに会った。二人で少し話をしてから別れた。\n" * 6


def table_of(*texts: str | None) -> pa.Table:
    rows = [{"key": f"{number:032x}", "text": text} for number, text in enumerate(texts)]
    return undecided(pa.Table.from_pylist(rows, schema=WORKING))


def index_of(*items: tuple[str, str, str] | EvaluationText, **params: object) -> ContaminationIndex:
    return build_index(items, ContaminationParams(**params))


def reasons(table: pa.Table) -> list[str | None]:
    return table.column("reason").to_pylist()


def notes(table: pa.Table) -> list[dict | None]:
    return [json.loads(note) if note else None for note in table.column(OVERLAP).to_pylist()]


LAYOUTS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "a line break every 7 characters": lambda text: "\n".join(
        text[i : i + 7] for i in range(0, len(text), 7)
    ),
    "other punctuation": lambda text: text.replace("、", "，").replace("。", "．").replace("？", "?"),
    "no punctuation": lambda text: "".join(char for char in text if char not in "、。・？"),
    "blanks": lambda text: " ".join(text),
    "full width": lambda text: text.translate({code: code + 0xFEE0 for code in range(0x30, 0x7B)}),
    "quoted": lambda text: f"「{text}」",
    "a changed word": lambda text: text.replace("機関は", "館は").replace("広範囲", "広い所"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_planted_text_is_found_in_any_layout(layout: str):
    index = index_of(("qa", "q1", QUESTION), ("qa", "p1", PASSAGE))
    texts = [f"{BEFORE}{LAYOUTS[layout](item)}{AFTER}" for item in (QUESTION, PASSAGE)]
    made = screen(table_of(*texts, BEFORE + AFTER), index)
    assert reasons(made) == ["contaminated", "contaminated", None]
    assert made.column("detail").to_pylist() == ["qa", "qa", None]
    found = notes(made)
    assert [note and note["tasks"]["qa"]["items"] for note in found] == [["q1"], ["p1"], None]
    share, threshold = made.column("value")[1].as_py(), made.column("threshold")[1].as_py()
    assert 0.1 < share < 0.7
    assert threshold == 0.0
    # The run is told of where it stands.
    assert found[0] is not None
    assert found[0]["example"] in texts[0]


def test_changed_characters_do_not_end_a_run():
    # A character in every 25 is another one: no stretch between two of them is long enough by itself.
    changed = "".join("〆" if place % 25 == 24 else char for place, char in enumerate(PASSAGE))
    index = index_of(("qa", "p1", PASSAGE))
    assert reasons(screen(table_of(BEFORE + changed + AFTER), index)) == ["contaminated"]
    often = "".join("〆" if place % 15 == 14 else char for place, char in enumerate(PASSAGE))
    assert reasons(screen(table_of(BEFORE + often + AFTER), index)) == [None]


def test_kana_are_not_confused():
    index = index_of(("qa", "1", "がっこうのプールでバタあしのれんしゅうをしたのはだれですか"))
    other = "かっこうのフールてハタあしのれんしゆうをしたのはたれてすか"
    assert reasons(screen(table_of(f"{BEFORE}{other}{AFTER}"), index)) == [None]


def test_a_phrase_that_a_passage_shares_with_many_texts_is_no_hit():
    item = (
        "美濃国は、かつて日本の地方行政区分だった令制国の一つ。東山道に属し、現在の岐阜県南部にあたる。"
        + PASSAGE
    )
    phrase = "飛騨国は、かつて日本の地方行政区分だった令制国の一つ。現在の岐阜県北部。"
    assert reasons(screen(table_of(phrase), index_of(("qa", "1", item)))) == [None]
    loose = ContaminationParams(passage=0)
    assert reasons(screen(table_of(phrase), build_index([("qa", "1", item)], loose), loose)) == [
        "contaminated"
    ]


def test_letters_of_alphabets_count_a_third():
    question = "Which river flows through the middle of the old town and under the stone bridge?"
    index = index_of(("en", "1", question))
    shared = "He walked through the middle of the old town, then home."
    made = screen(table_of(shared, f"Q: {question.upper()} A: none", shared * 3), index)
    assert reasons(made) == [None, "contaminated", None]


def test_short_items_are_found_whole_or_not_at_all():
    index = index_of(
        ("qa", "1", "電車が止まる場所はどこ？"),
        ("qa", "2", "海は？"),
        ("qa", "2", "川は？"),
        ("nli", "1", "前提：黒い犬が庭を走り回っている\n仮説：犬は走っていないようだ"),
    )
    texts = [
        "問題です。電車が止まる場所はどこ？駅です。",
        "「電車が止まる場所はどこ」と聞いた。",
        "最後に電車が止まる場所はどこかにある。",
        "海は？川は？",
        "前から\n黒い犬が庭を走り回っている\nという。",
    ]
    made = screen(table_of(*texts), index)
    assert reasons(made) == ["contaminated", "contaminated", None, None, "contaminated"]
    qa = next(task for task in index.tasks if task.task == "qa")
    assert (qa.items, qa.texts, qa.whole, qa.too_short) == (2, 3, 1, 1)
    told = {row["task"]: row["too_short"] for row in report(index, findings(made))}
    assert told == {"qa": 1, "nli": 0}


def test_short_answers_of_an_item_with_a_question_are_not_looked_for():
    index = index_of(("qa", "1", QUESTION), ("qa", "1", "国立国会図書館関西館"))
    assert reasons(screen(table_of("国立国会図書館関西館\nへ行った。"), index)) == [None]


def test_a_ruled_line_or_zeros_are_no_item():
    index = index_of(("code", "1", "あ" * 50), ("code", "2", "0" * 200), ("qa", "1", QUESTION))
    assert reasons(screen(table_of("あ" * 80, "0" * 500), index)) == [None, None]
    assert next(task for task in index.tasks if task.task == "code").too_short == 2


def test_thresholds_make_it_stricter():
    text = f"{BEFORE}{QUESTION}{AFTER}"
    count = len(QUESTION.replace("・", "").replace("？", "")) - 19
    for params, dropped in (
        (ContaminationParams(min_ngrams=count), True),
        (ContaminationParams(min_ngrams=count + 1), False),
        (ContaminationParams(share=0.05), True),
        (ContaminationParams(share=0.5), False),
    ):
        made = screen(table_of(text), build_index([("qa", "1", QUESTION)], params), params)
        assert reasons(made) == (["contaminated"] if dropped else [None]), params
        if not dropped:
            assert notes(made) == [None]


def test_cut_takes_the_sentences_that_hold_the_run_and_keeps_the_rest():
    params = ContaminationParams(action="cut", keep_characters=100)
    text = f"{BEFORE}クイズでは「{QUESTION}」と出た。{AFTER}"
    index = build_index([("qa", "1", QUESTION)], params)
    made = screen(table_of(text, f"ああ。{QUESTION}いい。"), index, params)
    assert reasons(made) == [None, "contaminated"]
    assert made.column("text")[0].as_py() == (BEFORE + "と出た。" + AFTER).strip()
    assert made.column("text")[1].as_py() == f"ああ。{QUESTION}いい。"
    note = notes(made)[0]
    assert note is not None
    assert note["action"] == "cut"
    assert note["cut"] == len(text) - len(made.column("text")[0].as_py())
    assert notes(screen(made.slice(0, 1), index, params)) == [None]


def test_what_cutting_brings_together_is_cut_again():
    params = ContaminationParams(action="cut", keep_characters=50)
    first, second = "白い帆の舟が沖へ出ていった。", "だれも手を振らなかったという。"
    index = build_index([("a", "1", QUESTION), ("b", "1", first + second)], params)
    text = f"{BEFORE}{first}{QUESTION}{second}{AFTER}"
    made = screen(table_of(text), index, params)
    assert made.column("text")[0].as_py() == (BEFORE + AFTER).strip()


def test_train_splits_are_flagged_apart():
    train = EvaluationText("qa", "7", QUESTION, "train")
    test = EvaluationText("qa", "8", PASSAGE, "test")
    table = table_of(BEFORE + QUESTION + AFTER, BEFORE + PASSAGE + AFTER, PASSAGE + QUESTION + AFTER)
    made = screen(table, index_of(train, test))
    assert reasons(made) == [None, "contaminated", "contaminated"]
    assert [note and note["action"] for note in notes(made)] == ["flag", "drop", "drop"]
    assert [sorted(note["tasks"]) for note in notes(made) if note] == [
        ["qa (train)"],
        ["qa"],
        ["qa", "qa (train)"],
    ]
    assert made.column("text").to_pylist() == table.column("text").to_pylist()
    params = ContaminationParams(train="drop")
    assert reasons(screen(table, build_index([train, test], params), params)) == ["contaminated"] * 3
    params = ContaminationParams(train="cut", keep_characters=50)
    made = screen(table, build_index([train, test], params), params)
    assert reasons(made) == [None, "contaminated", "contaminated"]
    assert QUESTION not in made.column("text")[0].as_py()
    # What is asked for one split does not soften what is asked for the other.
    params = ContaminationParams(action="cut", train="drop", keep_characters=50)
    made = screen(table, build_index([train, test], params), params)
    assert reasons(made) == ["contaminated", None, "contaminated"]
    # A text that stands in both splits is a text of the test split.
    both = [EvaluationText("qa", "1", QUESTION, "train"), EvaluationText("qa", "1", QUESTION, "test")]
    assert reasons(screen(table.slice(0, 1), build_index(both))) == ["contaminated"]


def test_findings_of_pieces_add_up_to_those_of_the_whole():
    index = index_of(
        ("a", "1", QUESTION),
        ("a", "2", PASSAGE),
        EvaluationText("b", "1", QUESTION + "。", "train"),
        ("c", "x", "あ"),
    )
    table = table_of(BEFORE, QUESTION + AFTER, PASSAGE + AFTER, AFTER, PASSAGE + QUESTION)
    parts = [findings(screen(table.slice(start, 2), index)) for start in (0, 2, 4)]
    whole = findings(screen(table, index))
    assert merged(parts) == merged(reversed(parts)) == whole
    rows = {(row["task"], row["split"]): row for row in report(index, whole)}
    assert rows["a", "test"]["documents"] == rows["a", "test"]["dropped"] == 3
    assert rows["a", "test"]["items_found"] == 2
    assert rows["b", "train"]["documents"] == 2
    assert rows["c", "test"]["documents"] == 0
    assert rows["c", "test"]["too_short"] == 1
    assert [example["key"] for example in rows["a", "test"]["examples"]] == [f"{n:032x}" for n in (1, 2, 4)]
    json.dumps(report(index, whole))


def test_the_index_is_the_same_in_any_order_and_after_a_round_trip(tmp_path: Path):
    items = [("a", str(number), f"{QUESTION}{number}番。{PASSAGE[number:]}") for number in range(30)]
    items += [("b", "1", "短い文はまるごとさがす"), ("a", "1", "日本")]
    paths = []
    for number in range(2):
        index = build_index(items)
        index.save(tmp_path / f"{number}.npz")
        paths.append(tmp_path / f"{number}.npz")
        random.Random(1).shuffle(items)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    loaded = ContaminationIndex.load(paths[0])
    table = table_of(BEFORE + QUESTION + AFTER, "短い文はまるごとさがす", BEFORE)
    assert screen(table, loaded).equals(screen(table, index))
    assert loaded.tasks == index.tasks


def test_mistakes_are_told_in_a_line(tmp_path: Path):
    with pytest.raises(UserError, match="no evaluation texts"):
        build_index([])
    index = index_of(("a", "1", QUESTION))
    with pytest.raises(UserError, match="ngram=20"):
        screen(table_of("x"), index, ContaminationParams(ngram=13))
    broken = tmp_path / "index.npz"
    broken.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a contamination index"):
        ContaminationIndex.load(broken)
    with pytest.raises(ValidationError):
        ContaminationParams(ngram=3)


def test_empty_tables_nulls_and_texts_without_letters():
    index = index_of(("a", "1", QUESTION), ("a", "2", "。。。"), ("a", "3", ""))
    assert screen(table_of(), index).num_rows == 0
    made = screen(table_of(None, "", "。、\n", "😀" * 50), index)
    assert reasons(made) == [None] * 4
    nothing = build_index([("a", "1", "。")])
    assert reasons(screen(table_of(QUESTION, ""), nothing)) == [None, None]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, min_size=1, max_size=4), st.sampled_from(["drop", "cut"]))
@settings(max_examples=60)
def test_any_text_is_screened_alike_by_numba_and_numpy(texts: list[str], items: list[str], action: str):
    params = ContaminationParams(ngram=8, short=4, action=action, keep_characters=5)
    sets = [("t", str(number), text) for number, text in enumerate(items)]
    index = build_index(sets, params)
    table = table_of(*texts, *items, *(f"{text}。\n{item}" for text in texts for item in items))
    made = screen(table, index, params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", "numpy")
        assert screen(table, index, params).equals(made)
        assert screen(table, build_index(sets, params), params).equals(made)
    for before, after in zip(table.column("text").to_pylist(), made.column("text").to_pylist(), strict=True):
        assert len(after) <= len(before)
    # What stays holds nothing of the items any more.
    kept = made.filter(pa.compute.is_null(made.column("reason")))
    assert (
        screen(undecided(kept.drop_columns([OVERLAP])), index, params).column(OVERLAP).null_count
        == kept.num_rows
    )


@pytest.mark.data
def test_planted_items_of_real_sets_are_found_and_literature_is_left_alone(test_data: Path):
    names = ("jsquad_valid-v1.3", "jcommonsenseqa_valid-v1.3", "jsts_valid-v1.3")
    items = [item for name in names for item in read(str(test_data / f"jglue/{name}.json.gz"))]
    items += read(str(test_data / "mt-bench-ja/swallow-202411/question.jsonl"))
    items += read(str(test_data / "mt-bench-en/question.jsonl"))
    index = build_index(items)
    with gzip.open(test_data / "aozora/docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        pages = [json.loads(line)["text"][:3000] for line in lines]
    assert screen(table_of(*pages), index).column(OVERLAP).null_count == len(pages)

    passages = [item.text for item in items if item.task.startswith("jsquad") and " p" in item.item]
    turns = [item.text for item in items if item.task.endswith("/question") and len(item.text) > 120]
    assert len(passages) > 1000
    assert len(turns) > 100
    chosen = random.Random(3).sample(passages, 150) + random.Random(4).sample(turns, 60)
    planted = []
    for number, item in enumerate(chosen):
        page = pages[number % len(pages)]
        layout = list(LAYOUTS.values())[number % 6]
        planted.append(f"{page[:700]}\n{layout(item)}\n{page[700:1500]}")
    made = screen(table_of(*planted), index)
    assert [chosen[row] for row, reason in enumerate(reasons(made)) if reason is None] == []
