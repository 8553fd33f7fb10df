"""`synth.instruct` against a real server on loopback: n accepted rows, nothing lost, nothing asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from instructing_teacher import Teacher
from made_artifacts import as_input
from watari.artifact.dataset_facts import read_facts
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows, write_rows
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.endpoint.replay import Behaviour, Script, serve
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, UserError
from watari.synth.instruct import Params, run
from watari.synth.taxonomy import load_taxonomy


@contextmanager
def serving(teacher: Any, **behaviour: Any) -> Iterator[Endpoint]:
    with serve(Script(teacher, Behaviour(**{"latency": 0, "sd": 0, **behaviour}))) as listening:
        yield Endpoint(name="teacher", base_url=listening.base_url, model="replay")


def generate(
    out: Path, endpoint: Endpoint, *, ledger: Path | None = None, inputs: Inputs | None = None, **more: Any
) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    fields = {"rows": 20, "per_request": 4, "language": "ja", "seed": 3, **more}
    params = Params(teacher=endpoint, ledger=str(ledger or out / "ledger.sqlite"), label="instruct", **fields)
    return run(params, inputs or Inputs(), out, Silent())


def rows_of(out: Path) -> list[dict[str, Any]]:
    return list(read_rows(out))


def dropped_of(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "dropped.parquet").to_pylist()
    return found


def meta_of(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["meta"])
    return found


CONTENT = ("rows.parquet", "dropped.parquet", "samples.parquet", "dataset.json")


def test_as_many_rows_as_wanted_come_out_and_every_instruction_is_accounted_for(tmp_path: Path) -> None:
    with serving(Teacher()) as endpoint:
        result = generate(tmp_path / "out", endpoint, rows=40)
    metrics = result.metrics
    rows = rows_of(tmp_path / "out")
    assert len(rows) == metrics["kept"] == 40
    assert metrics["short_by"] == 0
    assert metrics["rows_in"] == metrics["kept"] + metrics["dropped"]
    assert sum(metrics["dropped_by_reason"].values()) == len(dropped_of(tmp_path / "out"))
    assert 0.3 < metrics["accept_rate"] < 1
    assert metrics["dropped_by_reason"]["instruction not in the form"] > 0
    assert metrics["repaired"] > 0
    assert metrics["rungs"][1]["purpose"] == "repair"
    assert metrics["tokens"]["completion"] > 0
    assert len({row["id"] for row in rows}) == 40
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles[-1] == "assistant"
        assert row["language"] == "ja"
        meta = meta_of(row)
        assert {
            "category",
            "topic",
            "subject",
            "teacher",
            "model",
            "rung",
            "checks",
            "prompts",
        } <= meta.keys()
        assert not any(message["content"].startswith("Sure!") for message in row["messages"])
    facts = read_facts(tmp_path / "out")
    assert facts is not None
    assert facts.rows == 40
    assert sum(facts.categories.values()) == 40
    assert {model.role for model in facts.models} == {"teacher", "responder"}
    samples = pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()
    assert {sample["state"] for sample in samples} >= {"accepted", "repaired", "dropped"}


def test_rows_come_in_the_order_of_the_requests_and_none_too_many(tmp_path: Path) -> None:
    # Without repairs a good part of the answers falls, so that more are asked for than are wanted.
    with serving(Teacher()) as endpoint:
        for seed in range(4):
            out = tmp_path / str(seed)
            metrics = generate(
                out, endpoint, rows=25, seed=seed, repairs=0, categories=["qa", "advice"]
            ).metrics
            requests = [meta_of(row)["request"] for row in rows_of(out)]
            assert len(requests) == metrics["kept"] == 25
            assert requests == sorted(requests)
            assert metrics["accepted"] >= 25
            assert metrics["answered"] <= 25 / (metrics["accepted"] / metrics["answered"]) + 12
            assert metrics["dropped_by_reason"]["answer-language"] > 0


def test_a_second_run_sends_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    teacher = Teacher()
    with serving(teacher) as endpoint:
        first = generate(tmp_path / "a", endpoint, ledger=tmp_path / "ledger.sqlite")
        asked = sum(teacher.asked.values())
        again = generate(tmp_path / "b", endpoint, ledger=tmp_path / "ledger.sqlite")
        assert sum(teacher.asked.values()) == asked
    assert again.performance["requests_sent"] == 0
    assert again.metrics == first.metrics
    for name in CONTENT:
        assert hash_file(tmp_path / "a" / name) == hash_file(tmp_path / "b" / name), name


def test_rows_do_not_depend_on_the_order_in_which_answers_come(tmp_path: Path) -> None:
    with serving(Teacher()) as endpoint:
        generate(tmp_path / "quick", endpoint)
    with serving(Teacher(), latency=40, sd=40, rate_429=0.05, rate_500=0.05) as endpoint:
        generate(tmp_path / "slow", endpoint)
    for name in CONTENT:
        assert hash_file(tmp_path / "quick" / name) == hash_file(tmp_path / "slow" / name), name


KILLED = """
import sys
from pathlib import Path
from watari.artifact.stage import Inputs, Silent
from watari.endpoint.settings import Endpoint
from watari.synth.instruct import Params, run
url, out = sys.argv[1], Path(sys.argv[2])
out.mkdir(exist_ok=True)
params = Params(teacher=Endpoint(name="teacher", base_url=url, model="replay"), ledger=str(out / "ledger.sqlite"),
                label="instruct", rows=20, per_request=4, language="ja", seed=3)
