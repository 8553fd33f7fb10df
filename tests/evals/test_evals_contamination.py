"""Planted questions are found by task, in every kind of training data, and scores are told without them."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import made_mixtures
from watari.artifact.kinds import Kind
from watari.artifact.manifest import InputEntry, Manifest, list_files, now, read_manifest, write_manifest
from watari.artifact.rows import write_rows
from watari.artifact.stage import Inputs, Silent
from watari.cli.main import app
from watari.corpus import build
from watari.errors import UserError
from watari.evals.contamination import find_contamination, without_touched
from watari.evals.intervals import figure_of
from watari.evals.registry import evaluation_texts, write_texts
from watari.evals.result import Result, Unit
from watari.evals.training_rows import TrainingRow, training_rows
from watari.text.evaluation_sets import EvaluationText

QUESTIONS = {
    "1": "縄文時代の終わりごろに大陸から伝わった稲作は、まずどの地方に広まったと考えられていますか。",
    "2": "江戸時代に参勤交代の制度を定めた将軍は誰で、その目的は何だったと説明されていますか。",
    "3": "光合成が行われる葉緑体の中で、光エネルギーを受け取る色素の名前を二つ挙げてください。",
}
PROSE = (
    "きのうは川の向こうの市場まで歩いて、野菜と魚を買った。帰り道で雨に降られたので、橋の下でしばらく待った。"
)


def asked(questions: dict[str, str] = QUESTIONS, task: str = "history") -> list[EvaluationText]:
    return [EvaluationText(task, item, text) for item, text in questions.items()]


def rows_of(*texts: str) -> list[TrainingRow]:
    return [TrainingRow(f"row {n}", text) for n, text in enumerate(texts, 1)]


def test_planted_items_are_found_and_others_are_not() -> None:
    spread = "\n".join(QUESTIONS["2"][n : n + 9] for n in range(0, 50, 9))
    found = find_contamination(
        asked(), rows_of(PROSE, f"{PROSE}{QUESTIONS['1']}{PROSE}", f"問い：{spread}", QUESTIONS["1"])
    )
    assert [(touch.item, touch.how, touch.rows, touch.place) for touch in found.touches] == [
        ("1", "exact", 2, "row 2"),
        ("2", "exact", 1, "row 3"),
    ]
    assert found.touches[0].text.startswith("縄文時代")
    (task,) = found.tasks
    assert (task.task, task.items, task.touched, task.exact, task.too_short) == ("history", 3, 2, 2, 0)
    assert task.share == pytest.approx(2 / 3)
    assert (found.rows, found.characters) == (
        4,
        2 * len(QUESTIONS["1"]) + 3 * len(PROSE) + len(f"問い：{spread}"),
    )


def test_a_part_of_an_item_is_a_run_and_the_closest_row_is_shown() -> None:
    part = QUESTIONS["1"][:35]
    found = find_contamination(asked(), rows_of(f"{part}という話を読んだ。", f"「{QUESTIONS['1']}」"))
    (touch,) = found.touches
    assert (touch.how, touch.rows, touch.place) == ("exact", 2, "row 2")
    (touch,) = find_contamination(asked(), rows_of(f"{part}という話を読んだ。")).touches
    assert (touch.how, touch.text) == ("run", part)


def test_the_question_without_its_choices_is_the_item() -> None:
    item = f"質問：{QUESTIONS['3']}\n選択肢：0.赤 1.青 2.緑"
    (touch,) = find_contamination([EvaluationText("jcq", "9", item)], rows_of(QUESTIONS["3"])).touches
    assert touch.how == "exact"


def test_a_passage_alone_is_a_run_not_the_item() -> None:
    """JSQuAD: Wikipedia's paragraph is in every corpus; its question is not."""
    asked = QUESTIONS["1"]
    tests = [EvaluationText("jsquad", "1", text) for text in (f"文章：{PROSE * 2}\n質問：{asked}", asked)]
    (touch,) = find_contamination(tests, rows_of(PROSE * 2)).touches
    assert touch.how == "run"
    (touch,) = find_contamination(tests, rows_of(PROSE * 2, asked)).touches
    assert (touch.how, touch.rows, touch.place) == ("exact", 2, "row 2")


def test_items_too_short_to_look_for_are_told() -> None:
    tests = [*asked(), EvaluationText("sums", "1", "1 + 1 = ?")]
    history, sums = find_contamination(tests, rows_of("1 + 1 = ? " * 9)).tasks
    assert (sums.items, sums.too_short, sums.touched) == (1, 1, 0)
    assert history.touched == 0


