"""The specs against the files that they name: categories by id, hashes of every vintage, settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from watari.evals.mtbench.spec import MTBenchSpec, QuestionSet
from watari.evals.spec import load_spec

NAMES = ("fastchat-mt-bench", "stability-ja-mt-bench", "nejumi-mt-bench-ja")


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


@pytest.mark.parametrize(
    ("spec", "name", "file"),
    [
        ("fastchat-mt-bench", "mt-bench-en", "mt-bench-en/question.jsonl"),
        ("fastchat-mt-bench", "mt-bench-ja", "mt-bench-judgments/shisa-v2-ja/question.jsonl"),
        ("stability-ja-mt-bench", "mt-bench-ja-60", "mt-bench-ja/stability/question_60.jsonl"),
        ("nejumi-mt-bench-ja", "mt-bench-ja", "mt-bench-ja/nejumi-v3-in-swallow-202407/question.jsonl"),
        ("nejumi-mt-bench-ja", "mt-bench-ja", "mt-bench-ja/swallow-202411/question.jsonl"),
    ],
)
def test_categories_by_id_are_those_of_the_question_file(
    test_data: Path, spec: str, name: str, file: str
) -> None:
    found = _spec(spec).sets[name]
    rows = [json.loads(line) for line in (test_data / file).read_text("utf-8").splitlines()]
    assert {str(row["question_id"]): row["category"] for row in rows} == {
        id: found.category_of(id) for id in found.ids()
    }


def test_every_vintage_is_a_stored_file(test_data: Path) -> None:
    stored = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path.name
        for folder in ("mt-bench-en", "mt-bench-ja", "mt-bench-judgments/shisa-v2-ja")
        for path in (test_data / folder).rglob("*.jsonl")
    }
    beginnings = {"questions": "question", "references": "reference_answer", "prompts": "judge_"}
    pinned = [one for name in NAMES for one in _spec(name).vintages]
    for one in pinned:
        assert stored[one.sha256].startswith(beginnings[one.role])
    assert set(stored) - {one.sha256 for one in pinned} == {
        hashlib.sha256((test_data / "mt-bench-en/vicuna_question.jsonl").read_bytes()).hexdigest()
    }


def test_a_vintage_is_found_by_role_and_hash() -> None:
    spec = _spec("nejumi-mt-bench-ja")
    first = spec.vintages[0]
    assert spec.vintage(first.role, first.sha256) == first
    assert spec.vintage("prompts", first.sha256) is None
    assert spec.vintage(first.role, "0" * 64) is None


def test_prompts_are_in_upstreams_files(test_data: Path) -> None:
    files = {
        "fastchat-mt-bench": "mt-bench-en/judge_prompts.jsonl",
        "stability-ja-mt-bench": "mt-bench-ja/stability/judge_ja_prompts.jsonl",
        "nejumi-mt-bench-ja": "mt-bench-ja/nejumi-v3-in-swallow-202407/judge_prompts.jsonl",
    }
    for name, file in files.items():
        spec = _spec(name)
        there = {
            json.loads(line)["name"] for line in (test_data / file).read_text("utf-8").splitlines() if line
        }
        for kind in ("general", "math"):
            for turn in spec.turns:
                assert spec.judge.prompt_name(kind, turn) in there
        assert spec.judge.prompt_name("general", 3) is None


def test_settings() -> None:
    fastchat, stability, nejumi = map(_spec, NAMES)
    assert fastchat.answers.temperature_of("writing") == 0.7
    assert fastchat.answers.temperature_of("math") == 0
    assert stability.answers.temperature_of("extraction") == 0.2
    assert fastchat.answers.temperature_of("of my own") == 0.7
    assert [fastchat.kind_of(name) for name in ("coding", "writing")] == ["math", "general"]
    assert (nejumi.runs, nejumi.divide, nejumi.scale) == (5, 10, (0, 1))
    assert stability.turns == (1,)
    assert fastchat.category_of("81") == "writing"
    assert fastchat.category_of("80") == "writing"
    assert fastchat.category_of("161") is None


@pytest.mark.parametrize("id", ["0", "", "x1", "1" * 5000, "-1", "８１", "1.0"])
def test_ids_of_no_set(id: str) -> None:
    assert _spec("fastchat-mt-bench").category_of(id) is None


def test_ranges_may_not_overlap() -> None:
    with pytest.raises(ValueError, match="no ids of its own"):
        QuestionSet(language="en", categories={"a": (1, 10), "b": (10, 20)})
    with pytest.raises(ValueError, match="no ids of its own"):
        QuestionSet(language="en", categories={"a": (5, 4)})