run(params, Inputs(), out, Silent())
"""


def test_killed_and_run_again_gives_the_same_rows_and_asks_no_recorded_thing_again(tmp_path: Path) -> None:
    teacher = Teacher()
    with serving(Teacher()) as endpoint:
        generate(tmp_path / "whole", endpoint)
    with serving(teacher, latency=120, sd=20) as endpoint:
        command = [sys.executable, "-c", KILLED, endpoint.base_url, str(tmp_path / "killed")]
        child = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 60
        while sum(teacher.asked.values()) < 25 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        before = Counter(teacher.asked)
        generate(tmp_path / "killed", endpoint)
        twice = [key for key, count in teacher.asked.items() if count > 1]
        # Only what was in flight or not yet committed when it was killed.
        assert all(teacher.asked[key] == 2 and before[key] <= 1 for key in twice)
        assert len(twice) < len(before)
    for name in CONTENT:
        assert hash_file(tmp_path / "whole" / name) == hash_file(tmp_path / "killed" / name), name


def test_near_duplicates_are_refused_in_the_order_of_the_requests(tmp_path: Path) -> None:
    def same(body: Any) -> str:
        last = body["messages"][-1]["content"]
        if "<<<end>>>" in last:
            return "<<<1>>>\n[[user]]\n昆布と鰹節を使った出汁の取り方を、初めての人にもわかるように詳しく教えてください。\n<<<2>>>\n[[user]]\n昆布と鰹節を使った出汁の取り方を、初めての人にもわかるように詳しく教えて下さい。\n<<<end>>>"
        return "昆布を水に三十分ほど浸してから、弱火でゆっくり温めます。"

    with serving(same) as endpoint:
        result = generate(
            tmp_path, endpoint, rows=5, per_request=2, most_requests=3, categories=["qa"], near=0.5
        )
    assert result.metrics["kept"] == 1
    assert result.metrics["short_by"] == 4
    assert result.metrics["requests"] == 3
    assert result.metrics["dropped_by_reason"] == {"near duplicate": 5}
    assert result.metrics["rows_in"] == 6


def test_multi_turn_rows_have_all_their_turns_and_roleplay_its_system_prompt(tmp_path: Path) -> None:
    with serving(Teacher(faults=False)) as endpoint:
        generate(tmp_path, endpoint, rows=20, per_request=2, categories=["multi-turn", "roleplay"])
    kinds = set()
    for row in rows_of(tmp_path):
        roles = [message["role"] for message in row["messages"]]
        category = meta_of(row)["category"]
        kinds.add(category)
        if category == "multi-turn":
            assert roles == ["user", "assistant"] * 3
        else:
            assert roles == ["system", *["user", "assistant"] * 2]
    assert kinds == {"multi-turn", "roleplay"}


def test_seeds_are_shown_and_nothing_near_a_seed_another_dataset_or_an_evaluation_set_comes_out(
    tmp_path: Path,
) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps({"instruction": "俳句を一つ詠んでください。"}, ensure_ascii=False))
    shown = []

    class Watched(Teacher):
        def __call__(self, body: Any) -> Any:
            shown.append(body["messages"][-1]["content"])
            return super().__call__(body)

    with serving(Watched(faults=False)) as endpoint:
        generate(tmp_path / "plain", endpoint, rows=10, categories=["qa"], seeds=str(seeds))
        assert any("俳句を一つ詠んでください。" in text for text in shown)
        first = [row["messages"][0]["content"] for row in rows_of(tmp_path / "plain")]
        evaluation = tmp_path / "eval.jsonl"
        evaluation.write_text(json.dumps({"question": first[1]}, ensure_ascii=False))
        turns = [{"role": "user", "content": first[0]}, {"role": "assistant", "content": "はい。"}]
        write_rows(tmp_path / "other" / "rows.parquet", Kind.CONVERSATIONS, [{"id": "x", "messages": turns}])
        result = generate(
            tmp_path / "kept",
            endpoint,
            inputs=Inputs({"against": [as_input("other", tmp_path / "other", Kind.CONVERSATIONS)]}),
            rows=10,
            categories=["qa"],
            seeds=str(seeds),
            contamination=[str(evaluation)],
            against=[{"from": "other"}],
        )
    kept = [row["messages"][0]["content"] for row in rows_of(tmp_path / "kept")]
    assert kept[:8] == first[2:]
    assert len(kept) == 10
    reasons = result.metrics["dropped_by_reason"]
    assert reasons["near a row of another dataset"] == 1
    assert reasons["holds an evaluation text"] == 1


def test_an_evaluation_text_in_an_answer_is_found_too(tmp_path: Path) -> None:
    known = "昆布を水に三十分ほど浸してから、弱火でゆっくり温め、沸く前に引き上げるのがよいでしょう。"
    evaluation = tmp_path / "eval.jsonl"
    evaluation.write_text(json.dumps({"answers": [{"text": known}]}, ensure_ascii=False))

    def tells(body: Any) -> str:
        if "<<<end>>>" in body["messages"][-1]["content"]:
            return "<<<1>>>\n[[user]]\n出汁の取り方を教えてください。\n<<<end>>>"
        return f"はい、お答えします。{known}"

    with serving(tells) as endpoint, pytest.raises(StageFailed, match="1 holds an evaluation text"):
        generate(
            tmp_path,
            endpoint,
            rows=1,
            per_request=1,
            most_requests=1,
            categories=["qa"],
            contamination=[str(evaluation)],
        )


def test_a_spent_budget_stops_in_words_and_more_of_it_goes_on(tmp_path: Path) -> None:
    teacher = Teacher(faults=False)
    with serving(teacher) as endpoint:
        with pytest.raises(StageFailed, match=r"(?i)budget"):
            generate(tmp_path, endpoint, rows=12, categories=["qa"], budget={"requests": 6})
        assert sum(teacher.asked.values()) <= 6
        result = generate(tmp_path, endpoint, rows=12, categories=["qa"], budget={"requests": 100})
    assert result.metrics["kept"] == 12
    assert result.performance["recorded"] > 0
    assert max(teacher.asked.values()) == 1


def test_a_copied_example_is_refused(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(
        json.dumps({"messages": [{"role": "user", "content": "梅干しの漬け方を教えてください。"}]})
    )

    def copies(body: Any) -> str:
        return "<<<1>>>\n[[user]]\n梅干しの漬け方を教えてください。\n<<<end>>>"

    with serving(copies) as endpoint, pytest.raises(StageFailed, match="near a seed"):
        generate(
            tmp_path, endpoint, rows=1, per_request=1, most_requests=1, seeds=str(seeds), categories=["qa"]
        )


def test_json_that_cannot_be_read_is_not_accepted(tmp_path: Path) -> None:
    class Prose(Teacher):
        def __call__(self, body: Any) -> Any:
            said = super().__call__(body)
            return (
                "件名はお知らせで、日付はわかりませんでした。"
                if isinstance(said, str) and said.startswith("{")
                else said
            )

    path = tmp_path / "taxonomy.yaml"
    path.write_text(
        "topics: {案内: [町内会の案内, 催しの案内, 工事の案内, 会議の案内]}\n"
        "categories:\n  notes: {weight: 1, task: 文からJSONを取り出す依頼。, expects: json}\n"
    )
    teacher = Prose(faults=False)
    with (
        serving(teacher) as endpoint,
        pytest.raises(StageFailed, match=r"not one row was accepted.*json-unreadable"),
    ):
        generate(tmp_path / "out", endpoint, rows=4, taxonomy=str(path), most_requests=2)


def test_a_refused_form_is_told_in_one_line(tmp_path: Path) -> None:
    with (
        serving(lambda body: "申し訳ありませんが、できません。") as endpoint,
        pytest.raises(StageFailed) as told,
    ):
        generate(tmp_path, endpoint, rows=4, most_requests=2)
    assert "instruction missing" in str(told.value)
    assert "\n" not in str(told.value)
    assert len(dropped_of(tmp_path)) == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "topics: {a: [b]}\ncategories: {nonsense: 1}\n",
            "category 'nonsense' is not known and has no `task`",
        ),
        ("topics: {a: [b]}\ncategories: {qa: {topics: [c]}}\n", "names a topic that is not there: 'c'"),
        ("topics: {a: []}\ncategories: {qa: 1}\n", "topic 'a' has no subjects"),
        ("topics: {a: [b]}\ncategories: {qa: -1}\n", "greater than 0"),
        ("topics: [\n", "while parsing"),
    ],
)
def test_a_wrong_taxonomy_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as told:
        load_taxonomy("ja", str(path))
    assert said in str(told.value)


def test_languages_without_a_taxonomy_need_one_and_are_asked_for_in_english(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none is packaged for 'ko'"):
        load_taxonomy("ko", None)
    path = tmp_path / "taxonomy.yaml"
    path.write_text("topics: {a: [b, c]}\ncategories: {qa: 1}\n")
    assert load_taxonomy("ko", str(path)).categories[0].task.task.startswith("questions")


def test_what_a_request_asks_for_is_drawn_by_its_number_and_follows_the_weights() -> None:
    taxonomy = load_taxonomy("ja", None)
    drawn = [taxonomy.draw(5, number, 5) for number in range(2000)]
    assert [taxonomy.draw(5, number, 5) for number in reversed(range(2000))] == drawn[::-1]
    assert all(len({subject for _, subject in one.subjects}) == 5 for one in drawn)
    counts = Counter(one.category.name for one in drawn)
    total = sum(category.weight for category in taxonomy.categories)
    for category in taxonomy.categories:
        assert abs(counts[category.name] - 2000 * category.weight / total) <= 3
    assert len({one.category.name for one in drawn[:60]}) > 18
    assert orjson.dumps(drawn[0].subjects) != orjson.dumps(taxonomy.draw(6, 0, 5).subjects)