def test_order_and_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(*(PROSE + text for text in QUESTIONS.values()), PROSE, QUESTIONS["2"])
    whole = find_contamination(asked(), rows)
    monkeypatch.setattr("watari.evals.contamination._BATCH", 2)
    assert find_contamination(reversed(asked()), rows) == whole


def test_nothing_to_look_for_or_in_is_refused() -> None:
    with pytest.raises(UserError, match="no evaluation texts"):
        find_contamination([], rows_of(PROSE))
    for rows in ([], rows_of("", "")):
        with pytest.raises(UserError, match="hold no text"):
            find_contamination(asked(), rows)


def test_texts_that_cannot_be_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "texts", "llm-jp-eval-1.0", "--out", str(tmp_path)])
    assert isinstance(done.exception, UserError)


# Training data.


def artifact(
    folder: Path,
    kind: Kind,
    rows: list[dict[str, Any]],
    *,
    uses: str = "data.import",
    made_from: Path | None = None,
) -> Path:
    """An artifact with these rows; one of another kind than texts has none."""
    folder.mkdir(parents=True)
    if kind in (Kind.DOCUMENTS, Kind.CONVERSATIONS, Kind.PREFERENCES):
        write_rows(folder / "rows.parquet", kind, rows)
    inputs = []
    if made_from is not None:
        source = read_manifest(made_from)
        inputs.append(
            InputEntry(
                parameter="data", name=made_from.name, kind=source.kind, key=source.key, digest=source.digest
            )
        )
    manifest = Manifest(
        kind=kind, uses=uses, stage_version=1, key=folder.name, digest=folder.name, parameters={}, inputs=inputs,
        files=list_files(folder), started=now(), finished=now(), seconds=0.0,
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


def chat(*turns: str) -> list[dict[str, str]]:
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(turns)]


def test_artifacts_of_every_kind_are_searched(tmp_path: Path) -> None:
    base: dict[str, Any] = {"language": "ja", "source": "s", "license": "x"}
    made = [
        artifact(tmp_path / "docs", Kind.DOCUMENTS, [{**base, "id": "d1", "text": QUESTIONS["1"]}]),
        artifact(
            tmp_path / "talk",
            Kind.CONVERSATIONS,
            [{**base, "id": "c1", "messages": chat(PROSE, "はい。", QUESTIONS["2"], "家光です。")}],
        ),
        artifact(
            tmp_path / "pairs",
            Kind.PREFERENCES,
            [{**base, "id": "p1", "prompt": chat(PROSE), "chosen": QUESTIONS["3"], "rejected": "いいえ。"}],
        ),
    ]
    found = find_contamination(asked(), training_rows([str(path) for path in made]))
    assert [(touch.item, touch.place) for touch in found.touches] == [
        ("1", "docs: d1"),
        ("2", "talk: c1"),
        ("3", "pairs: p1"),
    ]


def test_plain_files_and_what_cannot_be_searched(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(f"{PROSE}\n{QUESTIONS['1']}\n", "utf-8")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"id": QUESTIONS["3"], "conversations": [{"from": "human", "value": QUESTIONS["2"]}]})
        + "\n",
        "utf-8",
    )
    files = [str(tmp_path / "text.txt"), str(tmp_path / "rows.jsonl")]
    found = find_contamination(asked(), training_rows(files))
    assert [touch.item for touch in found.touches] == ["1", "2"]
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a"}\n{"text": \n', "utf-8")
    with pytest.raises(UserError, match=r"broken\.jsonl: line 2"):
        list(training_rows([str(broken)]))
    tokens = artifact(tmp_path / "packed", Kind.TOKENS, [])
    with pytest.raises(UserError, match="holds no texts"):
        list(training_rows([str(tokens)]))
    with pytest.raises(UserError):
        list(training_rows([str(tmp_path / "none.jsonl")]))


