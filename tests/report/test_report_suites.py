"""Evaluation suites in the run's report: tables that mix no judges, figures with their origin, answers with ratings."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact
from watari.report.figures import Figures, scores_of
from watari.report.page import Page, build
from watari.report.stages import read_stages
from watari.report.suites import suite_samples


def row(
    metric: str, group: str, value: float, *, spec: str, judge: str | None = None, **more: Any
) -> dict[str, Any]:
    said = {
        "n": 8,
        "invalid": 0,
        "stderr": 0.1,
        "ci_low": value - 0.1,
        "ci_high": value + 0.1,
        "runs": 1,
        "run_sd": None,
    }
    return {"metric": metric, "group": group, "value": value, "spec": spec, "judge": judge} | said | more


QUESTIONS = [("81", "writing", ["詩を書いて。", "短くして。"]), ("101", "math", ["1+1は？", "では2+2は？"])]


def judged(run: Any, name: str, model: str, value: float, judge: str) -> InputArtifact:
    spec = "nejumi-mt-bench-ja/1"
    rows = [
        row("rating", "overall", value, spec=spec, judge=judge, runs=5, run_sd=0.021, invalid=3),
        row("rating", "turn 1", value + 0.05, spec=spec, judge=judge, runs=5, run_sd=0.03),
        row("rating", "writing", value - 0.05, spec=spec, judge=judge, runs=5),
    ]
    items = [{"id": i, "group": g, "turns": turns, "reference": [], "gold": ""} for i, g, turns in QUESTIONS]
    made = run.stage(
        name,
        "eval.mtbench",
        Kind.SCORES,
        inputs={"model": [model]},
        parameters={"questions": "bundled", "model": None},
        rows=rows,
        files={"items.jsonl": "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in items)},
    )
    generations, judgments = [], []
    for i, group, _ in QUESTIONS:
        for number in (0, 1):
            for turn in (1, 2):
                key = f"{name}{i}{number}{turn}"
                said = {"id": key, "item_id": i, "group": group, "model": model, "run": number, "turn": turn}
                said |= {
                    "sampler": "{}",
                    "seed": 0,
                    "rendered_prompt": "",
                    "response": f"{model}の答え{i}-{turn}-{number}",
                }
                said |= {"finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1}
                generations.append(said | {"problem": "", "gold": "", "pred": ""})
                rating = None if (i, turn) == ("101", 2) else 6.5 + turn / 2
                verdict = {
                    "id": "j" + key,
                    "generation_ids": [key],
                    "spec": spec,
                    "judge": judge,
                    "turn": turn,
                }
                verdict |= {"rating": rating, "text": "", "parents": [], "question_id": i, "model": model}
                judgments.append(verdict | {"category": group, "run": number})
    write_rows(made.path / "generations.parquet", Kind.GENERATIONS, generations)
    write_rows(made.path / "judgments.parquet", Kind.JUDGMENTS, judgments)
    return made


def compared(run: Any, name: str, model: str, value: float) -> InputArtifact:
    spec = "llm-jp-eval-1.0/1"
    figures = (
        ("AVR", value),
        ("NLI", value - 0.1),
        ("jnli_exact_match", value - 0.1),
        ("niilc_char_f1", value),
    )
    item = {"id": "0", "group": "jnli", "turns": ["前提：<b>猫</b>"], "gold": "neutral"}
    made = run.stage(
        name,
        "eval.jaster",
        Kind.SCORES,
        inputs={"model": [model]},
        parameters={"datasets": "bundled"},
        rows=[row("score", group, figure, spec=spec) for group, figure in figures],
        files={"items.jsonl": json.dumps(item, ensure_ascii=False) + "\n"},
    )
    pred = "neutral" if value > 0.5 else "entailment"
    said = {
        "id": name,
        "item_id": "0",
        "group": "jnli",
        "model": model,
        "run": 0,
        "turn": 1,
        "sampler": "{}",
        "seed": 0,
    }
    said |= {
        "rendered_prompt": "",
        "response": pred,
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }
    write_rows(
        made.path / "generations.parquet",
        Kind.GENERATIONS,
        [said | {"gold": "neutral", "pred": pred, "problem": ""}],
    )
    return made


@pytest.fixture(scope="module")
def suites(fakes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[InputArtifact]:
    """Two models, three suites: llm-jp-eval, and MT-Bench by two judges."""
    run = fakes.FakeRun(tmp_path_factory.mktemp("suites"))
    run.stage("sft", "train.sft", Kind.MODEL)
    run.stage("dpo", "train.dpo", Kind.MODEL, inputs={"model": ["sft"]})
    for model, value in (("sft", 0.41), ("dpo", 0.62)):
        compared(run, f"jaster_{model}", model, value)
        judged(run, f"mt_{model}", model, value, "gpt-4")
    judged(run, "mt_other", "dpo", 0.8, "gpt-5.1")
    made: list[InputArtifact] = run.all()
    return made


@pytest.fixture(scope="module")
def shown(suites: list[InputArtifact]) -> Page:
    return build(suites)


def tables(page: Page) -> list[str]:
    part = page.html[page.html.index('id="tables"') : page.html.index('id="samples"')]
    return part.split('<table class="data">')[1:]


def test_a_table_holds_one_judge_and_says_which(shown: Page) -> None:
    found = [table for table in tables(shown) if "eval." in table]
    assert len(found) == 3
    jaster, first, second = found
    assert "llm-jp-eval-1.0/1" in jaster
    assert "judge:" not in jaster
    assert "0.410" in jaster
    assert "0.620" in jaster
    assert "judge: gpt-4<" in first
    assert "gpt-5.1" not in first
    assert "0.620" in first
    assert "judge: gpt-5.1" in second
    assert "gpt-4<" not in second
    assert "0.800" in second
    assert "watari eval report RUN/stages/mt_sft RUN/stages/mt_dpo --out page" in first


def test_the_order_is_the_specs_and_runs_are_told(shown: Page) -> None:
    jaster, first, _ = (table for table in tables(shown) if "eval." in table)
    places = [
        jaster.index(f"<code>{name}</code>") for name in ("AVR", "NLI", "jnli_exact_match", "niilc_char_f1")
    ]
    assert places == sorted(places)
    assert "5 runs" in first
    assert "± 0.021" in first
    assert "3 invalid" in first
    assert "審査モデル：gpt-4" in first
    assert "総合" in first


def test_figures_keep_judge_spec_and_runs(shown: Page) -> None:
    figures = json.loads(shown.json)["figures"]
    (one,) = [f for f in figures if f.get("judge") == "gpt-5.1" and f["group"] == "overall"]
    assert (one["value"], one["spec"], one["runs"], one["run_sd"]) == (0.8, "nejumi-mt-bench-ja/1", 5, 0.021)
    assert one["where"] == {"metric": "rating", "group": "overall"}


def test_the_headline_has_a_card_a_spec_and_judge(shown: Page) -> None:
    cards = shown.html[shown.html.index('id="headline"') : shown.html.index('id="graph"')]
    assert cards.count('<article class="card') == 3
    assert cards.count("nejumi-mt-bench-ja/1") == 2


def test_answers_stand_side_by_side_with_their_ratings(suites: list[InputArtifact], shown: Page) -> None:
    stages = read_stages(suites)
    figures = Figures()
    scores = {stage.name: scores_of(stage, figures) for stage in stages if stage.manifest.kind == Kind.SCORES}
    sets = suite_samples(stages, scores, seed=0, count=6)
    assert [len(one.samples) for one in sets] == [1, 2, 2]
    (compared_item,) = sets[0].samples
    assert compared_item.expected == "neutral"
    assert [(a.label, a.verdict) for a in compared_item.answers] == [("sft", "wrong"), ("dpo", "right")]
    by_group = {sample.group: sample for sample in sets[1].samples}
    writing = by_group["writing"]
    assert [turn.text for turn in writing.turns] == ["詩を書いて。", "短くして。"]
    assert [answer.label for answer in writing.answers] == ["sft", "dpo"]
    assert writing.answers[0].turn.text == "sftの答え81-1-0\n― 2 ―\nsftの答え81-2-0"
    assert "7 · 7.5" in writing.answers[0].mark
    assert "7 · –" in by_group["math"].answers[0].mark
    assert len(suite_samples(stages, scores, seed=0, count=1)[1].samples) == 1
    # Written into the page as text.
    assert "前提：&lt;b&gt;猫&lt;/b&gt;" in shown.html


def test_without_answers_the_scores_still_stand(fakes: ModuleType, tmp_path: Path) -> None:
    run = fakes.FakeRun(tmp_path)
    run.stage("m", "train.sft", Kind.MODEL)
    run.stage(
        "s",
        "eval.shaberi",
        Kind.SCORES,
        inputs={"model": ["m"]},
        rows=[row("score", "average", 5.5, spec="shaberi/1", judge="j")],
    )
    page = build(run.all())
    assert "shaberi/1" in page.html
    assert "5.500" in page.html
