"""Whole launches: real ranks that are killed, stopped, refused, or started by torchrun itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from made_artifacts import as_input
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokensInfo, TokenWriter
from watari.errors import Interrupted, StageFailed, UserError
from watari.train import pretrain, sft
from watari.train.distributed.spec import Launch

pytestmark = pytest.mark.slow(minutes=2)

GIVEN: dict[str, Any] = {
    "model": "base",
    "data": "d",
    "tokens": 1920,
    "sequence": 32,
    "batch": 4,
    "pass_tokens": 64,
    "lr": 3e-3,
    "threads": 1,
    "precision": "fp32",
    "checkpoint_steps": 4,
    "processes": 2,
}


class Watched(Silent):
    """Does something at a step; keeps the lines told."""

    def __init__(self, step: int = 0, act: Callable[[], None] | None = None, *, stop: bool = False) -> None:
        self.step = step
        self.act = act
        self.stop = stop
        self.done = 0.0
        self.lines: list[str] = []

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.done = done if unit == "steps" else 0
        if self.act is not None and self.done >= self.step:
            act, self.act = self.act, None
            act()

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(message)

    def stop_requested(self) -> bool:
        return self.stop and self.done >= self.step > 0


@pytest.fixture
def inputs(tiny: InputArtifact, shard_of: Callable[..., InputArtifact], stories: list[list[int]]) -> Inputs:
    return Inputs({"model": [tiny], "data": [shard_of("d", stories)]})


def run(inputs: Inputs, out: Path, progress: Any = None, **params: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    given = pretrain.Params(**{**GIVEN, **params})
    return pretrain.run(given, inputs, out, progress or Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def result(out: Path) -> str:
    return digest_of(list_files(out))


def ranks_of(out: Path) -> list[int]:
    """Return the process ids of the ranks that work in `out`, in the order of their ranks."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str(out).encode() in (path / "cmdline").read_bytes().split(b"\0")[-2]:
                variables = (path / "environ").read_bytes().split(b"\0")
                rank = next(int(value[5:]) for value in variables if value.startswith(b"RANK="))
                found.append((rank, int(path.name)))
        except (OSError, IndexError, StopIteration):
            continue
    return [process for _, process in sorted(found)]


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny: InputArtifact, stories: list[list[int]]
) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Return a function that gives the folder and metrics of a run on two ranks by its sharding; run once."""
    root = tmp_path_factory.mktemp("whole")
    with TokenWriter(root / "d", TokensInfo(420, "t", 1, 2)) as writer:
        for index, ids in enumerate(stories):
            writer.add(f"d-{index}", ids, language="ja", source="d", characters=len(ids))
    given = Inputs({"model": [tiny], "data": [as_input("d", root / "d", Kind.TOKENS)]})

    @cache
    def whole(sharding: str) -> tuple[Path, dict[str, Any]]:
        return root / sharding, run(given, root / sharding, sharding=sharding)

    return whole


@pytest.mark.parametrize(("sharding", "rank"), [("none", 1), ("fsdp", 0)])
def test_a_killed_rank_is_told_and_the_rerun_goes_on(
    inputs: Inputs, undisturbed: Callable[[str], Any], tmp_path: Path, sharding: str, rank: int
) -> None:
    whole, metrics = undisturbed(sharding)
    out = tmp_path / "killed"
    progress = Watched(6, lambda: os.kill(ranks_of(out / "work" / "launch.json")[rank], signal.SIGKILL))
    with pytest.raises(StageFailed, match=f"process {rank} of 2 was killed by signal 9"):
        run(inputs, out, progress, sharding=sharding)
    assert not ranks_of(out / "work" / "launch.json")
    again = Watched()
    assert run(inputs, out, again, sharding=sharding) == metrics
    assert "resumed" in again.lines
    # The same number of ranks: the same bits.
    assert result(out) == result(whole)


def test_a_stop_is_for_all_ranks_and_keeps_the_work(
    inputs: Inputs, undisturbed: Callable[[str], Any], tmp_path: Path
) -> None:
    whole, _ = undisturbed("fsdp")
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="stopped after step") as caught:
        run(inputs, out, Watched(9, stop=True), sharding="fsdp")
    step = int(caught.value.message.split("step ")[1].split()[0])
    newest = out / "work" / f"checkpoint-{step:010d}"
    assert newest.is_dir()
    assert len(log(out)) == step
    # On three the losses agree, on the same two the bits, even if a part of the newest checkpoint is damaged.
    three = tmp_path / "three"
    shutil.copytree(out, three)
    run(inputs, three, processes=3, sharding="none")
    for ours, theirs in zip(log(three), log(whole), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    part = newest / "optimizer-00001-of-00002.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    progress = Watched()
    run(inputs, out, progress, sharding="fsdp")
    assert any("is damaged (optimizer-00001-of-00002.safetensors is not" in line for line in progress.lines)
    assert result(out) == result(whole)


def test_the_users_mistakes_come_back_as_such(
    tiny: InputArtifact, rows_of: Callable[..., InputArtifact], tmp_path: Path
) -> None:
    rows = [{"id": "a", "messages": [{"role": "user", "content": "?"}], "language": "en", "source": "made"}]
    given = Inputs({"model": [tiny], "data": [rows_of("d", Kind.CONVERSATIONS, rows)]})
    (tmp_path / "out").mkdir()
    params = sft.Params(model="base", data="d", template="shisa", sequence=64, processes=2)
    with pytest.raises(UserError, match="none of 1"):
        sft.run(params, given, tmp_path / "out", Silent())


def test_under_torchrun(inputs: Inputs, tmp_path: Path) -> None:
    """As on several machines: torchrun starts the ranks, a signal stops them, the next run finds the result."""
    out = tmp_path / "out"
    out.mkdir()
    params = pretrain.Params(**GIVEN, sharding="fsdp")
    launch = Launch.of("train.pretrain", params, inputs, out)
    launch.write()
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "watari.train.distributed.rank", str(launch.path)),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(pretrain.__file__).parents[2])}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Between its start and its end, wherever that is; it may as well come too late.
    stopper = threading.Thread(target=_signal_when, args=(out / "train_log.jsonl", first))
    stopper.start()
    first.communicate(timeout=300)
    stopper.join()
    if not (out / "model.safetensors").is_file():
        assert list((out / "work").glob("checkpoint-*"))
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "resumed" in done.stdout
    metrics = run(inputs, out, sharding="fsdp")
    whole = run(inputs, tmp_path / "whole", processes=1)
    assert {k: metrics[k] for k in ("steps", "tokens")} == {k: whole[k] for k in ("steps", "tokens")}
    for ours, theirs in zip(log(out), log(tmp_path / "whole"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def _signal_when(path: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        if path.is_file() and path.stat().st_size:
            process.send_signal(signal.SIGINT)
            return
        time.sleep(0.02)
