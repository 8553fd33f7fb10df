"""Evaluation sets in every form that they come in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watari.errors import UserError
from watari.text.evaluation_sets import EvaluationText, read, read_all, task_name


def texts(path: Path, **options: object) -> list[tuple[str, str]]:
    return [(row.item, row.text) for row in read(str(path), **options)]


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def test_rows_of_any_form_give_all_their_texts_but_no_ids_and_labels(tmp_path: Path):
    rows = [
        {
            "q_id": 3,
            "question": "電車が止まる場所は？",
            "choice0": "駅",
            "label": 0,
            "url": "https://x.jp/駅",
        },
        {"q_id": 4, "question": "海は？", "choice0": "長" * 40, "label": 1, "url": None},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(lines.encode()))
    write(tmp_path / "c.json", rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    with pa.CompressedOutputStream(str(tmp_path / "e.jsonl.zst"), "zstd") as file:
        file.write(lines.encode())
    (tmp_path / "f.tsv").write_text(
        "q_id\tquestion\tchoice0\tlabel\turl\n3\t電車が止まる場所は？\t駅\t0\thttps://x.jp/駅\n"
        f"4\t海は？\t{'長' * 40}\t1\t\n",
        "utf-8",
    )
    (tmp_path / "g.csv").write_text(
        f'q_id,question,choice0,label,url\n3,電車が止まる場所は？,駅,0,\n4,"海は？",{"長" * 40},1,\n', "utf-8"
    )
    wanted = [("3", "電車が止まる場所は？"), ("4", "海は？"), ("4", "長" * 40)]
    for name in ("a.jsonl", "b.json.gz", "c.json", "d.parquet", "e.jsonl.zst", "f.tsv", "g.csv"):
        assert texts(tmp_path / name) == wanted, name
    assert texts(tmp_path / "a.jsonl", fields=["choice0"]) == [("3", "駅"), ("4", "長" * 40)]
    assert {row.task for row in read(str(tmp_path / "a.jsonl"))} == {"a"}
    assert {row.task for row in read(str(tmp_path / "a.jsonl"), task="jcqa")} == {"jcqa"}


def test_squad_gives_each_passage_once_and_its_questions(tmp_path: Path):
    question = {"id": "q1", "question": "何？", "answers": [{"text": "雨", "answer_start": 0}]}
    paragraph = {"context": "梅雨である。", "qas": [question, {**question, "id": "q2", "question": "いつ？"}]}
    path = write(
        tmp_path / "jsquad.json", {"version": "1", "data": [{"title": "梅雨", "paragraphs": [paragraph]}]}
    )
    assert texts(path) == [("梅雨 p0", "梅雨である。"), ("q1", "何？"), ("q2", "いつ？")]
    assert texts(path, fields=["question"]) == [("q1", "何？"), ("q2", "いつ？")]


def test_llm_jp_eval_gives_samples_and_tells_its_few_shots_apart(tmp_path: Path):
    document = {
        "instruction": "答えよ。",
        "metrics": ["exact_match"],
        "samples": [{"input": "前提：雨が降る", "output": "entailment"}],
        "few_shots": [{"input": "前提：晴れる", "output": "neutral"}],
    }
    rows = list(read(str(write(tmp_path / "jnli.json", document))))
    assert rows == [
        EvaluationText("jnli", "samples 1", "前提：雨が降る", "test"),
        EvaluationText("jnli", "few_shots 1", "前提：晴れる", "train"),
    ]


def test_mt_bench_gives_turns_under_its_folders_name(tmp_path: Path):
    row = {"question_id": 81, "category": "writing", "turns": ["旅行記を書いて。", "詩にして。"]}
    path = tmp_path / "mt-bench-ja" / "question.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert list(read(str(path))) == [
        EvaluationText("mt-bench-ja/question", "81", "旅行記を書いて。", "test"),
        EvaluationText("mt-bench-ja/question", "81", "詩にして。", "test"),
    ]
    # One row may be the whole file.
    assert texts(write(tmp_path / "one" / "q.json", row)) == [
        ("81", "旅行記を書いて。"),
        ("81", "詩にして。"),
    ]


def test_other_objects_give_the_rows_of_their_lists(tmp_path: Path):
    path = write(tmp_path / "x.json", {"name": "長い名前", "items": [{"text": "あ"}, {"text": "い"}]})
    assert texts(path) == [("name", "長い名前"), ("items 1", "あ"), ("items 2", "い")]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("jcommonsenseqa_train-v1.3.jsonl", "train"),
        ("gsm8k-train.jsonl", "train"),
        ("train.jsonl", "train"),
        ("jsquad_valid-v1.3.jsonl", "test"),
        ("trains.jsonl", "test"),
        ("constraint.jsonl", "test"),
        ("retrain.jsonl", "test"),
        ("dev_ver1.2.jsonl", "test"),
    ],
)
def test_the_split_is_in_the_name(tmp_path: Path, name: str, split: str):
    path = tmp_path / name
    path.write_text('{"text": "あ"}\n', "utf-8")
    assert [row.split for row in read(str(path))] == [split]
    assert [row.split for row in read(str(path), split="test")] == ["test"]


def test_a_row_may_say_its_split(tmp_path: Path):
    path = tmp_path / "janli.jsonl"
    path.write_text('{"text": "あ", "split": "train"}\n{"text": "い", "split": "test"}\n', "utf-8")
    assert [(row.text, row.split) for row in read(str(path))] == [("あ", "train"), ("い", "test")]


def test_names_of_tasks():
    assert task_name("/data/jglue/jnli_valid-v1.3.json.gz") == "jnli_valid-v1.3"
    assert task_name("/data/mt-bench-en/question.jsonl") == "mt-bench-en/question"
    assert task_name("jsick/test.tsv.gz") == "jsick/test"
    assert task_name("hf://datasets/org/set/dev_ver1.2.parquet") == "set/dev_ver1.2"


def test_several_locations_at_once(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n', "utf-8")
    rows = list(read_all([str(tmp_path / "a.jsonl")], tasks={"other": str(tmp_path / "b.jsonl")}))
    assert [(row.task, row.text) for row in rows] == [("a", "a"), ("other", "b")]
    assert [row.task for row in read(str(tmp_path))] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{oops\n', "line 2: not JSON"),
        ("a.jsonl", b'{"id": 1}\n', "no text in this evaluation set"),
        ("a.json.gz", b"no gzip", "damaged file"),
        ("a.tsv", b"a\tb\n\xff\t1\n", "not UTF-8"),
        ("a.bin", b"", "suffix"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read(str(tmp_path / name)))


def test_a_chosen_field_must_be_there(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n', "utf-8")
    with pytest.raises(UserError, match="no field prompt"):
        list(read(str(path), fields=["prompt"]))


@pytest.mark.data
def test_real_sets(test_data: Path):
    passages = list(read(str(test_data / "jglue/jsquad_valid-v1.3.json.gz")))
    assert len(passages) == 1145 + 4442
    assert len({row.item for row in passages}) == 1145 + 4442
    nli = list(read(str(test_data / "janli/janli.tsv.gz")))
    assert {row.split for row in nli} == {"train", "test"}
    english = {row.text for row in read(str(test_data / "mt-bench-en/question.jsonl"))}
    assert any(text.startswith("Compose an engaging travel blog post") for text in english)
