"""How ranks are started, heard and ended. Their program is replaced by a few lines that need no torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watari.artifact.params import Selection
from watari.artifact.stage import InputArtifact, Inputs, Silent, StageResult
from watari.errors import DryRun, Interrupted, StageFailed, UserError
from watari.train import pretrain
from watari.train.distributed import launch
from watari.train.distributed.launch import HOME, delegated
from watari.train.distributed.spec import Launch

START = """
import os, signal, socket, sys, time
from pathlib import Path
from watari.artifact.stage import StageResult
from watari.errors import DryRun, Interrupted, StageFailed, UserError
from watari.train.distributed.rank import Line
from watari.train.distributed.spec import Launch
rank = int(os.environ["RANK"])
line = Line(socket.socket(fileno=int(os.environ["WATARI_LINE"])), main=rank == 0)
given = Launch.read(Path(sys.argv[1]))
"""


class Heard(Silent):
    """A progress that keeps what it is told, and asks to stop once told to."""

    def __init__(self) -> None:
        self.updates: list[tuple[float, float | None, str, str]] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.updates.append((done, total, unit, note))

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append((message, fields))

    def stop_requested(self) -> bool:
        return any(done == 1 for done, *_ in self.updates)


@pytest.fixture
def inputs(shard_of: Callable[..., InputArtifact]) -> Inputs:
    return Inputs({"data": [shard_of("d", [[1, 5, 6, 2]], where={"language": ["ja"]}, limit=3)]})


@pytest.fixture
def launched(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., StageResult | None]:
    """Return a function that runs lines of Python as every rank of a launch."""
    monkeypatch.setattr(launch, "_GRACE", 1.0)
    (tmp_path / "out").mkdir()

    def run(lines: str, progress: Any = None, **params: Any) -> StageResult | None:
        program = tmp_path / "program.py"
        program.write_text(START + textwrap.dedent(lines))
        monkeypatch.setattr(launch, "PROGRAM", (str(program),))
        given = pretrain.Params(**{"model": "m", "data": "d", "tokens": 10, "processes": 2, **params})
        return delegated("train.pretrain", given, inputs, tmp_path / "out", progress or Silent())

    return run


def test_one_process_and_a_rank_do_the_work_themselves(
    launched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    assert launched("", heard, processes=1, sharding="fsdp") is None
    assert "sharding" in heard.lines[0][0]
    monkeypatch.setenv(HOME, "/nowhere")
    assert launched("") is None


def test_rank_0_is_heard_and_the_result_is_its_own(launched: Callable[..., Any]) -> None:
    heard = Heard()
    result = launched(
        """
        line.update(2 + rank, 9, unit="steps", note="loss")
        line.log("resumed", step=rank)
        line.finished(StageResult({"rank": rank, "loss": 0.1 + 0.2}, {"world": os.environ["WORLD_SIZE"]}))
        """,
        heard,
        processes=3,
    )
    assert result == StageResult({"rank": 0, "loss": 0.1 + 0.2}, {"world": "3"})
    assert heard.updates == [(2, 9, "steps", "loss")]
    assert heard.lines[1:] == [("resumed", {"step": 0})]


def test_what_a_rank_is_told_is_what_was_given(
    launched: Callable[..., Any], inputs: Inputs, tmp_path: Path
) -> None:
    launched("line.finished(StageResult())", lr=3e-4, tokens="8B", lora={"rank": 4}, replay=["d"])
    read = Launch.read(tmp_path / "out" / "work" / "launch.json")
    params = read.parameters()
    assert params == pretrain.Params(
        model="m", data="d", tokens=8 * 10**9, processes=2, lr=3e-4, lora={"rank": 4}, replay=["d"]
    )
    assert list(read.artifacts().items()) == list(inputs.items())
    assert read.artifacts().one("data").selection == Selection(
        **{"from": "d", "where": {"language": ["ja"]}, "limit": 3}
    )


@pytest.mark.parametrize("who", [0, 1])
def test_what_a_rank_raises_is_raised(launched: Callable[..., Any], who: int) -> None:
    """Also while the others fail for its loss, or never end."""
    lines = f"""
    if rank == {who}:
        time.sleep(0.2)
        line.failed(UserError("row 7: no text", "drop it"), told=True)
        os._exit(1)
    line.failed(StageFailed("connection closed by peer"), told=False)
    time.sleep(600)
    """
    with pytest.raises(UserError, match="row 7: no text") as caught:
        launched(lines)
    assert caught.value.mend == "drop it"


def test_a_dry_run_comes_back_as_one_and_leaves_its_spec(
    launched: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(DryRun, match="before the first"):
        launched('line.failed(DryRun("stopped before the first"), told=True); os._exit(130)', dry_run=True)
    assert Launch.read(tmp_path / "out" / "work" / "launch.json").kind == "train.pretrain"


def test_a_rank_that_is_killed_is_named(launched: Callable[..., Any]) -> None:
    lines = """
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    line.failed(StageFailed("connection closed by peer"), told=False)
    os._exit(3)
    """
    with pytest.raises(StageFailed, match="process 1 of 2 was killed by signal 9") as caught:
        launched(lines)
    assert "checkpoint" in (caught.value.mend or "")


def test_a_defect_keeps_its_words(launched: Callable[..., Any]) -> None:
    with pytest.raises(StageFailed, match="ValueError: 3 apples"):
        launched('line.failed(StageFailed("ValueError: 3 apples"), told=False); os._exit(3)')
    with pytest.raises(StageFailed, match="process 0 of 2 ended with exit code 7"):
        launched("os._exit(7)")


def test_a_rank_that_trips_at_its_exit_has_done_its_work(launched: Callable[..., Any]) -> None:
    result = launched("line.finished(StageResult({'a': 1})); os.kill(os.getpid(), signal.SIGABRT)")
    assert result == StageResult({"a": 1})


def test_a_stop_reaches_rank_0_and_comes_back_as_interrupted(launched: Callable[..., Any]) -> None:
    lines = """
    line.update(1, 9)
    while not line.stop_requested():
        time.sleep(0.05)
    line.failed(Interrupted("stopped after step 1 of 9"), told=True)
    os._exit(130)
    """
    with pytest.raises(Interrupted, match="step 1 of 9"):
        launched(lines, Heard())


def test_a_finished_stage_is_not_run_again(launched: Callable[..., Any]) -> None:
    finish = "result = StageResult({'a': 1})\nif rank == 0: given.write_result(result)\nline.finished(result)"
    assert launched(finish) == StageResult({"a": 1})
    assert launched("os._exit(7)", processes=4, sharding="fsdp") == StageResult({"a": 1})
    with pytest.raises(StageFailed):
        launched("os._exit(7)", lr=3e-4)


PARENT = """
import sys
from pathlib import Path
from watari.artifact.stage import Inputs, Silent
from watari.train import pretrain
from watari.train.distributed import launch
launch.PROGRAM = (sys.argv[1],)
params = pretrain.Params(model="m", data="d", tokens=10, processes=2)
launch.delegated("train.pretrain", params, Inputs(), Path(sys.argv[2]), Silent())
"""


def test_no_rank_outlives_its_parent(tmp_path: Path) -> None:
    """Not even when the parent is killed with a signal that nobody can catch."""
    program = tmp_path / "program.py"
    program.write_text(
        START + "Path(sys.argv[1]).with_name(f'pid-{rank}').write_text(str(os.getpid()))\ntime.sleep(99)"
    )
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(program), str(tmp_path / "out")])
    try:
        noted = [tmp_path / "out" / "work" / f"pid-{rank}" for rank in range(2)]
        _until(lambda: all(path.is_file() and path.read_text() for path in noted))
        ranks = [int(path.read_text()) for path in noted]
        assert all(_alive(rank) for rank in ranks)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _until(lambda: not any(_alive(rank) for rank in ranks))


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def test_a_spec_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Launch.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"kind": 3}')
    with pytest.raises(UserError, match="not the description of a launch"):
        Launch.read(tmp_path / "bad.json")
    made = Launch(kind="os.system", params={}, inputs=[], out=tmp_path)
    with pytest.raises(UserError, match="does not run on several processes"):
        made.stage()


def test_usage_without_torchrun(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    source = str(Path(launch.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-m", "watari.train.distributed.rank", str(tmp_path / "launch.json")],
        env={**environment, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "usage: torchrun" in done.stderr
