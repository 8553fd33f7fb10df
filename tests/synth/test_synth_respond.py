"""synth.respond against a scripted server over real HTTP, and against a tiny model in this process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from teachers import Body, conversations, last, talk, teacher
from tiny_llama import make_folder
from watari.artifact.dataset_facts import meta_fields, read_facts
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent, StageResult
from watari.endpoint.ledger import open_ledger
from watari.endpoint.replay import Behaviour, Reply
from watari.errors import Interrupted, UserError
from watari.synth.respond import STAGE, Params, run

GOOD = "はい、それは簡単です。順番に説明しますので、落ち着いて読んでください。"


def respond(
    folder: Path,
    rows: list[dict[str, Any]],
    model: Any,
    out: str = "out",
    artifact: InputArtifact | None = None,
    **params: Any,
) -> tuple[StageResult, list[dict[str, Any]]]:
    data = conversations(folder, "data", rows)
    target = folder / out
    target.mkdir(exist_ok=True)
    made = Params(data=["data"], model=model, ledger=str(folder / "ledger.sqlite"), label=out, **params)
    inputs = {"data": [data]} | ({"model": [artifact]} if artifact else {})
    result = run(made, Inputs(inputs), target, Silent())
    metrics = result.metrics
    assert metrics["rows_in"] == metrics["kept"] + sum(metrics["dropped_by_reason"].values())
    return result, list(read_rows(target))


def dropped(folder: Path, out: str = "out") -> dict[str, tuple[str, str]]:
    rows = pq.read_table(folder / out / "dropped.parquet").to_pylist()
    return {row["id"]: (row["reason"], row["detail"]) for row in rows}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_every_answer_is_new_and_follows_on_the_new_ones(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def answer(body: Body) -> str:
        seen.append([one["content"] for one in body["messages"]])
        return f"{GOOD}（{last(body)}）"

    rows = [talk("a", "一つ目は？", "古い答え。", "二つ目は？", "古い答え二。", system="親切に。")]
    with teacher(answer) as endpoint:
        result, (row,) = respond(tmp_path, rows, endpoint)
    first, second = f"{GOOD}（一つ目は？）", f"{GOOD}（二つ目は？）"
    assert [one["content"] for one in row["messages"]] == [
        "親切に。",
        "一つ目は？",
        first,
        "二つ目は？",
        second,
    ]
    assert seen == [["親切に。", "一つ目は？"], ["親切に。", "一つ目は？", first, "二つ目は？"]]
    assert row["parents"] == ["a"]
    assert (row["language"], row["license"], row["source"]) == ("ja", "CC0", "made")
    assert meta_fields(row)["respond"]["model"] == "teacher-1"
    assert result.metrics["answers"] == 2
    assert result.performance["requests_sent"] == 2


def test_only_the_last_answer(tmp_path: Path) -> None:
    rows = [
        talk("a", "一つ目は？", "古い答え。", "二つ目は？", "古い答え二。"),
        talk("b", "答えのない質問は？"),
    ]
    with teacher(lambda body: GOOD) as endpoint:
        _, found = respond(tmp_path, rows, endpoint, turns="last")
    assert [one["content"] for one in found[0]["messages"]] == [
        "一つ目は？",
        "古い答え。",
        "二つ目は？",
        GOOD,
    ]
    assert [one["content"] for one in found[1]["messages"]] == ["答えのない質問は？", GOOD]


def test_failed_answers_are_tried_again_with_another_seed(tmp_path: Path) -> None:
    seeds: list[int] = []

    def answer(body: Body) -> str:
        seeds.append(body["seed"])
        return GOOD if len(seeds) == 3 else "I am sorry, but I cannot help you with that request."

    with teacher(answer) as endpoint:
        result, (row,) = respond(tmp_path, [talk("a", "助けて？")], endpoint)
    assert len(set(seeds)) == 3
    assert row["messages"][-1]["content"] == GOOD
    assert result.metrics["repaired"] == 1
    assert [rung["accepted"] for rung in result.metrics["rungs"]] == [0, 0, 1]
    assert result.metrics["rungs"][0]["faults"] == {"refusal": 1}
    assert result.metrics["findings"]["refusal"]["hard"] == 2
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        from watari.synth.checks.catalogue import VERSION

        verdicts = [ledger.verdict_of(number, VERSION) for number in (1, 2, 3)]
    assert [verdict is not None and verdict.accepted for verdict in verdicts] == [False, False, True]


BAD = {
    "空？": "",
    "英語？": "This answer is written in plain English, all of it, from the first word to the last one.",
    "断り？": "申し訳ありませんが、お手伝いできません。",
    "おうむ返しの質問です、どうでしょう？": "おうむ返しの質問です、どうでしょう？",
}


@pytest.mark.parametrize("keep", [False, True])
def test_rows_that_fail_are_dropped_or_stay(tmp_path: Path, keep: bool) -> None:
    rows = [talk(question, question, "もとの答え。") for question in BAD] + [talk("good", "よい？", "もと。")]
    with teacher(lambda body: BAD.get(last(body), GOOD)) as endpoint:
        result, found = respond(tmp_path, rows, endpoint, attempts=2, on_failure="keep" if keep else "drop")
    if keep:
        assert [row["messages"][-1]["content"] for row in found] == ["もとの答え。"] * 4 + [GOOD]
        assert [row["id"] for row in found[:4]] == list(BAD)
        assert result.metrics["originals"] == 4
        assert meta_fields(found[0])["respond"] == {"kept": "original", "failed": "empty"}
    else:
        assert {name: reason for name, (reason, _) in dropped(tmp_path).items()} == dict(
            zip(BAD, ["empty", "answer-language", "refusal", "echo"], strict=True)
        )
        assert [row["parents"] for row in found] == [["good"]]
    states = pq.read_table(tmp_path / "out" / "samples.parquet").column("state").to_pylist()
    assert sorted(states) == ["accepted"] + ["dropped"] * 4


def test_any_language_may_be_asked_for(tmp_path: Path) -> None:
    with teacher(lambda body: BAD["英語？"]) as endpoint:
        _, (row,) = respond(tmp_path, [talk("a", "英語で書いて。")], endpoint, language="any")
        assert row["language"] == "ja"
        _, (row,) = respond(tmp_path, [talk("a", "英語で書いて。")], endpoint, out="en", language="en")
        assert row["language"] == "en"


def test_an_answer_that_was_cut_off_gets_more_room_and_is_never_asked_unchanged(tmp_path: Path) -> None:
    asked: list[int] = []

    def answer(body: Body) -> str:
        asked.append(body["max_tokens"])
        return GOOD * 20 if "長い" in last(body) else GOOD

    rows = [talk("a", "長い話は？"), talk("b", "短い話は？")]
    with teacher(answer) as endpoint:
        result, found = respond(
            tmp_path, rows, endpoint, attempts=1, sampler={"max_tokens": 100}, longest_answer=300
        )
    assert sorted(asked) == [100, 100, 200, 300]
    assert [row["parents"] for row in found] == [["b"]]
    assert "a" in dropped(tmp_path)
    assert set(result.metrics["findings"]) & {"finish-reason", "truncated"}


def test_system_messages(tmp_path: Path) -> None:
    seen: list[Any] = []

    def answer(body: Body) -> str:
        seen.append(body["messages"][0])
        return GOOD

    rows = [talk("a", "何？", system="もと。")]
    with teacher(answer) as endpoint:
        _, (kept,) = respond(tmp_path, rows, endpoint, instruct="日本語で。")
        assert seen.pop() == {"role": "system", "content": "日本語で。\n\nもと。"}
        assert kept["messages"][0]["content"] == "もと。"
        _, (other,) = respond(tmp_path, rows, endpoint, out="other", system="誠実に。")
        assert seen.pop() == other["messages"][0] == {"role": "system", "content": "誠実に。"}
        _, (none,) = respond(tmp_path, rows, endpoint, out="none", system="")
        assert seen.pop() == none["messages"][0] == {"role": "user", "content": "何？"}


def test_best_of_several_by_rule(tmp_path: Path) -> None:
    def answer(body: Body, choice: int = 0) -> str:
        return {0: "はい。", 1: GOOD, 2: GOOD * 8}[body["seed"] % 3]

    rows = [talk(f"r{number}", f"質問{number}は？") for number in range(6)]
    with teacher(answer) as endpoint:
        result, found = respond(tmp_path, rows, endpoint, best_of=6)
    assert result.metrics["answers"] == 36
    assert sum(row["messages"][-1]["content"] == GOOD for row in found) >= 4


def test_best_of_several_by_judge(tmp_path: Path) -> None:
    texts = ["悪い答えです。", "普通の答えです。", GOOD]

    def judge(body: Body) -> str:
        shown = last(body)
        a, b = shown.split("<answer_a>")[1], shown.split("<answer_b>")[1]
        score = [
            max((rank for rank, text in enumerate(texts) if text in part), default=0)
            for part in (a.split("</answer_a>")[0], b)
        ]
        return "比べました。\n" + (
            "[[C]]" if score[0] == score[1] else "[[A]]" if score[0] > score[1] else "[[B]]"
        )

    rows = [talk(f"r{number}", f"質問{number}は？") for number in range(5)]
    with teacher(lambda body: texts[body["seed"] % 3]) as endpoint, teacher(judge, "judge") as judging:
        result, found = respond(tmp_path, rows, endpoint, best_of=8, select="judge", judge=judging)
    assert [row["messages"][-1]["content"] for row in found] == [GOOD] * 5
    assert result.metrics["judge"]["unreadable"] == 0
    facts = read_facts(tmp_path / "out")
    assert facts is not None
    assert [(model.model, model.role) for model in facts.models] == [
        ("teacher-1", "respondent"),
        ("judge-1", "judge"),
    ]
    assert list(facts.prompts) == ["judge-ja"]


def test_a_second_run_sends_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    def answer(body: Body) -> str | Reply:
        return GOOD if body["seed"] % 2 else Reply("", status=400)

    rows = [talk(f"r{number}", f"質問{number}は？", "古い。", "それで？") for number in range(20)]
    with teacher(answer) as endpoint:
        result, _ = respond(tmp_path, rows, endpoint)
        assert result.performance["requests_sent"] > 40
        first = files(tmp_path / "out")
        again, _ = respond(tmp_path, rows, endpoint)
    assert again.performance["requests_sent"] == 0
    assert files(tmp_path / "out") == first
    assert again.metrics == result.metrics
    assert result.metrics["findings"]["refused by the server"]["hard"] > 5


def test_rows_that_are_no_conversations(tmp_path: Path) -> None:
    rows = [talk("good", "よい？"), {**talk("odd", "a"), "messages": [{"role": "assistant", "content": "x"}]}]
    with teacher(lambda body: GOOD) as endpoint:
        _, found = respond(tmp_path, rows, endpoint, on_failure="keep")
    assert len(found) == 1
    assert dropped(tmp_path)["odd"][0] == "not a conversation"


def test_parameters_that_contradict_each_other() -> None:
    for wrong, message in (
        ({"select": "judge", "best_of": 2}, "wants one"),
        ({"best_of": 17}, "less than or equal to 16"),
    ):
        with pytest.raises(ValidationError, match=message):
            Params(data=["a"], model="m", **wrong)  # type: ignore[arg-type]


def local(folder: Path, **settings: Any) -> InputArtifact:
    return as_input("tiny", make_folder(folder / "tiny", **settings), Kind.MODEL)


def test_a_model_in_this_process(tmp_path: Path) -> None:
    artifact = local(tmp_path)
    rows = [
        talk(f"r{number}", f"Tell me about {number}.", "Old.", "And then?", language="en")
        for number in range(7)
    ]
    params = {
        "sampler": {"max_tokens": 12, "temperature": 1.0},
        "longest_answer": 16,
        "language": "any",
        "on_failure": "keep",
        "attempts": 2,
    }
    result, found = respond(tmp_path, rows, "tiny", artifact=artifact, batch=3, **params)
    assert len(found) == 7
    assert result.metrics["rungs"][0]["name"] == "tiny"
    assert result.metrics["rungs"][0]["asked"] >= 7
    first = files(tmp_path / "out")
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        recorded = ledger.spent("out").requests
    assert recorded >= result.metrics["answers"]
    respond(tmp_path, rows, "tiny", artifact=artifact, batch=3, **params)
    assert files(tmp_path / "out") == first
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.spent("out").requests == recorded
    # Without the ledger the same bytes come out of the model itself.
    (tmp_path / "ledger.sqlite").unlink()
    for path in tmp_path.glob("ledger.sqlite-*"):
        path.unlink()
    shutil.rmtree(tmp_path / "out")
    respond(tmp_path, rows, "tiny", artifact=artifact, batch=3, **params)
    assert files(tmp_path / "out") == first


def test_a_prompt_that_does_not_fit_is_dropped_and_the_others_are_answered(tmp_path: Path) -> None:
    artifact = local(tmp_path)
    rows = [talk("long", "word " * 400, language="en"), talk("short", "Hi there.", language="en")]
    _, found = respond(
        tmp_path,
        rows,
        "tiny",
        artifact=artifact,
        attempts=1,
        language="any",
        sampler={"max_tokens": 8, "temperature": 1.0},
    )
    assert dropped(tmp_path)["long"][0] == "context too long"
    assert len(found) + len(dropped(tmp_path)) == 2


def test_a_base_model_does_not_chat(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tiny: no chat template"):
        respond(tmp_path, [talk("a", "Hi")], "tiny", artifact=local(tmp_path, template=None))


def test_an_endpoint_of_completions_answers_no_conversations(tmp_path: Path) -> None:
    with (
        teacher(lambda body: GOOD, api="completions") as endpoint,
        pytest.raises(UserError, match="set `api: chat`"),
    ):
        respond(tmp_path, [talk("a", "何？")], endpoint)


def test_the_stage_says_what_it_makes() -> None:
    assert STAGE.output is Kind.CONVERSATIONS
    assert json.dumps(Params.model_json_schema())


class Stopping(Silent):
    """Asks to stop once so many rows are told as done."""

    def __init__(self, after: int) -> None:
        self._after = after
        self._done = 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self._done = done

    def stop_requested(self) -> bool:
        return self._done >= self._after


def test_stopped_and_gone_on_with_a_model_in_this_process(tmp_path: Path) -> None:
    artifact = local(tmp_path)
    data = conversations(
        tmp_path, "data", [talk(f"r{n}", f"Question {n}?", language="en") for n in range(24)]
    )
    params = Params(
        data=["data"],  # type: ignore[list-item]
        model="tiny",  # type: ignore[arg-type]
        ledger=str(tmp_path / "ledger.sqlite"),
        batch=2,
        attempts=1,
        language="any",
        on_failure="keep",
        sampler={"max_tokens": 8, "temperature": 1.0},  # type: ignore[arg-type]
        longest_answer=16,
    )
    inputs = Inputs({"data": [data], "model": [artifact]})
    (tmp_path / "out").mkdir()
    with pytest.raises(Interrupted):
        run(params, inputs, tmp_path / "out", Stopping(8))
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        recorded = ledger.spent().requests
    assert 8 <= recorded < 24 * 3
    run(params, inputs, tmp_path / "out", Silent())
    first = files(tmp_path / "out")
    other = params.model_copy(update={"ledger": str(tmp_path / "other.sqlite")})
    run(other, inputs, tmp_path / "out", Silent())
    assert files(tmp_path / "out") == first


def test_killed_at_once_and_nothing_recorded_is_asked_again(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3].split(":")
from teachers import conversations, talk
from watari.artifact.stage import Inputs, Silent
from watari.endpoint.settings import Endpoint
from watari.synth.respond import Params, run
folder = Path(sys.argv[1])
rows = [talk(f"r{n}", f"質問{n}は？") for n in range(500)]
endpoint = Endpoint(name="teacher", base_url=sys.argv[2], model="teacher-1", limits={"concurrency": 8})
params = Params(data=["data"], model=endpoint, ledger=str(folder / "ledger.sqlite"))
(folder / "out").mkdir(exist_ok=True)
run(params, Inputs({"data": [conversations(folder, "data", rows)]}), folder / "out", Silent())
"""
    asked: list[str] = []

    def answer(body: Body) -> str:
        asked.append(last(body))
        return GOOD

    with teacher(answer, behaviour=Behaviour(latency=20, sd=0)) as endpoint:
        tests = str(Path(__file__).resolve().parents[1])
        command = [sys.executable, "-c", code, str(tmp_path), endpoint.base_url, tests]
        child = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while len(asked) < 120 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.wait()
        before = len(asked)
        assert 120 <= before < 500
        subprocess.run(command, check=True)
        times = Counter(asked)
        # In flight (8), what came within the 100 ms until the commit (8 at a time, 20 ms each: 40), and as much again.
        assert sum(count - 1 for count in times.values()) <= 100
        assert len(times) == 500
        done = len(asked)
        first = files(tmp_path / "out")
        data = conversations(tmp_path, "data", [talk(f"r{n}", f"質問{n}は？") for n in range(500)])
        params = Params(data=["data"], model=endpoint, ledger=str(tmp_path / "ledger.sqlite"))  # type: ignore[list-item]
        again = run(params, Inputs({"data": [data]}), tmp_path / "out", Silent())
        assert (len(asked), again.performance["requests_sent"]) == (done, 0)
    assert files(tmp_path / "out") == first
