"""The whole training in one picture, bits per character along it, and the steps that went wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.report.bits import Measured, measured
from watari.report.chart import NEUTRAL, Line, Mark, Panel
from watari.report.course import Course, course_of
from watari.report.curves import charts_of
from watari.report.figures import Figures
from watari.report.logs import TrainLog, read_logs
from watari.report.page import build
from watari.report.stages import read_stages


def logs_of(artifacts: list[InputArtifact]) -> list[TrainLog]:
    """Return the training logs of a run."""
    return read_logs(read_stages(artifacts))


def course(artifacts: list[InputArtifact]) -> Course:
    """Return the picture of a run that has one."""
    found = course_of(logs_of(artifacts), Figures())
    assert found is not None
    return found


def by_name(artifacts: list[InputArtifact]) -> dict[tuple[str, str], Measured]:
    """Return what was measured, by stage and language."""
    return {(item.log.stage.name, item.language): item for item in measured(logs_of(artifacts))}


@pytest.fixture
def small(fakes: ModuleType, tmp_path: Path) -> Any:
    """A run with a loaded model, to which a test adds training stages."""
    run = fakes.FakeRun(tmp_path / "small")
    run.stage("model", "model.load", Kind.MODEL)
    return run


def train(run: Any, name: str, uses: str, model: str, files: dict[str, str], **more: Any) -> None:
    """Add a training stage."""
    run.stage(name, uses, Kind.MODEL, inputs={"model": [model]}, files=files, **more)


def test_stretches_follow_the_models_way(artifacts: list[InputArtifact]) -> None:
    found = course(artifacts)
    assert [stretch.name for stretch in found.stretches] == ["base", "pretrained", "sft", "sft_ja", "dpo"]
    assert [stretch.tokens for stretch in found.stretches] == [
        3_276_800,
        4_915_200,
        480_000,
        240_000,
        120_000,
    ]
    lows = [stretch.low for stretch in found.stretches]
    highs = [stretch.high for stretch in found.stretches]
    assert lows == [0.0, *highs[:-1]]
    assert highs[-1] == pytest.approx(1000)
    widths = [high - low for low, high in zip(lows, highs, strict=True)]
    assert min(widths) >= 120, "a short stage must be wide enough to be seen"
    assert sorted(widths) == [widths[place] for place in (4, 3, 2, 0, 1)], "more tokens are wider"


def test_a_place_on_the_axis_is_even_within_a_stage(artifacts: list[InputArtifact]) -> None:
    stretch = course(artifacts).stretches[2]
    assert stretch.at(0) == stretch.low
    assert stretch.at(240_000) == pytest.approx((stretch.low + stretch.high) / 2)
    assert stretch.at(480_000) == pytest.approx(stretch.high)


def test_all_stages_are_lines_of_one_picture(artifacts: list[InputArtifact]) -> None:
    found = course(artifacts)
    assert [line["name"] for line in found.data["lines"]] == ["base", "pretrained", "sft", "sft_ja", "dpo"]
    for line, stretch in zip(found.data["lines"], found.stretches, strict=True):
        assert stretch.low <= line["x"][0] < line["x"][-1] <= stretch.high + 1e-2
        assert ("margin" in line) == (stretch.name == "dpo")
        assert len(line["bits"]) == (0 if stretch.name == "base" else 2)
    for drawing in (found.wide, found.narrow):
        assert drawing.count('class="border"') == 4
        assert "Learning rate (logarithmic)" in drawing, "5e-6 would be a flat line under 1e-3"
    assert all(f">{text}</text>" in found.wide for text in ("0", "3.277M", "8.192M", "8.672M", "9.032M"))
    assert found.wide.index(">1 base<") < found.wide.index(">2 pretrained<") < found.wide.index(">5 dpo<")
    assert found.strands == []
    assert not found.shares


def test_each_width_of_screen_has_its_drawing(artifacts: list[InputArtifact]) -> None:
    html = build(artifacts).html
    for kind, width in (("wide", 1120), ("narrow", 560)):
        assert f'<div class="canvas {kind}"><svg class="chart" viewBox="0 0 {width} ' in html


def test_one_stage_alone_is_no_course(small: Any, fakes: ModuleType) -> None:
    train(small, "t", "train.sft", "model", {"train_log.jsonl": fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)})
    assert course_of(logs_of(small.all()), Figures()) is None


def test_a_log_without_tokens_has_no_place(small: Any) -> None:
    line = '{"step": 1, "loss": 2.0}\n'
    train(small, "a", "train.sft", "model", {"train_log.jsonl": line})
    train(small, "b", "train.sft", "a", {"train_log.jsonl": line})
    assert course_of(logs_of(small.all()), Figures()) is None
    assert len(charts_of(logs_of(small.all()), Figures())) == 2


def test_variants_have_colours_and_what_they_share_has_none(variants: list[InputArtifact]) -> None:
    found = course(variants)
    assert [strand.name for strand in found.strands] == [f"vocabulary={v}" for v in ("none", "4k", "8k")]
    assert [strand.colour for strand in found.strands] == [0, 1, 2]
    assert found.shares
    assert [len(stretch.logs) for stretch in found.stretches] == [1, 3, 3, 3, 3]
    colours = {row.curve.stage.name: row.curve.colour for row in found.rows}
    assert colours["base"] == NEUTRAL
    assert colours["pretrained@vocabulary=8k"] == colours["dpo@vocabulary=8k"] == 2


def test_a_variant_may_skip_a_stage(small: Any, fakes: ModuleType) -> None:
    """A stage stands in one stretch for all variants, behind the longest way to it."""
    log = {"train_log.jsonl": fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)}
    train(small, "sft@ja=no", "train.sft", "model", log)
    train(small, "pretrained@ja=yes", "train.pretrain", "model", log)
    train(small, "sft@ja=yes", "train.sft", "pretrained@ja=yes", log)
    found = course(small.all())
    assert [(s.name, len(s.logs)) for s in found.stretches] == [("pretrained", 1), ("sft", 2)]


def test_a_fork_is_named_by_its_ends(small: Any, fakes: ModuleType) -> None:
    log = {"train_log.jsonl": fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)}
    train(small, "sft", "train.sft", "model", log)
    small.stage("mixed", "model.average", Kind.MODEL, inputs={"models": ["sft", "model"]})
    train(small, "one", "train.dpo", "mixed", log)
    train(small, "two", "train.dpo", "mixed", log)
    found = course(small.all())
    assert [strand.name for strand in found.strands] == ["one", "two"]
    assert found.stretches[1].name == "one / two"
    assert [row.curve.colour for row in found.rows] == [NEUTRAL, 0, 1]


def test_the_reference_of_preferences_is_not_its_model(small: Any, fakes: ModuleType) -> None:
    log = {"train_log.jsonl": fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)}
    train(small, "judge", "train.sft", "model", log)
    train(small, "sft", "train.sft", "model", log)
    small.stage("dpo", "train.dpo", Kind.MODEL, inputs={"reference": ["judge"], "model": ["sft"]}, files=log)
    found = course(small.all())
    assert [row.curve.colour for row in found.rows if row.curve.stage.name in ("sft", "dpo")] == [1, 1]


def test_the_base_is_what_the_first_stage_began_with(artifacts: list[InputArtifact]) -> None:
    found = by_name(artifacts)
    for name in ("pretrained", "sft", "sft_ja", "dpo"):
        for language, value in (("ja", 5.12), ("en", 0.93)):
            item = found[name, language]
            assert item.base is not None
            assert (item.base.log.stage.name, item.from_base) == ("pretrained", value)
    drawing = course(artifacts).wide
    levels = re.findall(r'<path class="level c0" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/>', drawing)
    assert len(levels) == 2
    for left, first, right, last in levels:
        assert float(first) == float(last)
        assert (float(left), float(right)) == (pytest.approx(318, abs=60), 1106)


def test_random_weights_are_no_base(fakes: ModuleType, tmp_path: Path) -> None:
    run = fakes.FakeRun(tmp_path)
    run.stage("empty", "model.init", Kind.MODEL)
    log = fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)
    for name, model, curve in (("base", "empty", (9.0, 1.0)), ("more", "base", (1.0, 1.1))):
        files = {"train_log.jsonl": log, "eval_log.jsonl": fakes.watched(9, 5, {"en": curve})}
        train(run, name, "train.pretrain", model, files)
    found = by_name(run.all())
    assert found["base", "en"].base is None
    assert found["more", "en"].from_base == 1.0
    assert course(run.all()).wide.count('class="level') == 1


def test_another_text_is_not_compared(small: Any, fakes: ModuleType) -> None:
    log = fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)
    eval_log = fakes.watched(9, 5, {"en": (1.0, 1.2)})
    train(small, "one", "train.sft", "model", {"train_log.jsonl": log, "eval_log.jsonl": eval_log})
    other = eval_log.replace("90000", "80000")
    train(small, "two", "train.sft", "one", {"train_log.jsonl": log, "eval_log.jsonl": other})
    found = by_name(small.all())
    assert found["one", "en"].from_base == 1.0
    assert found["two", "en"].base is None


def test_forgetting_is_told_in_per_cent(artifacts: list[InputArtifact]) -> None:
    page = build(artifacts)
    figures = json.loads(page.json)["figures"]
    listed = {
        (f["stage"], f["group"], f["name"]): f
        for f in figures
        if f["name"].startswith("bits_per_character_") and "stage" in f
    }
    first = listed["pretrained", "en", "bits_per_character_first"]
    assert (first["value"], first["file"], first["n"]) == (0.93, "eval_log.jsonl", 60)
    assert first["where"] == {"step": 0, "language": "en"}
    change = listed["dpo", "en", "bits_per_character_change"]
    assert (change["file"], change["field"]) == ("manifest.json", "/metrics/bits_per_character/en/change")
    values = {f["id"]: f["value"] for f in figures}
    since = [f for f in figures if f["name"] == "bits_per_character_change" and "derived" in f]
    assert len(since) == 6, "three stages after the first, in two languages"
    assert max(f["value"] for f in since) == pytest.approx(1.04 / 0.93 - 1)
    assert all(f["value"] == eval(f["derived"], {"__builtins__": {}}, values) for f in since)
    assert "+11.8%" in page.html
    assert "-71.1%" in page.html


def test_a_change_that_no_metric_has_is_computed(small: Any, fakes: ModuleType) -> None:
    log = fakes.log_lines(9, 2, 1, lr=1e-4, tokens=5)
    eval_log = fakes.watched(9, 5, {"en": (1.0, 1.25)})
    train(small, "one", "train.sft", "model", {"train_log.jsonl": log, "eval_log.jsonl": eval_log})
    (chart,) = charts_of(logs_of(small.all()), figures := Figures())
    assert chart.bits is not None
    (change,) = [f for f in figures.all if f.name == "bits_per_character_change"]
    assert change.value == pytest.approx(0.25)
    assert change.derived is not None


def test_a_single_stage_shows_its_own_bits(small: Any, fakes: ModuleType) -> None:
    files = {
        "train_log.jsonl": fakes.log_lines(50, 3, 2, lr=1e-4, tokens=8),
        "eval_log.jsonl": fakes.watched(50, 8, {"en": (0.9, 0.95), "ja": (4.0, 2.0)}),
    }
    train(small, "pretrained", "train.pretrain", "model", files)
    (chart,) = charts_of(logs_of(small.all()), Figures())
    assert chart.svg.index("Bits per character · ") < chart.svg.rindex("Bits per character · ")
    assert chart.svg.index(">Japanese<") < chart.svg.index(">English<")
    assert chart.svg.count('class="level') == 2
    assert [entry["language"] for entry in chart.data["lines"][0]["bits"]] == ["ja", "en"]
    assert chart.data["lines"][0]["bits"][0]["y"][0] == 4.0


def test_a_spike_is_marked_and_leaves_the_axis_alone(small: Any, fakes: ModuleType) -> None:
    calm = fakes.log_lines(100, 3, 2, lr=1e-4, tokens=8)
    wild = fakes.log_lines(100, 3, 2, lr=1e-4, tokens=8, spikes={40: 900.0, 60: None, 70: None})
    train(small, "calm", "train.sft", "model", {"train_log.jsonl": calm})
    metrics = {"spikes": 3, "skipped_steps": 2}
    train(small, "wild", "train.sft", "model", {"train_log.jsonl": wild}, metrics=metrics)
    one, two = charts_of(logs_of(small.all()), Figures())
    assert re.findall(r'class="mark (\w+) ', one.svg) == []
    assert re.findall(r'class="mark (\w+) ', two.svg) == ["spike", "skipped", "skipped"]
    shapes = re.findall(r'class="mark \w+ c0" d="[^"]*?(z?)"', two.svg)
    assert shapes == ["z", "", ""], "a filled triangle, and two crosses"
    labels = [re.findall(r'class="tick"[^>]*text-anchor="end">([^<]*)<', chart.svg) for chart in (one, two)]
    assert labels[0] == labels[1]
    assert max(two.data["lines"][0]["loss"]) < 4
    assert not any("spikes" in note for note in one.notes)
    assert any("spikes: " in note and "steps left out: " in note for note in two.notes)
    assert any('title="wild · manifest.json#/metrics/skipped_steps">2</a>' in note for note in two.notes)


def test_what_is_no_number_is_no_point(small: Any) -> None:
    lines = '{"step": 1, "loss": 2.0, "tokens": 5}\n{"step": 2, "loss": NaN, "tokens": 10}\n'
    train(small, "t", "train.sft", "model", {"train_log.jsonl": lines})
    (chart,) = charts_of(logs_of(small.all()), Figures())
    assert chart.data["lines"][0]["loss"] == [2.0]
    build(small.all())


def test_bases_of_variants_are_one_line_where_they_agree(variants: list[InputArtifact]) -> None:
    """English is the same before every variant, Japanese is not: its tokens differ."""
    drawing = course(variants).wide
    assert re.findall(r'class="level (\w+)"', drawing) == ["c0", "c1", "c2", "cn"]


def test_the_training_table_counts_what_went_wrong(artifacts: list[InputArtifact], small: Any) -> None:
    html = build(artifacts).html
    table = html[html.index('id="training-caption"') :]
    assert "Steps left out" in table[: table.index("</table>")]
    small.stage("t", "train.sft", Kind.MODEL, metrics={"steps": 3, "spikes": 0, "skipped_steps": 0})
    assert "Spikes" not in build(small.all()).html[html.index("<body>") :].partition('id="details"')[0]


def test_the_gradient_norm_can_be_unfolded(artifacts: list[InputArtifact]) -> None:
    html = build(artifacts).html
    folded = re.findall(r'<details class="under"><summary id="(chart\d[np])-title">', html)
    assert folded == ["chart1n", "chart2n", "chart3n", "chart4n", "chart4p"]
    data = json.loads(re.findall(r'id="watari-charts">(.*?)</script>', html)[0])
    assert set(data) == {"course", *folded, "chart1", "chart2", "chart3", "chart4"}
    assert data["chart2n"]["lines"][0]["grad_norm"][0] == pytest.approx(1.195)


def test_preference_training_shows_what_its_log_has(artifacts: list[InputArtifact]) -> None:
    chart = charts_of(logs_of(artifacts), Figures())[-1]
    assert {"margin", "accuracy"} <= set(chart.data["lines"][0])
    drift = chart.under[1]
    assert "Reward: chosen bold, rejected thin" in drift.svg
    assert "Log-ratio to the reference" in drift.svg
    assert "Loss of the chosen reply" not in drift.svg
    rewards = {"chosen_reward", "rejected_reward", "leaking_reward", "clean_reward"}
    columns = rewards | {"kl_chosen", "kl_rejected", "length_gap"}
    assert set(drift.data["lines"][0]) == {"name", "colour", "x", *columns}
    assert drift.data["lines"][0]["rejected_reward"][-1] < drift.data["lines"][0]["chosen_reward"][-1] < 0


def test_held_back_pairs_are_dots_at_their_steps(artifacts: list[InputArtifact]) -> None:
    (dpo,) = [log for log in logs_of(artifacts) if log.stage.name == "dpo"]
    found = dpo.held_pairs("step", "reward_accuracy")
    assert [step for step, _ in found] == [20, 40, 60, 80]
    assert [value for _, value in found] == pytest.approx([0.605, 0.71, 0.815, 0.92])
    assert dpo.held_pairs("tokens", "margin")[0] == (30_000, 0.4)
    chart = charts_of(logs_of(artifacts), Figures(), bits=False)[-1]
    assert chart.svg.count('class="dot c0"') == 8
    assert any("Dots: pairs that were held back." in note for note in chart.notes)


def test_an_older_run_has_no_empty_places(fakes: ModuleType, tmp_path: Path) -> None:
    """Stages that wrote neither spikes nor preflights nor bits give the charts that they always gave."""
    html = build(fakes.full_run(tmp_path, watch=False)).html
    body = html[html.index("<body>") : html.index('id="watari-charts"')]
    for absent in (
        'class="mark s',
        'class="level',
        'class="preflight',
        "Bits per character ·",
        "course-bits",
        "▲",
    ):
        assert absent not in body, absent
    assert 'id="course-title"' in body


def test_marks_beyond_the_axis_stand_at_its_end() -> None:
    panel = Panel("", [Line([(0, 1.0), (1, 2.0)], 0)], [Mark(0.5, 50.0, False, 0), Mark(0.6, None, True, 0)])
    scale = panel.scale()
    assert scale.high == 2.0
    assert scale.share(50.0) == 1.0
    low = Panel("", [Line([(0, 1e-9), (1, 1.0), (2, 0.1)], 0)], log=True, least=0.05).scale()
    assert low.low == 0.1
    assert low.share(0.0) == low.share(1e-9) == 0.0