def test_a_run_gives_what_it_trained_on(tmp_path: Path) -> None:
    """Tokens are followed to the documents that they were packed from; questions that were only asked are not data."""
    stages = tmp_path / "run" / "stages"
    row = {"id": "1", "language": "ja", "source": "s", "license": "x"}
    web = artifact(stages / "web", Kind.DOCUMENTS, [{**row, "text": QUESTIONS["1"]}])
    artifact(stages / "questions", Kind.CONVERSATIONS, [{**row, "messages": chat(QUESTIONS["2"])}])
    packed = artifact(stages / "packed", Kind.TOKENS, [], uses="tokens.pack", made_from=web)
    artifact(stages / "base", Kind.MODEL, [], uses="train.pretrain", made_from=packed)
    found = find_contamination(asked(), training_rows([str(tmp_path / "run")]))
    assert [touch.item for touch in found.touches] == ["1"]
    (stages / "base" / "manifest.json").unlink()
    with pytest.raises(UserError, match="no stage of this run trained"):
        list(training_rows([str(tmp_path / "run")]))


# Scores without.


def test_scores_with_and_without() -> None:
    units = tuple(Unit(str(n), "", "history", 1, 0, 10.0 if n < 3 else 4.0 + n % 2) for n in range(13))
    result = Result("s/1", "m", "j", "overall", {"overall": figure_of(units)}, units)
    tests = [EvaluationText("history", str(n), f"{n}番目の問い。{PROSE}{n}") for n in range(13)]
    touches = find_contamination(tests[:3], rows_of(*(test.text for test in tests[:3]))).touches
    found = without_touched(result, touches)
    assert found.overall.value == pytest.approx((30 + 45) / 13)
    assert found.clean is not None
    assert found.clean.value == pytest.approx(4.5)
    assert found.clean.low is not None
    assert found.touched is not None
    assert found.touched.value == 10.0
    assert found.units == (13, 3)
    assert found.categories["history"][1] == found.clean
    nothing = without_touched(result, [])
    assert nothing.clean == nothing.overall
    assert nothing.touched is None
    everything = [replace(touches[0], item=str(n)) for n in range(13)]
    assert without_touched(result, everything).clean is None


def test_a_mean_of_means_keeps_its_shares() -> None:
    units = [Unit(str(n), "a", "NLI", 1, 0, float(n < 5), 1 / 2 / 10) for n in range(10)]
    units += [Unit(str(n), "b", "QA", 1, 0, 1.0, 1 / 2 / 10) for n in range(10)]
    result = Result("s/1", "m", None, "AVR", {}, tuple(units))
    tests = [EvaluationText("a", str(n), f"{n}番目の問い。{PROSE}{n}") for n in range(5)]
    found = without_touched(
        result, find_contamination(tests, rows_of(*(test.text for test in tests))).touches
    )
    # All right answers of a were touched: 0 of it, 1 of b, each still a half.
    assert found.clean is not None
    assert found.clean.value == pytest.approx(0.5)
    assert found.categories["NLI"][1] is not None
    assert found.categories["NLI"][1].value == 0.0


# What evaluations ask.


def test_texts_of_questions_datasets_and_specs(tmp_path: Path, test_data: Path) -> None:
    jglue = evaluation_texts([str(test_data / "jglue")])
    assert {"jnli", "jcommonsenseqa"} <= {text.task for text in jglue}
    # A question is a text of its own: it must be found without its passage.
    squad = [text.text for text in jglue if text.task == "jsquad"][:2]
    assert squad[0].endswith(squad[1])
    assert len(squad[1]) < 80 < len(squad[0])
    questions = evaluation_texts([str(test_data / "mt-bench-judgments" / "shisa-v2-ja" / "question.jsonl")])
    assert len({(text.task, text.item) for text in questions}) == 80
    assert {text.task for text in questions} >= {"writing", "math"}
    bundled = evaluation_texts(["fastchat-mt-bench", "llm-jp-eval-1.0"])
    assert {"writing", "coding", "jnli"} <= {text.task for text in bundled}
    assert len(bundled) == len(set(bundled))
    plain = tmp_path / "quiz.jsonl"
    plain.write_text(json.dumps({"id": 7, "problem": QUESTIONS["1"]}, ensure_ascii=False) + "\n", "utf-8")
    assert evaluation_texts([str(plain)]) == [EvaluationText("quiz", "7", QUESTIONS["1"])]
    with pytest.raises(UserError, match="no questions of it"):
        evaluation_texts(["shaberi"])
    with pytest.raises(UserError):
        evaluation_texts(["no-such-spec"])


def test_rows_written_are_read_again_by_task(tmp_path: Path) -> None:
    texts = [*asked(), *asked({"1": PROSE}, "prose")]
    assert write_texts(tmp_path / "tests.jsonl", texts) == 4
    assert evaluation_texts([str(tmp_path / "tests.jsonl")]) == texts


