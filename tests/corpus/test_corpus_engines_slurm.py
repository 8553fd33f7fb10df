"""The engine `datatrove-slurm`: against a real Slurm of one node, and its reading of Slurm's words against stand-ins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import one_node_slurm
import toy_tasks
from one_node_slurm import PARTITION, queued
from toy_tasks import STEP, TASK, began, content, expected, plan
from watari.artifact.stage import Silent
from watari.corpus.engines import EngineOptions, run, slurm
from watari.errors import Interrupted, StageFailed

TASKS = 5
OPTIONS = EngineOptions(partition=PARTITION, mem_per_cpu_gb=1)


@pytest.fixture(scope="module")
def configuration() -> Iterator[Path]:
    if missing := one_node_slurm.missing():
        pytest.skip(f"needs {', '.join(missing)} (Debian: slurm-wlm, munge)")
    with one_node_slurm.running() as path:
        yield path


@pytest.fixture
def cluster(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURM_CONF", str(configuration))
    monkeypatch.setattr(slurm, "_ASK_EVERY", 0.5)
    return configuration


class StopAt(Silent):
    """Asks to stop once so many shards are done."""

    def __init__(self, shards: float) -> None:
        self.shards = shards
        self.done = 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.done = done

    def stop_requested(self) -> bool:
        return self.done >= self.shards


def go(
    work: Path,
    *,
    tasks: int = TASKS,
    workers: int = 4,
    progress: Silent | None = None,
    options: EngineOptions = OPTIONS,
    task: str = TASK,
) -> None:
    run(
        "datatrove-slurm",
        work,
        STEP,
        tasks,
        workers=workers,
        progress=progress or Silent(),
        task=task,
        options=options,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


@pytest.mark.slow
def test_slurm_writes_the_same_files_and_our_marks_decide(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path)
    go(tmp_path)
    assert content(tmp_path) == expected(TASKS)
    (tmp_path / STEP / "00003.json").unlink()
    go(tmp_path)
    assert [number for number, _ in began(tmp_path)[TASKS:]] == [3]
    assert content(tmp_path) == expected(TASKS)


@pytest.mark.slow
def test_more_tasks_than_an_array_has_room_for(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path)
    go(tmp_path, tasks=9, options=OPTIONS.model_copy(update={"max_array_size": 2, "tasks_per_job": 2}))
    assert content(tmp_path) == expected(9)
    (jobs,) = (tmp_path / "engines" / STEP).glob("attempt-*/jobs")
    assert len(jobs.read_text().split()) == 3


@pytest.mark.slow
def test_jobs_run_this_python_with_our_path_and_the_commands_given(cluster: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"env_commands": ["export TOY_SETTING='from the job'"]})
    go(tmp_path, tasks=1, options=options, task="toy_tasks:facts")
    seen = json.loads((tmp_path / STEP / "00000.json").read_text())
    assert seen["environment"]["TOY_SETTING"] == "from the job"
    assert seen["environment"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.slow
def test_failures_in_slurm_are_one_line_and_the_next_run_does_the_rest(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path, fail={"1": "error"})
    with pytest.raises(StageFailed, match="toy, task 1: ValueError: boom in 1") as caught:
        go(tmp_path)
    assert "Traceback" in (tmp_path / "engines" / STEP / "00001.log").read_text()
    assert "\n" not in str(caught.value)
    plan(tmp_path, fail={"1": "SIGKILL"})
    with pytest.raises(StageFailed, match=r"toy, task 1: its worker was ended by signal 9 .*more memory"):
        go(tmp_path)
    wait_until(lambda: queued(cluster) == [], 20)
    plan(tmp_path)
    go(tmp_path)
    assert content(tmp_path) == expected(TASKS)


@pytest.mark.slow
def test_array_task_that_is_ended_from_outside_is_told(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path, seconds=600)

    class Canceller(StopAt):
        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            if any(number == 2 for number, _ in began(tmp_path)):
                plan(tmp_path)
                (jobs,) = (tmp_path / "engines" / STEP).glob("attempt-*/jobs")
                subprocess.run(["scancel", jobs.read_text().split()[0]], check=True)

    with pytest.raises(StageFailed, match=r"toy, task \d: its worker .*ended as CANCELLED") as caught:
        go(tmp_path, progress=Canceller(9))
    assert "\n" not in str(caught.value)
    go(tmp_path)
    assert content(tmp_path) == expected(TASKS)


@pytest.mark.slow
def test_stop_request_cancels_the_job(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path, seconds=1)
    with pytest.raises(Interrupted):
        go(tmp_path, tasks=40, progress=StopAt(1))
    wait_until(lambda: queued(cluster) == [], 20)
    assert len(list((tmp_path / STEP).glob("*.json"))) < 40


@pytest.mark.slow
def test_job_of_a_killed_run_is_ended_by_the_next_one(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path, seconds=0.5)
    program = [sys.executable, toy_tasks.__file__, "datatrove-slurm", str(tmp_path), "12", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    killed = subprocess.Popen(program, env=environment, start_new_session=True)
    wait_until(lambda: len(began(tmp_path)) >= 3)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert queued(cluster)
    plan(tmp_path)
    go(tmp_path, tasks=12)
    assert content(tmp_path) == expected(12)
    jobs = [path.read_text().split() for path in (tmp_path / "engines" / STEP).glob("attempt-*/jobs")]
    assert sorted(map(len, jobs)) == [1, 1]
    wait_until(lambda: queued(cluster) == [], 20)


@pytest.mark.slow
def test_job_that_slurm_refuses_is_one_line(cluster: Path, tmp_path: Path) -> None:
    plan(tmp_path)
    with pytest.raises(StageFailed, match=r"could not be submitted: .*[Ii]nvalid partition") as caught:
        go(tmp_path, options=EngineOptions(partition="nowhere"))
    assert "\n" not in str(caught.value)


def stand_in(folder: Path, name: str, script: str) -> None:
    """Put a program of Slurm's name on the path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A Slurm that takes every job, runs none of it, and says of it what it is told to."""
    programs = tmp_path / "programs"
    stand_in(programs, "sbatch", "echo Submitted batch job 7")
    stand_in(programs, "scancel", f'echo "$@" >> {tmp_path}/cancelled')
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "_ASK_EVERY", 0.1)
    monkeypatch.setattr(slurm, "_GRACE", 0.5)
    return lambda said: stand_in(programs, "squeue", said)


