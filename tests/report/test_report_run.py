"""The stage `report.run`."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from watari.artifact.kinds import Kind
from watari.artifact.params import edges
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.report.run import STAGE, Params


def test_writes_page_and_figures(artifacts: list[InputArtifact], tmp_path: Path) -> None:
    result = STAGE.run(Params(title="渡り"), Inputs({"stages": artifacts}), tmp_path, Silent())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    listed = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert result.metrics == {"stages": 23, "figures": len(listed["figures"])}
    assert result.performance == {}
    assert listed["title"] == "渡り"
    assert "<bdi>渡り</bdi>" in (tmp_path / "report.html").read_text("utf-8")


def test_two_runs_give_the_same_bytes(artifacts: list[InputArtifact], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        STAGE.run(Params(), Inputs({"stages": artifacts}), tmp_path / name, Silent())
    for file in ("report.html", "report.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_is_a_gathering_stage() -> None:
    assert STAGE.gathers
    assert STAGE.output_kind(Params()) == Kind.CARD
    assert Params().stages == []
    (edge,) = edges(Params.model_validate({"stages": "sft"}))
    assert edge.selection.source == "sft"
    assert set(edge.kinds) == set(Kind)


def test_parameters_are_checked() -> None:
    with pytest.raises(ValidationError, match="samples"):
        Params(samples=-1)
    with pytest.raises(ValidationError, match="titel"):
        Params.model_validate({"titel": "x"})


def test_samples_and_examples_can_be_left_out(artifacts: list[InputArtifact], tmp_path: Path) -> None:
    STAGE.run(Params(samples=0, examples=0), Inputs({"stages": artifacts}), tmp_path, Silent())
    assert 'id="samples"' not in (tmp_path / "report.html").read_text("utf-8")


def test_samples_depend_on_the_seed_only(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.report.samples import samples_of
    from watari.report.stages import read_stages

    made = fakes.full_run(tmp_path)
    stages = read_stages(made)
    chosen = {seed: samples_of(stages, seed=seed, count=2) for seed in range(8)}
    assert chosen[0] == samples_of(stages, seed=0, count=2)
    asked = {tuple(sample.turns[0].text for sample in sets[0].samples) for sets in chosen.values()}
    assert len(asked) > 1
    for sets in chosen.values():
        assert [group.language for group in sets] == ["ja", "en"]
        for group in sets:
            assert len({sample.group for sample in group.samples}) == 2
            assert all([a.label for a in s.answers] == ["base", "sft_ja", "dpo"] for s in group.samples)


def test_an_empty_or_cut_off_answer_is_no_answer(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.report.samples import samples_of
    from watari.report.stages import read_stages

    run = fakes.FakeRun(tmp_path)
    lines = [
        {
            "language": "ja",
            "messages": [{"role": "user", "content": f"q{n}"}],
            "answers": ["a"],
            "response": said,
        }
        | {"right": right, "finish_reason": reason}
        for n, (said, right, reason) in enumerate(
            [("a", True, "stop"), ("b", False, "stop"), (" ", False, "stop"), ("a a", False, "length")]
        )
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run.stage("e", "eval.exact", Kind.SCORES, files={"samples.jsonl": text})
    (group,) = samples_of(read_stages(run.all()), seed=0, count=9)
    verdicts = {sample.turns[0].text: sample.answers[0].verdict for sample in group.samples}
    assert verdicts == {"q0": "right", "q1": "wrong", "q2": "unreadable", "q3": "unreadable"}


@pytest.mark.parametrize("file", ["samples.jsonl", "train_log.jsonl"])
def test_a_broken_line_is_named(fakes: ModuleType, tmp_path: Path, file: str) -> None:
    run = fakes.FakeRun(tmp_path / "store")
    uses, kind = ("eval.exact", Kind.SCORES) if file == "samples.jsonl" else ("train.sft", Kind.MODEL)
    run.stage("s", uses, kind, files={file: '{"step": 1, "loss": 1.0}\n{"broken\n'})
    with pytest.raises(UserError, match=rf"{file}:2: not a JSON object"):
        STAGE.run(Params(), Inputs({"stages": run.all()}), tmp_path, Silent())


def test_stops_when_asked(tmp_path: Path) -> None:
    class Asked(Silent):
        def stop_requested(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        STAGE.run(Params(), Inputs(), tmp_path, Asked())
