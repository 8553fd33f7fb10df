"""data.import: scored answers (UltraFeedback), weights (SlimOrca), `where`, the benchmark mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from watari.artifact.dataset_facts import meta_fields
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import Inputs, Silent
from watari.data.importing import Params, output_kind, run
from watari.errors import UserError

Rows = list[dict[str, Any]]


def load(folder: Path, rows: Rows, **params: Any) -> tuple[dict[str, Any], Rows]:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    metrics = run(Params(path=str(path), **params), Inputs(), out, Silent()).metrics
    return metrics, list(read_rows(out))


def reasons(folder: Path) -> dict[str | None, str]:
    table = pq.read_table(folder / "out" / "dropped.parquet").to_pylist()
    return {row["id"]: row["reason"] for row in table}


def completion(text: str, overall: Any, fine: Any = None, model: str = "m", **more: Any) -> dict[str, Any]:
    return {"response": text, "overall_score": overall, "fine-grained_score": fine, "model": model, **more}


PUBLISHED = {
    "source": "somewhere",
    "instruction": "Why do cats purr?",
    "completions": [
        completion("No idea.", 2.0, 1.5, "small"),
        completion("They purr when they are content, and to calm themselves.", 9.0, 4.75, "large"),
        completion("Cats are animals.", 5.0, 3.0, "middle"),
        completion("This one has a misread score.", 10.0, 1.25, "broken"),
        completion("", 8.0, 4.0, "silent"),
        completion("Nobody rated this.", None, None, "unrated"),
    ],
}


def test_published_ultrafeedback_as_a_pair(tmp_path: Path) -> None:
    _, (row,) = load(tmp_path, [PUBLISHED], format="ultrafeedback")
    assert row["prompt"] == [{"role": "user", "content": "Why do cats purr?"}]
    assert (row["chosen_by"], row["rejected_by"]) == ("large", "broken")
    assert (row["score_chosen"], row["score_rejected"]) == (9.0, 1.0)
    assert row["source"] == "somewhere"
    assert "completions" not in row


@pytest.mark.parametrize(("against", "model"), [("worst", "broken"), ("next", "middle")])
def test_which_answer_is_rejected(tmp_path: Path, against: str, model: str) -> None:
    _, (row,) = load(tmp_path, [PUBLISHED], format="ultrafeedback", against=against)
    assert row["rejected_by"] == model


def test_a_random_rejected_answer_is_a_keyed_draw(tmp_path: Path) -> None:
    rows = [{**PUBLISHED, "instruction": f"Question {number}?"} for number in range(60)]
    _, first = load(tmp_path, rows, format="ultrafeedback", against="random")
    _, again = load(tmp_path, rows[::-1], format="ultrafeedback", against="random")
    of = {row["prompt"][0]["content"]: row["rejected_by"] for row in first}
    assert of == {row["prompt"][0]["content"]: row["rejected_by"] for row in again}
    assert set(of.values()) == {"small", "middle", "broken"}


def test_fine_grained_scores_and_ratings_that_are_texts(tmp_path: Path) -> None:
    rated = {"helpfulness": {"Rating": "5"}, "honesty": {"Rating": "N/A"}, "truthfulness": {"Rating": "4"}}
    row = {
        "instruction": "Q?",
        "completions": [completion("a", 3.0, None, annotations=rated), completion("b", 9.0, 2.0)],
    }
    _, (made,) = load(tmp_path, [row], format="ultrafeedback", score="fine-grained")
    assert (made["chosen"], made["score_chosen"], made["rejected"]) == ("a", 4.5, "b")


def test_best_answers_as_conversations_from_a_score_on(tmp_path: Path) -> None:
    low = {"id": "low", "instruction": "Other?", "completions": [completion("meh", 8.5)]}
    params = Params(path="x.jsonl", format="ultrafeedback", make="conversations", min_score=9)
    assert output_kind(params) is Kind.CONVERSATIONS
    metrics, (row,) = load(
        tmp_path, [PUBLISHED, low], format="ultrafeedback", make="conversations", min_score=9
    )
    assert row["messages"][-1]["content"].startswith("They purr")
    assert (row["score"], row["model"]) == (9.0, "large")
    assert reasons(tmp_path) == {"low": "score below min_score"}
    assert metrics["rows_in"] == metrics["kept"] + metrics["dropped"] == 2


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q?", "chosen": turns("Q?", "good"), "rejected": turns("Q?", "bad"), "messages": turns("Q?", "good"),
         "score_chosen": 9.0, "score_rejected": 3.5},
        {"instruction": "Q?", "chosen_response": "good", "rejected_response": "bad", "chosen_avg_rating": 9.0,
         "rejected_avg_rating": 3.5, "chosen_model": "large"},
        {"prompt": "Q?", "chosen": turns("Q?", "good"), "rejected": turns("Q?", "bad"), "chosen-rating": 9.0,
         "rejected-rating": 3.5, "chosen-model": "large", "rejected-model": "small"},
        {"instruction": "Q?", "generations": ["bad", "good", "ill"], "ratings": [3.5, 9.0, None],
         "generation_models": ["small", "large", "x"]},
    ],
)  # fmt: skip
def test_every_binarised_form(tmp_path: Path, row: dict[str, Any]) -> None:
    _, (made,) = load(tmp_path, [row], format="ultrafeedback")
    assert (made["chosen"], made["rejected"]) == ("good", "bad")
    assert (made["score_chosen"], made["score_rejected"]) == (9.0, 3.5)
    assert made["prompt"] == turns("Q?")


def test_pairs_that_say_nothing_are_in_the_ledger(tmp_path: Path) -> None:
    rows = [
        {"id": "tie", "instruction": "1?", "completions": [completion("a", 7), completion("b", 7)]},
        {"id": "close", "instruction": "2?", "completions": [completion("a", 7), completion("b", 6.5)]},
        {"id": "clear", "instruction": "3?", "completions": [completion("a", 7), completion("b", 2)]},
    ]
    _, (row,) = load(tmp_path, rows, format="ultrafeedback", min_margin=1)
    assert row["id"] == "clear"
    assert reasons(tmp_path) == {"tie": "no answer with a lower score", "close": "margin below min_margin"}


def test_score_parameters_belong_to_scored_rows() -> None:
    with pytest.raises(ValidationError, match="min_score: only `format: ultrafeedback`"):
        Params(path="x.jsonl", format="sharegpt", min_score=9)


def test_rows_without_scores_are_named(tmp_path: Path) -> None:
    row = {"prompt": "Q?", "chosen": "good", "rejected": "bad"}
    with pytest.raises(UserError, match=r"line 1: no score of 'chosen'"):
        load(tmp_path, [row], format="ultrafeedback")


def orca(*weights: float | None) -> dict[str, Any]:
    names = ["system", "human", "gpt", "human", "gpt"]
    texts = ["Be kind.", "Hi", "Hello!", "And?", "Well."]
    return {
        "conversations": [
            {"from": name, "value": text, "weight": weight}
            for name, text, weight in zip(names, texts, weights, strict=False)
        ]
    }


def test_slimorca_weights_that_say_nothing_leave_no_trace(tmp_path: Path) -> None:
    _, (row,) = load(tmp_path, [orca(None, 0.0, 1.0)], format="slimorca", license="MIT")
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
    assert row["license"] == "MIT"
    assert meta_fields(row) == {}


def test_slimorca_weights_that_say_something_are_kept(tmp_path: Path) -> None:
    _, (row,) = load(tmp_path, [orca(0.0, 0.0, 0.0, 0.0, 1.0)], format="slimorca")
    assert meta_fields(row)["weights"] == [0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (0.0, "no answer has a weight above 0"),
        (1.5, "field 'weight' is no number from 0 to 1"),
        ("much", "field 'weight' is no number from 0 to 1"),
    ],
)
def test_slimorca_rows_that_teach_nothing_are_faults(tmp_path: Path, weight: Any, reason: str) -> None:
    sound = orca(None, 0.0, 1.0, 0.0, 1.0)
    metrics, _ = load(tmp_path, [orca(None, 0.0, weight), sound], format="slimorca", on_error="drop")
    assert metrics["dropped_by_reason"] == {reason: 1}


WHERE_ROWS: Rows = [
    {"id": "ja", "messages": turns("こんにちは", "はい、こんにちは。")},
    {"id": "en", "messages": turns("Hello", "Hello to you.")},
    {"id": "long", "messages": turns("Hello", "Hello " * 50)},
    {"id": "topic", "topic": "cats", "messages": turns("Hi", "Hi!")},
]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"language": "ja"}, ["ja"]),
        ({"characters": {"max": 60}}, ["ja", "en", "topic"]),
        ({"answer_characters": {"min": 13, "max": 60}}, ["en"]),
        ({"turns": 2, "language": ["en"]}, ["en", "long", "topic"]),
        ({"topic": "cats"}, ["topic"]),
    ],
)
def test_where(tmp_path: Path, where: dict[str, Any], kept: list[str]) -> None:
    metrics, rows = load(tmp_path, WHERE_ROWS, format="messages", where=where)
    assert [row["id"] for row in rows] == kept
    assert metrics["rows_in"] == 4 == metrics["kept"] + metrics["dropped"]
    assert set(reasons(tmp_path).values()) <= {f"where: {column}" for column in where}


def test_where_with_a_column_that_no_row_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no row has a column 'topik'"):
        load(tmp_path, WHERE_ROWS, format="messages", where={"topik": "cats"})


def test_where_counts_the_messages_of_a_tree(tmp_path: Path) -> None:
    def tree(name: str, lang: str) -> dict[str, Any]:
        answer = {"message_id": f"{name}1", "role": "assistant", "text": "So.", "rank": 0, "lang": lang}
        return {
            "message_tree_id": name,
            "prompt": {
                "message_id": name,
                "role": "prompter",
                "text": "How?",
                "lang": lang,
                "replies": [answer],
            },
        }

    metrics, rows = load(
        tmp_path, [tree("a", "en"), tree("b", "de")], format="oasst", where={"language": "en"}
    )
    assert [row["id"] for row in rows] == ["a"]
    assert reasons(tmp_path) == {"b": "where: language", "b1": "where: language"}
    assert (metrics["rows_in"], metrics["kept"]) == (4, 2)


def test_a_split_of_a_benchmark_says_so_in_every_row(tmp_path: Path) -> None:
    _, rows = load(tmp_path, WHERE_ROWS, format="messages", benchmark="jcommonsenseqa")
    assert {meta_fields(row)["benchmark"] for row in rows} == {"jcommonsenseqa"}