@pytest.mark.parametrize(
    ("state", "mend"),
    [("OUT_OF_MEMORY", "more memory"), ("TIMEOUT", "give it more `time`"), ("NODE_FAIL", "its log is")],
)
def test_states_of_array_tasks_are_told(
    state: str, mend: str, words: Callable[[str], None], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    plan(work)
    (work / STEP).mkdir()
    (work / STEP / "00000.json").write_text("{}")
    log = "engines/toy/attempt-001/datatrove/slurm_logs/7_1.out"
    words(
        f"echo 'slurmstepd: error: what slurm said' > {work}/{log}; echo '7|0|COMPLETED|None'; echo '7|1|{state}|None'"
    )
    with pytest.raises(StageFailed) as caught:
        go(work, tasks=3)
    # Array task 1 is the second of those that were to be done.
    said = f"toy, task 2: its worker (array task 7_1) ended as {state}: slurmstepd: error: what slurm said"
    assert caught.value.message == said
    assert mend in str(caught.value.mend)
    assert str(work / log) in str(caught.value.mend)


def test_place_in_a_later_job_is_found(words: Callable[[str], None], tmp_path: Path) -> None:
    work = tmp_path / "work"
    plan(work)
    programs = tmp_path / "programs"
    count = f"{programs}/count"
    stand_in(programs, "sbatch", f"echo x >> {count}; echo Submitted batch job 7$(wc -l < {count})")
    words("echo '72|1|OUT_OF_MEMORY|None'")
    with pytest.raises(StageFailed, match="toy, task 10: "):
        go(work, tasks=20, options=OPTIONS.model_copy(update={"max_array_size": 4, "tasks_per_job": 2}))


def test_job_that_is_forgotten_is_a_failure(words: Callable[[str], None], tmp_path: Path) -> None:
    work = tmp_path / "work"
    plan(work)
    words("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    with pytest.raises(StageFailed, match="task 0: its worker left no mark though its job has ended"):
        go(work)


def test_controller_that_does_not_answer_is_asked_again(words: Callable[[str], None], tmp_path: Path) -> None:
    work = tmp_path / "work"
    plan(work)

    class Notes(StopAt):
        def __init__(self) -> None:
            super().__init__(0)
            self.notes: list[str] = []

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            self.notes.append(note)
            if len(self.notes) == 3:
                words("echo '7|0|RUNNING|None'; echo '7|1|PENDING|Resources'; echo '7|2|PENDING|Resources'")

        def stop_requested(self) -> bool:
            return any("running" in note for note in self.notes)

    words("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    told = Notes()
    with pytest.raises(Interrupted):
        go(work, progress=told)
    assert told.notes[-1] == "toy: 1 running, 2 waiting (Resources)"
    assert (tmp_path / "cancelled").read_text().splitlines()[-1] == "--quiet 7"


def test_no_configuration_of_a_job_we_are_in_reaches_the_job(
    words: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    plan(work)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    stand_in(tmp_path / "programs", "sbatch", f"env > {tmp_path}/seen; echo Submitted batch job 7")
    words("echo '7|0|RUNNING|None'")
    with pytest.raises(Interrupted):
        go(work, progress=_stop_when(tmp_path / "seen"))
    assert "SLURM_" not in (tmp_path / "seen").read_text().replace("SLURM_CONF", "")


def _stop_when(path: Path) -> Any:
    class Stop(StopAt):
        def stop_requested(self) -> bool:
            return path.exists()

    return Stop(0)
