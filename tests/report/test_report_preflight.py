"""A stage's preflight in its section."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.report.figures import Figures
from watari.report.page import build
from watari.report.preflight import preflight_of
from watari.report.stages import read_stages


def section(html: str, name: str) -> str:
    """Return the folded summary in a stage's section."""
    stage = html[html.index(f'id="stage-{name}"') :]
    return stage[stage.index('<details class="preflight"') : stage.index("Parameters")]


def test_it_is_folded_and_says_what_is_trained(artifacts: list[InputArtifact]) -> None:
    html = build(artifacts).html
    assert html.count('<details class="preflight"><summary>') == 4
    found = section(html, "sft")
    summary = found[: found.index("</summary>")]
    assert "4.9%" in summary
    assert "warnings: 1" in summary
    assert "Dropped: too long" in found
    assert "in 9 of 5,990 sequences the end of the reply is not trained" in found
    assert "no warnings" in section(html, "sft-ja")
    assert "Median norm of new rows, embedding" in section(html, "pretrained")


def test_its_figures_trace_to_its_file(artifacts: list[InputArtifact]) -> None:
    figures = Figures()
    stage = next(stage for stage in read_stages(artifacts) if stage.name == "pretrained")
    assert preflight_of(stage, figures) is not None
    content = json.loads((stage.path / "preflight.json").read_text("utf-8"))
    listed = {figure["field"]: figure for figure in figures.to_json()}
    assert all(figure["file"] == "preflight.json" for figure in listed.values())
    assert listed["/data/trained_share"]["value"] == content["data"]["trained_share"]
    assert listed["/new_rows/0/new/p50"]["value"] == 0.87
    assert listed["/trial/expected"]["value"] == content["trial"]["expected"]


def test_a_stage_without_one_has_none(artifacts: list[InputArtifact]) -> None:
    stages = {stage.name: stage for stage in read_stages(artifacts)}
    assert preflight_of(stages["base"], Figures()) is None
    assert preflight_of(stages["text_ja"], Figures()) is None


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"data": null, "marks": 3, "new_rows": {"a": 1}, "trial": null, "warnings": "none"}',
        '{"data": {"dropped": [1], "trained_share": "much"}, "new_rows": [3, {"new": {"p50": null}}]}',
    ],
)
def test_what_it_does_not_say_is_left_out(fakes: ModuleType, tmp_path: Path, content: str) -> None:
    run = fakes.FakeRun(tmp_path)
    run.stage("t", "train.sft", Kind.MODEL, files={"preflight.json": content})
    found = preflight_of(read_stages(run.all())[0], Figures())
    assert found is not None
    assert (found.lines, found.warnings, len(found.headline)) == ([], [], 1)


def test_a_damaged_one_is_named(fakes: ModuleType, tmp_path: Path) -> None:
    run = fakes.FakeRun(tmp_path)
    run.stage("t", "train.sft", Kind.MODEL, files={"preflight.json": '{"data": '})
    with pytest.raises(UserError, match=r"preflight\.json: not a JSON object"):
        build(run.all())


def test_hostile_text_stays_text(fakes: ModuleType, tmp_path: Path) -> None:
    evil = "</details><script>alert(1)</script>"
    report = {"data": {"dropped": {evil: 3}}, "warnings": [evil], "new_rows": [{"table": evil}]}
    report["new_rows"] = [{"table": evil, "new": {"p50": 1.0}}]
    lines = [
        {
            "step": 0,
            "tokens": 0,
            "language": evil,
            "bits_per_character": 1.0,
            "characters": 5,
            "documents": 1,
        },
        {
            "step": 5,
            "tokens": 9,
            "language": evil,
            "bits_per_character": 1.5,
            "characters": 5,
            "documents": 1,
        },
    ]
    run = fakes.FakeRun(tmp_path)
    files = {
        "preflight.json": json.dumps(report),
        "train_log.jsonl": fakes.log_lines(5, 2, 1, lr=1e-3, tokens=9),
        "eval_log.jsonl": "".join(json.dumps(line) + "\n" for line in lines),
    }
    run.stage("one", "train.sft", Kind.MODEL, files=files)
    run.stage(f"two@{evil}", "train.sft", Kind.MODEL, inputs={"model": ["one"]}, files=files)
    html = build(run.all()).html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert len(re.findall("<script", html)) == 5
