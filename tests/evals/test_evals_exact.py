"""eval.exact: what counts as right, how it is asked, what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from made_artifacts import as_input
from tiny_llama import make_folder
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows, write_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.evals.answers import canonical, is_right
from watari.evals.exact import Params, run
from watari.evals.questions import Question, Shots, chat_prompt, completion_prompt
from watari.generate.local import LocalModel, Response
from watari.generate.sampler import GREEDY
from watari.stats import wilson

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("answer", "accepted", "language", "right"),
    [
        ("三つです。", ["三つです"], "ja", True),
        (" ３つ \n", ["3つ"], "ja", True),
        ("ABC", ["abc"], "ja", False),
        ("A  Red Ball.", ["a red ball"], "en", True),
        ("Yes!", ["yes", "true"], "en", True),
        ("はい！", ["はい"], "ja", True),
        ("はい、三つです", ["三つです"], "ja", False),
        ("", [""], "en", False),
        ("。", ["。"], "ja", False),
    ],
)
def test_what_counts_as_right(answer: str, accepted: list[str], language: str, right: bool) -> None:
    assert is_right(answer, accepted, language) is right


def test_canonical_form_is_stable() -> None:
    for text in ("Ｙｅｓ！。 ", " a . ", "㌔"):
        once = canonical(text, "en")
        assert canonical(once, "en") == once


def question(id_: str, language: str = "ja", **more: Any) -> Question:
    fields: dict[str, Any] = {
        "group": "count",
        "messages": [{"role": "user", "content": f"問い{id_}"}],
        "completion_prompt": f"質問：{id_}\n答え：" if language == "ja" else f"Question: {id_}\nAnswer:",
        "answers": [f"答{id_}", "別"],
    }
    return Question(id=id_, language=language, **{**fields, **more})


def test_shots_are_of_the_language_and_never_the_question_itself() -> None:
    examples = [question(str(i), "ja" if i % 2 else "en") for i in range(8)]
    shots = Shots(examples, 3, seed=1)
    for asked in examples:
        found = shots.before(asked)
        assert len(found) == 3
        assert {shot.language for shot in found} == {asked.language}
        assert asked not in found
    assert shots.before(question("new")) == Shots(examples[::-1], 3, seed=1).before(question("other"))
    with pytest.raises(UserError, match="few_shot: 4 examples in ja"):
        Shots(examples, 4, seed=1).before(examples[1])


def test_prompts() -> None:
    system = {"role": "system", "content": "短く"}
    asked = question("1", messages=[system, {"role": "user", "content": "問い1"}])
    shot = question("2", messages=[system, {"role": "user", "content": "問い2"}])
    assert chat_prompt(asked, [shot]) == [
        system,
        {"role": "user", "content": "問い2"},
        {"role": "assistant", "content": "答2"},
        {"role": "user", "content": "問い1"},
    ]
    assert completion_prompt(asked, [shot]) == "質問：2\n答え：答2\n\n質問：1\n答え："
    english = completion_prompt(question("1", "en"), [question("2", "en", answers=["yes"])])
    assert english == "Question: 2\nAnswer: yes\n\nQuestion: 1\nAnswer:"
    with pytest.raises(UserError, match="no `completion_prompt`"):
        completion_prompt(question("1", completion_prompt=""), [])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    return as_input("chat", make_folder(tmp_path_factory.mktemp("model"), seed=3), Kind.MODEL)


def questions_of(folder: Path, rows: list[dict[str, Any]], name: str = "questions") -> InputArtifact:
    write_rows(folder / name / "rows.parquet", Kind.CONVERSATIONS, rows)
    return as_input(name, folder / name, Kind.CONVERSATIONS)


def examine(
    out: Path,
    model: InputArtifact,
    asked: InputArtifact,
    *,
    examples: InputArtifact | None = None,
    **params: Any,
) -> Any:
    out.mkdir(exist_ok=True)
    found = {"model": [model], "questions": [asked]} | ({"examples": [examples]} if examples else {})
    checked = Params(model="chat", questions="questions", examples="examples" if examples else None, **params)
    return run(checked, Inputs(found), out, Silent())


def scripted(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[str, str]]) -> None:
    """Let the model answer by a list: id → (text, finish reason)."""

    def generate(
        self: LocalModel, prompts: Any, sampler: Any, *, ids: Any, on_batch: Any, **_: Any
    ) -> list[Response]:
        on_batch(len(prompts))
        return [
            Response(answers[id_][0], answers[id_][1], 3, 2, str(prompt))  # type: ignore[arg-type]
            for id_, prompt in zip(ids, prompts, strict=True)
        ]

    monkeypatch.setattr(LocalModel, "generate", generate)


KINDS = [("right。", "stop"), ("wrong", "stop"), (" ", "stop"), ("right", "length")]


def twenty_four() -> tuple[list[dict[str, Any]], dict[str, tuple[str, str]]]:
    rows: list[dict[str, Any]] = []
    for number in range(24):
        rows.append(
            {
                "id": f"q{number}",
                "messages": [{"role": "user", "content": f"Say {number} 赤い"}],
                "answers": ["nothing", "right"],
                "language": ("ja", "en")[number % 2],
                "group": "first" if number < 12 else "second",
                "completion_prompt": f"Text {number}\nAnswer:",
            }
        )
    # ja: 9 of 12 right, 1 empty; en: 3 of 12 right, 2 empty, 3 cut off.
    script = [0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 2, 0, 2, 0, 3, 2, 3, 0, 3, 0, 0, 1, 0]
    return rows, {f"q{number}": KINDS[kind] for number, kind in enumerate(script)}


@pytest.mark.parametrize("style", ["chat", "completion"])
def test_an_examination(
    tmp_path: Path, model: InputArtifact, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, answers = twenty_four()
    scripted(monkeypatch, answers)
    asked = questions_of(tmp_path, rows)
    metrics = examine(tmp_path / "o", model, asked, style=style).metrics
    scores = {row["group"]: row for row in read_rows(tmp_path / "o")}
    assert set(scores) == {f"{lang}{group}" for lang in ("ja", "en") for group in ("", "/first", "/second")}
    assert (scores["ja"]["value"], scores["ja"]["n"], scores["ja"]["invalid"]) == (0.75, 12, 1)
    assert (scores["en"]["value"], scores["en"]["n"], scores["en"]["invalid"]) == (0.25, 12, 5)
    assert scores["ja/first"]["value"] == pytest.approx(5 / 6, abs=1e-6)
    expected = wilson(9, 12)
    assert scores["ja"]["ci_low"] == pytest.approx(expected.low, abs=1e-6)
    assert scores["ja"]["ci_high"] == pytest.approx(expected.high, abs=1e-6)
    assert metrics["en"]["all"]["value"] == 0.25
    assert metrics["en"]["second"] == {
        **{name: scores["en/second"][name] for name in ("value", "n", "ci_low", "ci_high", "invalid")}
    }
    made = pq.read_table(tmp_path / "o" / "generations.parquet").to_pylist()
    assert [row["item_id"] for row in made] == [row["id"] for row in rows]
    assert sum(row["right"] for row in made) == 12
    assert len({row["id"] for row in made}) == 24
    samples = [
        json.loads(line) for line in (tmp_path / "o" / "samples.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(samples) == 20
    assert sum(sample["language"] == "ja" for sample in samples) == 10


@pytest.mark.parametrize("style", ["chat", "completion"])
def test_a_real_model_gives_the_same_bytes_again(tmp_path: Path, model: InputArtifact, style: str) -> None:
    rows, _ = twenty_four()
    local = LocalModel(model.path, device="cpu")
    sampler = GREEDY.with_settings(max_new_tokens=12, stop=() if style == "chat" else ("\n",))
    prompts = [row["messages"] if style == "chat" else row["completion_prompt"] for row in rows]
    expected = [response.text for response in local.generate(prompts, sampler)]
    asked = questions_of(tmp_path, rows)
    for name in ("o", "p"):
        examine(tmp_path / name, model, asked, style=style, max_new_tokens=12)
    for name in ("rows.parquet", "generations.parquet", "samples.jsonl"):
        assert hash_file(tmp_path / "o" / name) == hash_file(tmp_path / "p" / name)
    made = pq.read_table(tmp_path / "o" / "generations.parquet").to_pylist()
    assert [row["response"] for row in made] == expected
    assert str(tmp_path) not in json.dumps(made)


def test_few_shot_examples_reach_the_model(tmp_path: Path, model: InputArtifact) -> None:
    rows, _ = twenty_four()
    examples = questions_of(tmp_path, rows[12:], "examples")
    asked = questions_of(tmp_path, rows[:2])
    examine(tmp_path / "o", model, asked, examples=examples, few_shot=2, max_new_tokens=4)
    prompt = pq.read_table(tmp_path / "o" / "generations.parquet").to_pylist()[0]["rendered_prompt"]
    assert prompt.count("### User:") == 3
    assert "### Assistant: nothing" in prompt
    with pytest.raises(ValueError, match="few_shot needs examples"):
        Params(model="chat", questions="questions", few_shot=1)


def test_the_answer_may_stand_in_the_conversation(tmp_path: Path, model: InputArtifact) -> None:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    asked = questions_of(tmp_path, [{"id": "a", "messages": turns, "language": "en"}])
    assert examine(tmp_path / "o", model, asked, max_new_tokens=2).metrics["en"]["all"]["n"] == 1
    (sample,) = (tmp_path / "o" / "samples.jsonl").read_text("utf-8").splitlines()
    assert json.loads(sample)["answers"] == ["y"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"id": "a", "messages": [{"role": "user", "content": "x"}]},
            r"questions: row 1 \(a\): no accepted answers",
        ),
        ({"id": "a", "messages": [{"role": "assistant", "content": "x"}], "answers": ["y"]}, "no question"),
        ({"id": "a", "messages": None, "answers": ["y"]}, "no question"),
        (
            {"id": "a", "messages": [{"role": "user", "content": "x"}], "answers": [" "]},
            "no accepted answers",
        ),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(
    tmp_path: Path, model: InputArtifact, row: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        examine(tmp_path / "o", model, questions_of(tmp_path, [row]))


def test_a_base_model_is_told_to_complete(tmp_path: Path) -> None:
    base = as_input("base", make_folder(tmp_path / "model", template=None), Kind.MODEL)
    row = {"id": "a", "messages": [{"role": "user", "content": "x"}], "answers": ["y"]}
    with pytest.raises(UserError, match=r"base: no chat template.*style: completion"):
        examine(tmp_path / "o", base, questions_of(tmp_path, [row]))


def test_stopping_is_heard(tmp_path: Path, model: InputArtifact) -> None:
    class Asked(Silent):
        def stop_requested(self) -> bool:
            return True

    row = {"id": "a", "messages": [{"role": "user", "content": "x"}], "answers": ["y"]}
    inputs = Inputs({"model": [model], "questions": [questions_of(tmp_path, [row])]})
    with pytest.raises(Interrupted):
        run(Params(model="chat", questions="questions", max_new_tokens=1), inputs, tmp_path, Asked())