def test_a_planted_question_is_found_by_all_three(tmp_path: Path, test_data: Path) -> None:
    """`eval texts` → `decontaminate:` of corpus.build and of data.mix, and `eval contamination`."""
    tests = tmp_path / "tests.jsonl"
    runner = CliRunner()
    done = runner.invoke(app, ["eval", "texts", "nejumi-mt-bench-ja", "--out", str(tests)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in tests.read_text("utf-8").splitlines()]
    planted = next(row for row in rows if len(row["text"]) > 40 and not row["text"].isascii())
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = ["\n".join(json.loads(line)["ja"]) for _, line in zip(range(40), lines, strict=False)]
    texts[7] += f"\n{planted['text']}\n{PROSE}"
    data = tmp_path / "data.jsonl"
    data.write_text(
        "".join(json.dumps({"id": f"d{n}", "text": t}) + "\n" for n, t in enumerate(texts)), "utf-8"
    )

    (tmp_path / "corpus").mkdir()
    build.run(
        build.Params(sources=[{"path": str(data), "language": "ja"}], decontaminate=[{"path": str(tests)}]),  # type: ignore[arg-type, list-item]
        Inputs(),
        tmp_path / "corpus",
        Silent(),
    )
    ledger = pq.read_table(tmp_path / "corpus" / "ledger").to_pylist()
    assert [(row["doc_id"], row["detail"]) for row in ledger if row["reason"] == "contaminated"] == [
        ("d7", planted["task"])
    ]

    said = [made_mixtures.row(f"d{n}", text) for n, text in enumerate(texts)]
    talk = made_mixtures.given(tmp_path, "talk", said)
    _, kept = made_mixtures.mix(tmp_path, talk, decontaminate=str(tests))
    assert {row["id"] for row in kept} == {f"d{n}" for n in range(40)} - {"d7"}
    assert made_mixtures.ledger(tmp_path) == {"d7": "contaminated"}

    out = tmp_path / "found"
    words = ["eval", "contamination", str(data), "--tests", str(tests), "--out", str(out)]
    found = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    assert found["touched"] == [{"task": planted["task"], "item": planted["id"], "how": "exact"}]
    by_task = {task["task"]: task for task in found["tasks"]}
    assert by_task[planted["task"]]["touched"] == 1
    assert by_task[planted["task"]]["examples"][0]["place"].endswith("data.jsonl: line 8")
    assert json.loads((out / "contamination.json").read_text("utf-8")) == found
    assert len((out / "touched.jsonl").read_text("utf-8").splitlines()) == 1
    shown = runner.invoke(app, words).stdout
    assert max(len(line) for line in shown.splitlines() if "data.jsonl" not in line) <= 80


def test_an_evaluation_folder_is_scored_with_and_without(tmp_path: Path) -> None:
    """Half of the items were trained on, and only they were answered right."""
    from watari.evals import folder

    questions = {str(n): f"{n}番目の質問です。{PROSE[n:]}これは何の話ですか。{n}" for n in range(10)}
    items = tuple(folder.Item(item, "jnli", (text,), gold="yes") for item, text in questions.items())
    generations = tuple(
        folder.Generation(
            f"g{item}",
            item,
            "jnli",
            "m",
            0,
            1,
            "yes",
            "stop",
            gold="yes",
            pred="yes" if int(item) < 5 else "no",
        )
        for item in questions
    )
    about = folder.About("llm-jp-eval-1.0", "llm-jp-eval-1.0/1", 1, "x", "m")
    done = tmp_path / "done"
    folder.write_evaluation(done, folder.Evaluation(about, items, generations), [], metric="score")
    data = tmp_path / "data.jsonl"
    rows = [{"text": PROSE}, *({"text": f"{PROSE}{questions[str(n)]}"} for n in range(5))]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    words = ["eval", "contamination", str(data), "--tests", str(done), "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    (task,) = found["tasks"]
    assert (task["task"], task["items"], task["touched"], task["share"]) == ("jnli", 10, 5, 0.5)
    (score,) = found["scores"]
    assert (score["model"], score["units"], score["touched_units"]) == ("m", 10, 5)
    assert score["touched"]["value"] == 1.0
    assert score["clean"]["value"] == 0.0
    assert score["categories"]["NLI"]["all"]["value"] == 0.5
