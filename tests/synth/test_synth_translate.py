"""The stage against a real server with planted faults: every rung, the ledger, the files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from made_artifacts import as_input
from station_teacher import (
    asked,
    fail,
    is_repair,
    leave_english,
    lose_masks,
    lose_segment,
    params,
    refuse,
    requests_of,
    row,
    teaching,
    translate,
    written,
)
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection, key_parameters
from watari.artifact.rows import Row, write_rows
from watari.artifact.stage import Inputs, Silent
from watari.endpoint.ledger import open_ledger
from watari.endpoint.replay import Behaviour
from watari.errors import DryRun, Interrupted, UserError
from watari.synth.translate import STAGE, Params, translate_rows

ROWS = [row(number, code=number % 2 == 0) for number in range(1, 21)]
FAULTS = {
    (3, "fast"): refuse,  # mended
    (8, "fast"): lose_masks,  # mended
    (4, "fast"): leave_english,  # escalated after a repair that is wrong too
    (4, "fast repair"): lose_segment,
    (5, "fast"): lose_segment,  # escalated to the last rung
    (5, "fast repair"): refuse,
    (5, "strong"): leave_english,
    (6, "fast"): fail,  # nothing to mend: straight to the strong one
    (7, "fast"): refuse,  # for people
    (7, "fast repair"): refuse,
    (7, "strong"): refuse,
    (7, "strong repair"): leave_english,
}
FILES = ("rows.parquet", "dropped.parquet", "samples.parquet", "dataset.json", "human.jsonl")


def table(path: Path) -> list[Row]:
    return list(pq.read_table(path).to_pylist())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def test_each_fault_is_caught_mended_escalated_or_handed_to_people(tmp_path: Path) -> None:
    with teaching(FAULTS) as (teacher, server):
        result = translate(params(server, tmp_path), ROWS, tmp_path / "out")
    metrics = result.metrics
    assert (metrics["rows_in"], metrics["kept"], metrics["dropped"]) == (20, 19, 1)
    assert metrics["dropped_by_reason"] == {"untranslated": 1}
    assert (metrics["repaired"], metrics["escalated"], metrics["human"]["to_do"]) == (2, 3, 1)
    assert [(rung["name"], rung["asked"], rung["accepted"]) for rung in metrics["rungs"]] == [
        ("cheap", 20, 14),
        ("cheap repair", 5, 2),
        ("dear", 4, 2),
        ("dear repair", 2, 1),
    ]
    assert metrics["rungs"][0]["faults"]["refusal"] == 2
    assert metrics["rungs"][0]["faults"]["mask-lost"] == 1
    assert metrics["rungs"][0]["faults"]["refused by the server"] == 1
    assert metrics["rungs"][1]["faults"] == {"refusal": 2, "segments": 1}
    assert metrics["cost"] > 0
    assert result.performance["requests_sent"] == len(teacher.bodies) == 31

    kept = table(tmp_path / "out" / "rows.parquet")
    assert [one["parents"] for one in kept] == [[one["id"]] for one in ROWS if one["id"] != "row-7"]
    second = kept[1]
    assert (
        second["messages"][0]["content"]
        == "奈良駅の2番ホームはどこですか？\n\n```python\nprint('platform 2')\n```"
    )
    assert "`plan.2` または https://example.com/plan/2 を" in second["messages"][1]["content"]
    assert (second["language"], second["source"], second["license"]) == ("ja", "stations", "CC0-1.0")
    metas = {one["parents"][0]: json.loads(one["meta"]) for one in kept}
    assert metas["row-2"]["line"] == 2, "what the source's meta said is kept"
    assert [metas[f"row-{n}"]["rung"] for n in (2, 3, 8, 4, 5, 6)] == [0, 1, 1, 2, 3, 2]
    assert metas["row-5"]["model"] == "strong"
    assert metas["row-5"]["attempts"] == 4

    human = [json.loads(line) for line in (tmp_path / "out" / "human.jsonl").read_text().splitlines()]
    assert [one["id"] for one in human] == ["row-7"]
    assert human[0]["translation"] == [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]
    assert any(line.startswith("untranslated: ") for line in human[0]["findings"])
    samples = table(tmp_path / "out" / "samples.parquet")
    assert Counter(one["state"] for one in samples) == {
        "accepted": 14,
        "repaired": 2,
        "escalated": 3,
        "dropped": 1,
    }
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["rows"] == 19
    assert {one["model"]: one["rows"] for one in facts["models"]} == {"fast": 16, "strong": 3}


def test_run_again_sends_nothing_and_gives_the_same_bytes_whatever_the_concurrency(tmp_path: Path) -> None:
    slow = Behaviour(latency=5, sd=5, seed=3)
    with teaching(FAULTS, behaviour=slow) as (teacher, server):
        made = params(server, tmp_path)
        translate(made, ROWS, tmp_path / "one")
        sent = len(teacher.bodies)
        again = translate(made, ROWS, tmp_path / "two")
        assert len(teacher.bodies) == sent
        assert again.performance["requests_sent"] == 0
        single = [
            one.model_copy(update={"limits": one.limits.model_copy(update={"concurrency": 1})})
            for one in made.teachers
        ]
        fresh = {"ledger": str(tmp_path / "fresh.sqlite"), "teachers": single}
        third = translate(made.model_copy(update=fresh), ROWS, tmp_path / "three")
        assert third.performance["requests_sent"] == sent
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "three")
    assert set(contents(tmp_path / "one")) == set(FILES)


def test_a_repair_shows_the_faulty_answer_and_names_what_was_wrong(tmp_path: Path) -> None:
    with teaching({(8, "fast"): lose_masks, (9, "fast"): leave_english}) as (teacher, server):
        translate(params(server, tmp_path), [row(8, code=True), row(9)], tmp_path / "out")
    first, second = (body for body in teacher.bodies if is_repair(body))
    by_row = (
        {8: first, 9: second} if "platform 8" in first["messages"][-1]["content"] else {8: second, 9: first}
    )
    roles = [one["role"] for one in by_row[8]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "行き方は" in by_row[8]["messages"][2]["content"]
    mend = by_row[8]["messages"][3]["content"]
    assert "the token ⟦1⟧ (```python print('platform 8') ```) is missing" in mend
    assert "code block" not in mend, "the model has not seen the block: it is told of the token alone"
    assert asked(by_row[8]) == asked({"messages": by_row[8]["messages"][:2]})
    assert "[[1]]" in by_row[9]["messages"][3]["content"]
    assert (
        by_row[9]["seed"]
        != next(b for b in teacher.bodies if not is_repair(b) and asked(b) == asked(by_row[9]))["seed"]
    )


def test_a_long_conversation_goes_in_parts_and_only_the_bad_part_is_asked_again(tmp_path: Path) -> None:
    bad: list[dict[int, str]] = []

    def spoil(body: Any, right: dict[int, str]) -> str:
        # Only in the part that begins with segment 4.
        if min(right) == 1 or is_repair(body):
            return written(right)
        bad.append(right)
        return written(asked(body)) if len(bad) == 1 else written(right)

    long = row(11, turns=6)
    with teaching({(11, "fast"): spoil, (11, "fast repair"): spoil}) as (teacher, server):
        result = translate(params(server, tmp_path, max_characters=500), [long], tmp_path / "out")
    assert result.metrics["repaired"] == 1
    sent = [body for body in teacher.bodies if not is_repair(body)]
    repairs = [body for body in teacher.bodies if is_repair(body)]
    assert len(sent) == 2
    assert len(repairs) == 1
    assert [*asked(sent[0]), *asked(sent[1])] == list(range(1, 13))
    # What came before is carried over, as an exchange that stands before the request.
    assert [one["role"] for one in sent[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert "番ホーム" in sent[1]["messages"][2]["content"]
    assert asked(repairs[0]) == asked(sent[1])
    (kept,) = table(tmp_path / "out" / "rows.parquet")
    assert len(kept["messages"]) == 12


def test_an_answer_cut_off_gets_more_tokens_then_halves_and_never_the_same_request(tmp_path: Path) -> None:
    rows = [row(number, turns=8) for number in (12, 13)]
    # 64 tokens of 4 bytes hold one segment or two, never a whole conversation.
    with teaching() as (teacher, server):
        result = translate(
            params(server, tmp_path, max_tokens=64, longest_answer=128), rows, tmp_path / "out"
        )
    assert result.metrics["kept"] == 2
    assert result.metrics["rungs"][0]["faults"] == {}
    bodies = [json.dumps(body, sort_keys=True) for body in teacher.bodies]
    assert len(set(bodies)) == len(bodies)
    assert {body["max_tokens"] for body in teacher.bodies} == {64, 128}
    assert len(requests_of(tmp_path)) == len(bodies)


def test_a_loop_that_is_cut_off_at_every_length_climbs_and_ends_with_people(tmp_path: Path) -> None:
    def loop(body: Any, right: dict[int, str]) -> str:
        return "[[1]] " + "駅" * 20_000

    faults = {(14, rung): loop for rung in ("fast", "fast repair", "strong", "strong repair")}
    with teaching(faults) as (teacher, server):
        result = translate(params(server, tmp_path, longest_answer=512), [row(14)], tmp_path / "out")
    assert result.metrics["dropped_by_reason"] == {"truncated": 1}
    bodies = [json.dumps(body, sort_keys=True) for body in teacher.bodies]
    assert len(set(bodies)) == len(bodies)
    assert max(len(body["messages"][-2]["content"]) for body in teacher.bodies if is_repair(body)) < 1500


def test_retry_asks_just_the_rows_with_that_code_anew(tmp_path: Path) -> None:
    with teaching(FAULTS) as (teacher, server):
        made = params(server, tmp_path)
        translate(made, ROWS, tmp_path / "one")
        with open_ledger(made.ledger or "") as ledger:
            assert ledger.retry(check="untranslated") == 1
        teacher.faults.clear()
        before = len(teacher.bodies)
        result = translate(made, ROWS, tmp_path / "two")
    anew = teacher.bodies[before:]
    assert len(anew) == 1
    assert "latform 7" in anew[0]["messages"][-1]["content"]
    assert result.metrics["kept"] == 20
    assert not (tmp_path / "two" / "human.jsonl").exists()


def test_a_person_finishes_what_no_rung_could(tmp_path: Path) -> None:
    with teaching(FAULTS) as (teacher, server):
        made = params(server, tmp_path)
        translate(made, ROWS, tmp_path / "one")
        entry = json.loads((tmp_path / "one" / "human.jsonl").read_text())

        def again(out: str, **more: Any) -> tuple[Any, list[str]]:
            file = tmp_path / f"{out}.jsonl"
            file.write_text(json.dumps({**entry, **more}, ensure_ascii=False) + "\n", "utf-8")
            progress = Logging()
            result = translate(made.model_copy(update={"human": str(file)}), ROWS, tmp_path / out, progress)
            return result.metrics, progress.lines

        def filled(*texts: str) -> list[dict[str, str]]:
            return [
                {"role": role, "content": text}
                for role, text in zip(("user", "assistant"), texts, strict=True)
            ]

        right = filled("京都駅の7番ホームはどこですか？", "京都駅の7番ホームは、左手のパン屋の裏にあります。")
        before = len(teacher.bodies)
        metrics, lines = again("untouched")
        assert metrics["dropped"] == 1
        metrics, lines = again("right", translation=right, reviewer="花子")
        assert (metrics["kept"], metrics["human"]) == (
            20,
            {"accepted": 1, "forced": 0, "refused": 0, "to_do": 0},
        )
        meta = json.loads(table(tmp_path / "right" / "rows.parquet")[6]["meta"])
        assert (meta["rung"], meta["reviewer"]) == ("human", "花子")
        wrong = filled(entry["source"][0]["content"], entry["source"][1]["content"])
        metrics, lines = again("wrong", translation=wrong)
        assert metrics["human"]["refused"] == 1
        assert any("row row-7" in line and "set `force`" in line for line in lines)
        metrics, lines = again("forced", translation=wrong, reviewer="花子", force=True)
        assert metrics["human"]["forced"] == 1
        assert "untranslated" in json.loads(table(tmp_path / "forced" / "rows.parquet")[6]["meta"])["forced"]
        metrics, lines = again("strange", id="row-99", translation=right)
        assert any("row row-99: no such row" in line for line in lines)
        metrics, lines = again(
            "stale", translation=right, source=[{"role": "user", "content": "x"}, right[1]]
        )
        assert any("source is another one" in line for line in lines)
        assert len(teacher.bodies) == before
        with pytest.raises(UserError, match="line 1: row row-7: `force` without a `reviewer`"):
            again("unsigned", translation=right, force=True)
        with pytest.raises(UserError, match="message 2 is not filled in"):
            again("half", translation=filled("あ", ""))


TASK = {
    "id": "letters",
    "messages": [
        {"role": "user", "content": "How many times does the letter r occur in the word strawberry?"},
        {"role": "assistant", "content": "Three times."},
    ],
    "language": "en",
    "source": "tasks",
    "license": "mit",
    "meta": None,
}


@pytest.mark.parametrize(("way", "kept"), [("native", 1), ("drop", 0)])
def test_what_must_not_be_translated_is_written_anew_or_dropped(tmp_path: Path, way: str, kept: int) -> None:
    with teaching() as (teacher, server):
        result = translate(params(server, tmp_path, routed=way), [TASK], tmp_path / "out")
    assert result.metrics["kept"] == kept
    assert sum(result.metrics["routed"].values()) == 1
    if way == "drop":
        assert teacher.bodies == []
        assert result.metrics["dropped_by_reason"] == {"not to be translated": 1}
        return
    assert [body["model"] for body in teacher.bodies] == ["strong"]
    (made,) = table(tmp_path / "out" / "rows.parquet")
    meta = json.loads(made["meta"])
    assert meta["native"] is True
    assert meta["category"] in result.metrics["routed"]
    assert meta["rung"] == 2
    assert result.metrics["rungs"][2]["accepted"] == 1
    assert made["messages"][0]["content"].startswith("「さくらもち」")


def test_rows_that_cannot_be_translated_are_accounted_for(tmp_path: Path) -> None:
    odd: list[Row] = [
        {**ROWS[0], "id": "no-messages", "messages": []},
        {**ROWS[0], "id": "no-text", "messages": [{"role": "user", "content": None}]},
        {**ROWS[0], "id": "role", "messages": [{"role": "judge", "content": "x"}]},
        {**ROWS[0], "id": "japanese", "language": "ja"},
        {
            **ROWS[0],
            "id": "code",
            "messages": [{"role": "user", "content": "`x`"}, {"role": "assistant", "content": "42"}],
        },
        ROWS[0],
    ]
    with teaching() as (_, server):
        made = params(server, tmp_path)
        with pytest.raises(UserError, match="row no-messages: no messages"):
            translate(made, odd, tmp_path / "stop")
        result = translate(made.model_copy(update={"on_error": "drop"}), odd, tmp_path / "out")
    assert result.metrics["dropped_by_reason"] == {
        "in the target language": 1,
        "not a conversation": 3,
        "nothing to translate": 1,
    }
    details = {one["id"]: one["detail"] for one in table(tmp_path / "out" / "dropped.parquet")}
    assert details["role"].startswith("message 1: role 'judge' is none of")


def test_system_prompts_the_glossary_and_the_register_go_where_they_shall(tmp_path: Path) -> None:
    talk = {**row(15), "messages": [{"role": "system", "content": "Be brief."}, *row(15)["messages"]]}
    with teaching() as (teacher, server):
        for way, count in (("keep", 2), ("translate", 3), ("drop", 2)):
            made = params(
                server,
                tmp_path,
                system=way,
                repairs=0,
                terms={"bakery": "パン屋", "castle": "城"},
                register="plain",
                style=["Be terse."],
            )
            result = translate(made, [talk], tmp_path / way)
            body = teacher.bodies[-1]
            if way == "translate":
                body = next(one for one in teacher.bodies if "Be brief." in one["messages"][-1]["content"])
            assert len(asked(body)) == count
            system = body["messages"][0]["content"]
            assert "bakery → パン屋" in system
            assert "castle" not in system
            assert "plain form" in system
            assert "- Be terse." in system
            if way != "translate":  # the little teacher does not know the word
                assert result.metrics["kept"] == 1
    roles = {
        way: [m["role"] for m in table(tmp_path / way / "rows.parquet")[0]["messages"]]
        for way in ("keep", "drop")
    }
    assert roles == {"keep": ["system", "user", "assistant"], "drop": ["user", "assistant"]}


def test_a_dry_run_tells_and_sends_nothing(tmp_path: Path) -> None:
    progress = Logging()
    with teaching() as (teacher, server):
        made = params(server, tmp_path, dry_run=True)
        with pytest.raises(DryRun):
            translate(made, [*ROWS, TASK], tmp_path / "out", progress)
    assert teacher.bodies == []
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "ledger.sqlite").exists()
    told = "\n".join(progress.lines)
    assert "21 rows, 21 to ask for in 21 requests" in told
    assert max(len(line) for line in progress.lines) <= 80
    worst = float(told.rsplit("at worst ", 1)[1])
    assert worst > 0


def test_the_estimate_is_near_what_a_run_spends_and_its_worst_case_above(tmp_path: Path) -> None:
    from watari.synth.glossary import Glossary
    from watari.synth.translate_estimate import estimate

    with teaching() as (_, server):
        made = params(server, tmp_path)
        told = estimate(made, iter(ROWS), Glossary({}), {})
        result = translate(made, ROWS, tmp_path / "out")
    first = told.rungs[0]
    assert first["requests"] == 20
    assert 0.5 < first["prompt_tokens"] / result.metrics["tokens"]["prompt"] < 2
    assert 0.3 < first["completion_tokens"] / result.metrics["tokens"]["completion"] < 3
    assert told.worst > result.metrics["cost"]


def test_rows_are_read_as_they_are_needed(tmp_path: Path) -> None:
    read = 0

    def many() -> Any:
        nonlocal read
        for number in range(5_000):
            read += 1
            yield row(number % 90 + 100)

    class Stops(Silent):
        def stop_requested(self) -> bool:
            return read > 1000

    (tmp_path / "out").mkdir()
    with teaching() as (_, server), pytest.raises(Interrupted):
        translate_rows(params(server, tmp_path), many(), tmp_path / "out", Stops())
    assert read < 4_000


class Logging(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(message)


def test_the_same_ledger_elsewhere_gives_the_same_rows(tmp_path: Path) -> None:
    with teaching(FAULTS) as (_, server):
        made = params(server, tmp_path)
        translate(made, ROWS, tmp_path / "one")
    shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
    # The server is gone: nothing can be sent.
    elsewhere = made.model_copy(update={"ledger": str(tmp_path / "copy.sqlite")})
    translate(elsewhere, [one for one in ROWS if one["id"] != "row-6"], tmp_path / "two")
    kept = {one["id"]: one for one in table(tmp_path / "one" / "rows.parquet")}
    assert all(kept[one["id"]] == one for one in table(tmp_path / "two" / "rows.parquet"))


def test_as_a_stage_it_takes_artifacts_in_the_order_of_the_recipe_with_their_selections(
    tmp_path: Path,
) -> None:
    class Totals(Silent):
        totals: ClassVar[list[float | None]] = []

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            self.totals.append(total)

    found = []
    for name, numbers in (("late", range(10, 15)), ("early", range(5))):
        write_rows(tmp_path / name / "rows.parquet", Kind.CONVERSATIONS, [row(number) for number in numbers])
        found.append(as_input(name, tmp_path / name, Kind.CONVERSATIONS))
    limited = Selection.model_validate({"from": "late", "limit": 2})
    inputs = Inputs({"data": [dataclasses.replace(found[0], selection=limited), found[1]]})
    (tmp_path / "out").mkdir()
    with teaching() as (_, server):
        made = params(server, tmp_path, data=[{"from": "late", "limit": 2}, "early"])
        result = STAGE.run(made, inputs, tmp_path / "out", Totals())
    assert result.metrics["kept"] == 7
    assert set(Totals.totals) == {7}
    kept = [one["parents"][0] for one in table(tmp_path / "out" / "rows.parquet")]
    assert kept == ["row-10", "row-11", "row-0", "row-1", "row-2", "row-3", "row-4"]


def test_where_it_is_asked_and_what_it_costs_does_not_count_in_the_key(tmp_path: Path) -> None:
    with teaching() as (_, server):
        made = params(server, tmp_path)
    other = {
        **made.model_dump(),
        "ledger": "elsewhere",
        "label": "x",
        "check_workers": 3,
        "budget": {"money": 1.0},
    }
    for teacher in other["teachers"]:
        teacher.update(base_url="http://127.0.0.1:1/v1", price={"input": 9.0}, name="y", key_env="KEY")
    assert key_parameters(Params(**other), {}) == key_parameters(made, {})
    for change in (
        {"register": "plain"},
        {"repairs": 2},
        {"terms": {"a": "b"}},
        {"routed": "drop"},
        {"seed": 1},
    ):
        assert key_parameters(made.model_copy(update=change), {}) != key_parameters(made, {})
