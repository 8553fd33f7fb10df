"""toy.slow: counts to `steps` in work/, a step at a time; goes on where it was; stops when asked."""

import os
import time
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.draws import draw_uint64
from watari.artifact.kinds import Kind
from watari.artifact.params import Documents, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import Interrupted


class Params(StageParams):
    """Parameters of the toy counter."""

    documents: Documents
    steps: int = 20
    pause: float = 0.01
    deaf: bool = False
    pid_file: str = ""


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    work = out / "work"
    work.mkdir(exist_ok=True)
    state = work / "state"
    sums = [int(part) for part in state.read_text().split()] if state.exists() else []
    (out / "logs").mkdir(exist_ok=True)
    with (out / "logs" / "sessions").open("a") as handle:
        handle.write(f"{os.getpid()} from {len(sums)}\n")
    if params.pid_file:
        with Path(params.pid_file).open("a") as handle:
            handle.write(f"{os.getpid()}\n")
    while len(sums) < params.steps:
        if not params.deaf and progress.stop_requested():
            raise Interrupted("stopped as asked")
        time.sleep(params.pause)
        sums.append(draw_uint64(params.seed, "toy.slow", str(len(sums))) % 1000)
        atomic.write_text(state, " ".join(map(str, sums)))
        progress.update(len(sums), params.steps, unit="steps", note=f"sum {sum(sums)}")
    atomic.write_text(out / "sums.txt", " ".join(map(str, sums)))
    atomic.write_text(out / "model.txt", inputs.one("documents").manifest.digest)
    return StageResult(metrics={"sum": sum(sums)})


STAGE = Stage(kind="toy.slow", version=1, output=Kind.MODEL, params=Params, run=run, resumes=True)
