"""kill -9 anywhere, or a polite stop: the resumed run ends with the same bytes as an undisturbed one."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent, Stage
from watari.errors import Interrupted, StageFailed
from watari.train import checkpoint, dpo, pretrain, repair, sft

COMMON: dict[str, Any] = {"model": "base", "threads": 1, "checkpoint_steps": 3, "sequence": 256}
MODULES = {"pretrain": pretrain, "sft": sft, "dpo": dpo, "repair": repair}


@dataclass
class Case:
    """A stage, ready to run into any folder."""

    name: str
    params: Any
    inputs: Inputs
    early: int = 7
    """An update at which steps are under way: what is scored before them is told of as well."""

    @property
    def stage(self) -> Stage:
        return MODULES[self.name].STAGE

    def run(self, out: Path, progress: Any = None) -> dict[str, Any]:
        out.mkdir(parents=True, exist_ok=True)
        return self.stage.run(self.params, self.inputs, out, progress or Silent()).metrics


@pytest.fixture(params=sorted(MODULES))
def case(
    request: pytest.FixtureRequest,
    tiny: InputArtifact,
    rows_of: Callable[..., InputArtifact],
    shard_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    choices: list[dict[str, Any]],
    leaks: list[dict[str, Any]],
    stories: list[list[int]],
) -> Case:
    if request.param == "pretrain":
        data = shard_of("d", stories)
        params: Any = pretrain.Params(**{**COMMON, "sequence": 32}, data="d", tokens=1800, batch=4, lr=3e-3)
    elif request.param == "sft":
        data = rows_of("d", Kind.CONVERSATIONS, talks)
        params = sft.Params(
            **COMMON, data="d", epochs=3, batch=1, template="shisa", neftune_alpha=5, packing=True, lr=3e-3
        )
    elif request.param == "repair":
        data = rows_of("d", Kind.PREFERENCES, leaks)
        params = repair.Params(
            **COMMON, data="d", epochs=4, batch=6, lr=3e-3, pass_tokens=600, alpha_ul=1.0, alpha_rf=0.1
        )
    else:
        data = rows_of("d", Kind.PREFERENCES, choices)
        params = dpo.Params(
            **COMMON, data="d", epochs=4, batch=6, template="swallow", lr=3e-3, pass_tokens=500
        )
    early = 20 if request.param == "repair" else 7
    return Case(request.param, params, Inputs({"model": [tiny], "data": [data]}), early)


class StopAt(Silent):
    """Ask to stop once `at` updates were made; break instead, if told to."""

    def __init__(self, at: int, *, broken: bool = False) -> None:
        self.at = at
        self.seen = 0
        self.broken = broken

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.seen += 1
        if self.broken and self.seen == self.at:
            raise RuntimeError("pulled the plug")

    def stop_requested(self) -> bool:
        return not self.broken and self.seen >= self.at


def result(out: Path) -> str:
    return digest_of(list_files(out))


def test_a_stop_at_any_moment_changes_nothing(case: Case, tmp_path: Path) -> None:
    metrics = case.run(tmp_path / "whole")
    lines = (tmp_path / "whole" / "train_log.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == metrics["steps"] >= 9
    for broken in (False, True):
        out = tmp_path / f"stopped-{broken}"
        stops = 0
        # Each attempt gets a little further than the one before, through scoring and steps alike.
        for attempt in range(60):
            try:
                found = case.run(out, StopAt(3 + 2 * attempt, broken=broken))
                break
            except (Interrupted, RuntimeError):
                stops += 1
                assert len(list((out / "work").glob("checkpoint-*"))) <= 2
        assert stops >= 2
        assert found == metrics
        assert result(out) == result(tmp_path / "whole")


CHILD = """
import importlib, pickle, sys
from pathlib import Path
import torch
import watari.train.session
from watari.artifact.stage import Silent
name, params, inputs = pickle.loads(Path(sys.argv[1]).read_bytes())
stage = importlib.import_module(name).STAGE
torch.set_num_threads(1)
print("ready", flush=True)
stage.run(params, inputs, Path(sys.argv[2]), Silent())
"""


@pytest.mark.slow
def test_kill_9_changes_nothing(case: Case, tmp_path: Path) -> None:
    """Real processes, killed at random moments: while they load, step, write checkpoints, save."""
    case.run(tmp_path / "whole")
    work = tmp_path / "case.pickle"
    work.write_bytes(pickle.dumps((MODULES[case.name].__name__, case.params, case.inputs)))
    chance = random.Random(case.name)
    out = tmp_path / "killed"
    out.mkdir()
    killed = code = 0
    for attempt in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(work), str(out)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        # The last attempts are left alone.
        try:
            code = child.wait(chance.uniform(0.2, 1.2) if attempt < 3 else 120)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed += 1
            continue
        finally:
            child.stdout.close()
        break
    assert code == 0
    assert killed > 0
    assert result(out) == result(tmp_path / "whole")


def test_a_checkpoint_is_whole_or_not_there(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        case.run(out, StopAt(case.early))
    newest = checkpoint.latest(out / "work")
    assert newest is not None
    position = checkpoint.read_position(newest)
    log = (out / "train_log.jsonl").read_bytes()
    assert position.step == len(log.splitlines())
    assert (position.log_bytes, position.threads) == (len(log), 1)
    # What a death in the middle of writing leaves is not taken for a checkpoint, and is cleared away.
    shutil.copytree(newest, out / "work" / ".writing-checkpoint-9999999999")
    (out / "work" / ".writing-checkpoint-9999999999" / "weights.safetensors").write_bytes(b"torn")
    case.run(out)
    case.run(tmp_path / "whole")
    assert result(out) == result(tmp_path / "whole")
    assert not list((out / "work").glob(".writing-*"))


def test_lines_after_the_checkpoint_are_written_again(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        case.run(out, StopAt(case.early))
    with (out / "train_log.jsonl").open("a") as handle:
        handle.write(json.dumps({"step": 999, "loss": 0}) + "\n")
    metrics = case.run(out)
    steps = [json.loads(line)["step"] for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]
    assert steps == list(range(1, metrics["steps"] + 1))


def test_checkpoints_by_time(case: Case, tmp_path: Path) -> None:
    often = Case(
        case.name,
        case.params.model_copy(update={"checkpoint_steps": 0, "checkpoint_seconds": 1e-9}),
        case.inputs,
    )
    often.run(tmp_path / "out")
    assert len(list((tmp_path / "out" / "work").glob("checkpoint-*"))) == 2
    case.run(tmp_path / "whole")
    assert result(tmp_path / "out") == result(tmp_path / "whole")


def test_another_models_checkpoint_is_refused(case: Case, tmp_path: Path) -> None:
    from made_artifacts import as_input
    from tiny_llama import make_folder

    with pytest.raises(Interrupted):
        case.run(tmp_path / "out", StopAt(case.early))
    wide = as_input("wide", make_folder(tmp_path / "w", intermediate_size=96), Kind.MODEL)
    other = Case(case.name, case.params, Inputs({**dict(case.inputs._artifacts), "model": [wide]}))
    with pytest.raises(StageFailed, match="another model"):
        other.run(tmp_path / "out")


def test_all_cores_are_used_unless_told(case: Case, tmp_path: Path) -> None:
    from watari.train.device import available_threads
    from watari.train.session import resumed_threads

    free = case.params.model_copy(update={"threads": None})
    assert resumed_threads(free, tmp_path / "new") == available_threads()
    with pytest.raises(Interrupted):
        case.run(tmp_path / "out", StopAt(case.early))
    # A resumed run goes on with the number that it began with.
    assert resumed_threads(free, tmp_path / "out") == 1
