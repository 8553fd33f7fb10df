"""samples.parquet and dataset.json: what is shown of a stage's rows, and what is told of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from watari.artifact.dataset_facts import RowCounts, read_facts
from watari.errors import UserError
from watari.synth.checks.finding import Finding, Severity, Span
from watari.synth.dataset_facts import ModelFact, write_stage_facts
from watari.synth.samples import SCHEMA, Sample, Samples, State, write_samples

TURNS = [{"role": "user", "content": "こんにちは"}]


def sample(name: str, state: State, code: str = "", **more: Any) -> Sample:
    findings = [Finding(code, Severity.HARD, "wrong", Span(0, 1, 2))] if code else []
    return Sample(name, state, TURNS, TURNS, findings, [{"rung": 0, "codes": [code] if code else []}], **more)


def chosen(samples: list[Sample], **settings: Any) -> list[dict[str, Any]]:
    chooser = Samples(settings.pop("seed", 0), "synth.test", **settings)
    for one in samples:
        chooser.offer(one)
    return chooser.chosen()


def many(state: State, count: int, code: str = "") -> list[Sample]:
    return [sample(f"{state}-{code}-{number}", state, code) for number in range(count)]


def test_few_rows_are_all_shown_faults_first() -> None:
    rows = [
        *many(State.ACCEPTED, 5),
        *many(State.DROPPED, 3),
        *many(State.REPAIRED, 4),
        *many(State.ESCALATED, 2),
    ]
    states = [row["state"] for row in chosen(rows)]
    assert states == ["dropped"] * 3 + ["escalated"] * 2 + ["repaired"] * 4 + ["accepted"] * 5


def test_every_state_has_its_part_of_many() -> None:
    rows = [
        *many(State.ACCEPTED, 5000),
        *many(State.DROPPED, 1000),
        *many(State.REPAIRED, 300),
        *many(State.ESCALATED, 7),
    ]
    counts = Counter(row["state"] for row in chosen(rows))
    assert counts == {"dropped": 293, "escalated": 7, "repaired": 50, "accepted": 50}


def test_every_kind_of_fault_is_shown() -> None:
    rows = many(State.DROPPED, 3000, "common")
    rows += [one for number in range(40) for one in many(State.DROPPED, 2, f"rare-{number}")]
    shown = Counter(json.loads(row["findings"])[0]["code"] for row in chosen(rows))
    assert len(shown) == 41
    assert all(count == 2 for code, count in shown.items() if code != "common")
    assert sum(shown.values()) == 400


def test_the_choice_is_a_draw_that_goes_by_id_alone() -> None:
    rows = [*many(State.ACCEPTED, 2000), *many(State.DROPPED, 900, "x"), *many(State.DROPPED, 900, "y")]
    first = chosen(rows)
    assert chosen(rows[::-1]) == first
    assert [row["id"] for row in chosen(rows, seed=1)] != [row["id"] for row in first]
    numbers = [int(row["id"].rsplit("-", 1)[1]) for row in first if row["state"] == "accepted"]
    assert max(numbers) > 1500


def test_no_more_than_the_limit() -> None:
    rows = [*many(State.ACCEPTED, 50), *many(State.DROPPED, 50, "x")]
    counts = Counter(row["state"] for row in chosen(rows, limit=16))
    assert counts == {"dropped": 14, "accepted": 2}


def test_the_file(tmp_path: Path) -> None:
    one = Sample(
        "a",
        State.DROPPED,
        TURNS,
        (),
        [Finding("empty", Severity.HARD, "nothing")],
        [{"rung": 1}],
        "empty",
        {"k": "v"},
    )
    assert write_samples(tmp_path, [one, sample("b", State.ACCEPTED)], seed=0, stage="s") == 2
    table = pq.read_table(tmp_path / "samples.parquet")
    assert table.schema.remove_metadata() == SCHEMA
    row = table.to_pylist()[0]
    assert (row["id"], row["state"], row["reason"], row["source"], row["target"]) == (
        "a",
        "dropped",
        "empty",
        TURNS,
        [],
    )
    assert json.loads(row["findings"]) == [
        {"code": "empty", "severity": "hard", "span": None, "message": "nothing"}
    ]
    assert (json.loads(row["attempts"]), json.loads(row["meta"])) == ([{"rung": 1}], {"k": "v"})
    assert write_samples(tmp_path, [], seed=0, stage="s") == 0


def test_facts_of_a_stage(tmp_path: Path) -> None:
    counts = RowCounts()
    counts.add(
        {
            "messages": [*TURNS, *TURNS],
            "language": "ja",
            "source": "s",
            "license": None,
            "meta": '{"category": "c"}',
        }
    )
    counts.add(
        {
            "prompt": TURNS,
            "chosen": "abc",
            "rejected": "de",
            "language": "en",
            "source": "s",
            "license": "MIT",
            "meta": "x",
        }
    )
    metrics = {
        "rows_in": 5,
        "dropped_by_reason": {"empty": 3},
        "findings": {"empty": {"hard": 3, "warn": 0}},
        "tokens": {"prompt": 7, "completion": 8},
        "cost": 0.1 + 0.2,
    }
    write_stage_facts(
        tmp_path,
        "synth.test",
        counts,
        metrics,
        models=[ModelFact(model="m", role="teacher")],
        prompts={"p": "1"},
        checks="v",
    )
    facts = read_facts(tmp_path)
    assert facts is not None
    assert (facts.rows, facts.turns, facts.characters, facts.rows_in) == (2, 5, 20, 5)
    assert facts.languages == {"en": 1, "ja": 1}
    assert facts.licenses == {"MIT": 1, "unknown": 1}
    assert facts.categories == {"c": 1}
    assert (facts.findings["empty"].hard, facts.cost, facts.checks) == (3, 0.3, "v")
    assert [one.model for one in facts.models] == ["m"]
    first = (tmp_path / "dataset.json").read_bytes()
    write_stage_facts(
        tmp_path,
        "synth.test",
        counts,
        metrics,
        models=[ModelFact(model="m", role="teacher")],
        prompts={"p": "1"},
        checks="v",
    )
    assert (tmp_path / "dataset.json").read_bytes() == first


def test_facts_that_are_none(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    (tmp_path / "dataset.json").write_text('{"stage": "x", "rows": "many"}', "utf-8")
    with pytest.raises(UserError, match=r"dataset\.json: rows: "):
        read_facts(tmp_path)
