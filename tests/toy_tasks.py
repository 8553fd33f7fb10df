"""Tasks for the tests of the corpus engines: small, and with every way to go wrong.

Run as a program it is a parent that may be killed: `python toy_tasks.py ENGINE WORK TASKS WORKERS`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.stage import Silent
from watari.errors import UserError

TASK = "toy_tasks:run_task"
STEP = "toy"


def expected(tasks: int) -> dict[str, bytes]:
    """Return the files that a step of so many tasks comes to, by name."""
    files = {}
    for number in range(tasks):
        files[f"{number:05d}.bin"] = _content(number)
        files[f"{number:05d}.json"] = b'{"number": %d}\n' % number
    return files


def content(work: Path, step: str = STEP) -> dict[str, bytes]:
    """Return the files of a step by name; what a killed writer left under a temporary name is no file of it."""
    found = sorted((work / step).glob("*"))
    return {path.name: path.read_bytes() for path in found if not path.name.startswith(".")}


def plan(work: Path, **settings: object) -> None:
    """Say how the tasks shall behave: seconds, fail: {number: how}."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "plan.json").write_text(json.dumps(settings))


def began(work: Path) -> list[tuple[int, int]]:
    """Return (task, process) of every beginning of a task, in order."""
    path = work / "began"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), int(process)) for number, process in (line.split() for line in lines)]


def run_task(work: Path, step: str, number: int) -> None:
    """Write a file of a known content, then the mark; on the way do what the plan says of this number."""
    settings = json.loads((work / "plan.json").read_text())
    with (work / "began").open("a") as handle:
        handle.write(f"{number} {os.getpid()}\n")
    seconds = settings.get("seconds", 0) * (1 + number % 3)
    time.sleep(seconds)
    _misbehave(settings.get("fail", {}).get(str(number)), number)
    atomic.write_bytes(work / step / f"{number:05d}.bin", _content(number))
    # Between the file and the mark a kill must not matter either.
    time.sleep(seconds / 2)
    if settings.get("fail", {}).get(str(number)) != "forget":
        atomic.write_json(work / step / f"{number:05d}.json", {"number": number}, indent=None)


def _content(number: int) -> bytes:
    return hashlib.sha256(f"task {number}".encode()).hexdigest().encode() * 50


def _misbehave(how: str | None, number: int) -> None:
    if how == "error":
        print("what it was doing")
        raise ValueError(f"boom in {number}\nsecond line")
    if how == "user":
        raise UserError(f"part-{number}.jsonl: line 7: not JSON", "mend the line")
    if how == "exit":
        sys.exit(5)
    if how == "leave":
        os._exit(9)
    if how == "memory":
        raise MemoryError
    if how == "disk":
        raise OSError(28, "No space left on device")
    if how and how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))


def facts(work: Path, step: str, number: int) -> None:
    """Record what a task sees of its process."""
    import pyarrow

    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TOY_SETTING")
    seen = {
        "environment": {name: os.environ.get(name) for name in names},
        "arrow": [pyarrow.cpu_count(), pyarrow.io_thread_count()],
        "pid": os.getpid(),
        "parent": os.getppid(),
    }
    atomic.write_json(work / step / f"{number:05d}.json", seen)


if __name__ == "__main__":
    from watari.corpus.engines import EngineOptions, run

    run(
        sys.argv[1],
        Path(sys.argv[2]),
        STEP,
        int(sys.argv[3]),
        workers=int(sys.argv[4]),
        progress=Silent(),
        task=TASK,
        options=EngineOptions(partition="all", mem_per_cpu_gb=1),
    )
