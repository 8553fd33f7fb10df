"""The engines over toy tasks: the same files, failures in one line, resuming, kills, requests to stop."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import toy_tasks
from toy_tasks import STEP, TASK, began, content, expected, plan
from watari.artifact.stage import Silent
from watari.corpus.engines import ENGINES, EngineOptions, process, run
from watari.errors import Interrupted, StageFailed, UserError

TASKS = 9
RAY = pytest.param("datatrove-ray", marks=pytest.mark.slow)
HERE = ["pool", "datatrove-local", RAY]
# datatrove's processes take seconds to start; in quick runs they show themselves in a few tests only.
HERE_SLOWLY = ["pool", pytest.param("datatrove-local", marks=pytest.mark.slow), RAY]


class Told(Silent):
    """Keeps what it is told; asks to stop once so many shards are done."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.stop_at = stop_at
        self.updates: list[tuple[float, float | None, str, str]] = []
        self.moments = [time.monotonic()]
        self.lines: list[dict[str, Any]] = []

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.updates.append((done, total, unit, note))
        self.moments.append(time.monotonic())

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(fields)

    def stop_requested(self) -> bool:
        return bool(self.updates) and self.updates[-1][0] >= self.stop_at


def go(
    name: str, work: Path, *, tasks: int = TASKS, workers: int = 2, progress: Silent | None = None
) -> None:
    run(name, work, STEP, tasks, workers=workers, progress=progress or Silent(), task=TASK)


def alive(pid: int) -> bool:
    return process_state(pid) not in ("", "Z", "X")


def process_state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def wait_until(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("pool", 1),
        ("pool", 3),
        pytest.param("datatrove-local", 1, marks=pytest.mark.slow),
        ("datatrove-local", 3),
        pytest.param("datatrove-ray", 1, marks=pytest.mark.slow),
        pytest.param("datatrove-ray", 3, marks=pytest.mark.slow),
    ],
)
def test_every_engine_writes_the_same_files(name: str, workers: int, tmp_path: Path) -> None:
    plan(tmp_path, seconds=0.02)
    told = Told()
    go(name, tmp_path, workers=workers, progress=told)
    assert content(tmp_path) == expected(TASKS)
    assert sorted(number for number, _ in began(tmp_path)) == list(range(TASKS))
    assert told.updates[-1][:3] == (TASKS, TASKS, "shards")
    assert all(unit == "shards" and total == TASKS for _, total, unit, _ in told.updates)
    done = [done for done, *_ in told.updates]
    assert done == sorted(done)
    # Nothing is left to do, and nothing is started.
    go(name, tmp_path, workers=workers)
    assert len(began(tmp_path)) == TASKS


@pytest.mark.parametrize("name", HERE)
def test_failure_is_one_line_and_the_next_run_does_the_rest(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path, fail={"4": "error"})
    # Output that waits in a buffer must come before the traceback.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with pytest.raises(StageFailed) as caught:
        go(name, tmp_path)
    error = caught.value
    assert error.message == "toy, task 4: ValueError: boom in 4"
    assert error.mend is not None
    log = tmp_path / "engines" / STEP / "00004.log"
    assert str(log) in error.mend
    written = log.read_text()
    assert written.startswith("what it was doing\n")
    assert "Traceback" in written
    assert "toy_tasks.py" in written
    done = set(content(tmp_path))
    assert "00000.json" in done
    assert "00004.json" not in done
    first = began(tmp_path)
    plan(tmp_path)
    go(name, tmp_path)
    assert content(tmp_path) == expected(TASKS)
    again = [number for number, _ in began(tmp_path)[len(first) :]]
    assert sorted(again) == [n for n in range(TASKS) if f"{n:05d}.json" not in done]
    assert not log.exists()


@pytest.mark.parametrize("name", HERE_SLOWLY)
def test_user_errors_arrive_as_such(name: str, tmp_path: Path) -> None:
    plan(tmp_path, fail={"2": "user"})
    with pytest.raises(UserError) as caught:
        go(name, tmp_path)
    assert (caught.value.message, caught.value.mend) == ("part-2.jsonl: line 7: not JSON", "mend the line")


@pytest.mark.parametrize("name", HERE_SLOWLY)
def test_our_marks_decide_and_not_the_engine(name: str, tmp_path: Path) -> None:
    plan(tmp_path)
    go(name, tmp_path)
    (tmp_path / STEP / "00003.json").unlink()
    (tmp_path / STEP / "00007.json").unlink()
    before = len(began(tmp_path))
    go(name, tmp_path)
    assert sorted(number for number, _ in began(tmp_path)[before:]) == [3, 7]
    assert content(tmp_path) == expected(TASKS)


@pytest.mark.parametrize("name", HERE_SLOWLY)
def test_worker_that_is_killed_is_told_with_its_task(name: str, tmp_path: Path) -> None:
    plan(tmp_path, fail={"5": "SIGKILL"})
    with pytest.raises(StageFailed) as caught:
        go(name, tmp_path)
    assert caught.value.message == "toy, task 5: its worker was ended by signal 9 (SIGKILL)"
    assert "more memory: run again with fewer workers" in str(caught.value.mend)
    plan(tmp_path)
    go(name, tmp_path)
    assert content(tmp_path) == expected(TASKS)


@pytest.mark.parametrize(
    ("how", "message", "mend"),
    [
        ("SIGSEGV", "its worker was ended by signal 11 (SIGSEGV)", "its log is"),
        ("leave", "its worker ended with exit code 9", "its log is"),
        ("exit", "SystemExit: 5", "the traceback is in"),
        ("memory", "out of memory", "fewer workers"),
        ("disk", "no space left on the disk that holds", "free some"),
        ("forget", "it ended without its mark", None),
    ],
)
def test_ways_to_fail(how: str, message: str, mend: str | None, tmp_path: Path) -> None:
    plan(tmp_path, fail={"1": how})
    with pytest.raises(StageFailed) as caught:
        go("pool", tmp_path, tasks=3)
    assert caught.value.message.startswith(f"toy, task 1: {message}")
    assert (mend is None) == (caught.value.mend is None)
    assert mend is None or mend in str(caught.value.mend)
    assert "\n" not in str(caught.value)


def test_crash_leaves_its_python_stack_in_the_log(tmp_path: Path) -> None:
    plan(tmp_path, fail={"0": "SIGSEGV"})
    with pytest.raises(StageFailed) as caught:
        go("pool", tmp_path, tasks=1)
    log = tmp_path / "engines" / STEP / "00000.log"
    assert str(log) in str(caught.value)
    assert "_misbehave" in log.read_text()


def test_failure_of_the_smallest_number_is_told_and_nothing_more_begins(tmp_path: Path) -> None:
    plan(tmp_path, seconds=0.3, fail={"0": "error", "1": "user"})
    with pytest.raises(StageFailed, match="task 0"):
        go("pool", tmp_path, workers=2)
    # Task 1 was running when task 0 failed; it went on to its end. Task 2 was never begun.
    assert {number for number, _ in began(tmp_path)} == {0, 1}


@pytest.mark.parametrize("name", HERE_SLOWLY)
def test_stop_request_ends_the_workers(name: str, tmp_path: Path) -> None:
    plan(tmp_path, seconds=0.5)
    told = Told(stop_at=1)
    with pytest.raises(Interrupted):
        go(name, tmp_path, tasks=60, progress=told)
    done = {file: data for file, data in content(tmp_path).items() if file.endswith(".json")}
    assert done
    assert len(done) < 30
    wait_until(lambda: not any(alive(pid) for _, pid in began(tmp_path)), 5)
    everything = expected(60)
    assert all(everything[file] == data for file, data in content(tmp_path).items())


def test_stop_request_does_not_wait_for_a_long_task(tmp_path: Path) -> None:
    plan(tmp_path, seconds=600)
    told = Told(stop_at=0)
    with pytest.raises(Interrupted):
        go("pool", tmp_path, progress=told)
    pids = {pid for _, pid in began(tmp_path)}
    wait_until(lambda: not any(alive(pid) for pid in pids), 5)


def test_progress_is_told_while_nothing_finishes(tmp_path: Path) -> None:
    plan(tmp_path, seconds=1.2)
    told = Told()
    go("pool", tmp_path, tasks=2, progress=told)
    assert len(told.updates) >= 4
    assert any(note == f"{STEP}: 2 running" for *_, note in told.updates)
    assert told.lines[-1]["workers"] == 2
    assert told.lines[-1]["peak_worker_bytes"] > 1 << 20


@pytest.mark.parametrize("name", HERE_SLOWLY[:2])
def test_tasks_run_in_processes_of_one_thread_with_our_environment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    for value in ("first", "second") if name == "pool" else ("only",):
        monkeypatch.setenv("TOY_SETTING", value)
        run(name, tmp_path, value, 3, workers=2, progress=Silent(), task="toy_tasks:facts")
        for number in range(3):
            seen = json.loads((tmp_path / value / f"{number:05d}.json").read_text())
            assert seen["environment"] == {
                "OMP_NUM_THREADS": "1",
                "NUMBA_NUM_THREADS": "1",
                "TOY_SETTING": value,
            }
            assert seen["arrow"] == [1, 1]
            assert seen["pid"] != os.getpid()


def test_pool_keeps_its_workers_between_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(tmp_path)
    go("pool", tmp_path, tasks=4, workers=1)
    run("pool", tmp_path, "next", 4, workers=1, progress=Silent(), task=TASK)
    assert len({pid for _, pid in began(tmp_path)}) == 1
    # Kernels are chosen when they are imported: a worker that has done so otherwise is of no use.
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    run("pool", tmp_path, "last", 4, workers=1, progress=Silent(), task=TASK)
    assert len({pid for _, pid in began(tmp_path)}) == 2


def test_kept_worker_that_died_is_replaced(tmp_path: Path) -> None:
    plan(tmp_path)
    go("pool", tmp_path, tasks=1, workers=1)
    (pid,) = {pid for _, pid in began(tmp_path)}
    os.kill(pid, signal.SIGKILL)
    run("pool", tmp_path, "next", 3, workers=1, progress=Silent(), task=TASK)
    assert content(tmp_path, "next") == expected(3)


def test_kept_worker_that_leaves_before_its_task_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path)
    go("pool", tmp_path, tasks=1, workers=1)
    # It leaves between being looked at and being given its task.
    held = process._kept[-1]
    monkeypatch.setattr(held, "rest", lambda: True)
    os.kill(held.pid, signal.SIGKILL)
    wait_until(lambda: not alive(held.pid))
    run("pool", tmp_path, "next", 3, workers=1, progress=Silent(), task=TASK)
    assert content(tmp_path, "next") == expected(3)


def test_worker_that_cannot_start_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(tmp_path)
    monkeypatch.setenv("WATARI_TEST_OF_A_NEW_WORKER", "1")
    monkeypatch.setattr(
        process, "command", lambda *_: [sys.executable, "-c", "raise SystemExit('no such thing')"]
    )
    with pytest.raises(StageFailed, match="task 0: its worker ended with exit code 1") as caught:
        go("pool", tmp_path, tasks=1)
    log = tmp_path / "engines" / STEP / "workers.log"
    assert str(log) in str(caught.value)
    assert "no such thing" in log.read_text()


def test_pool_works_from_a_thread_and_from_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        plan(tmp_path / name, seconds=0.05)
    threads = [threading.Thread(target=go, args=("pool", tmp_path / name)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("a", "b"):
        assert content(tmp_path / name) == expected(TASKS)
    plan(tmp_path / "c")
    go("pool", tmp_path / "c")
    assert content(tmp_path / "c") == expected(TASKS)


def test_two_runs_over_one_work_folder_never_do_a_task_twice(tmp_path: Path) -> None:
    # As after kill -9 of a parent whose workers live a moment longer than it takes to start again.
    plan(tmp_path, seconds=0.1)
    threads = [threading.Thread(target=go, args=("pool", tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in began(tmp_path)) == list(range(TASKS))
    assert content(tmp_path) == expected(TASKS)


def test_pool_works_from_a_script_without_a_guard(tmp_path: Path) -> None:
    plan(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\nfrom watari.artifact.stage import Silent\n"
        "from watari.corpus.engines import run\n"
        f"run('pool', Path({str(tmp_path)!r}), {STEP!r}, 4, workers=2, progress=Silent(), task={TASK!r})\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert content(tmp_path) == expected(4)


def test_what_cannot_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"engine 'spark' is not known .*datatrove-ray"):
        go("spark", tmp_path)
    with pytest.raises(UserError, match="workers: 0"):
        go("pool", tmp_path, workers=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ENGINES[1:]:
        with pytest.raises(UserError, match=f"engine {name}: datatrove is not installed .*cluster"):
            go(name, tmp_path)


def test_slurm_needs_its_commands_and_a_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="there is no sbatch here"):
        go("datatrove-slurm", tmp_path)
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no partition is given"):
        go("datatrove-slurm", tmp_path)


def test_no_tasks_is_nothing_to_do(tmp_path: Path) -> None:
    told = Told()
    go("datatrove-slurm", tmp_path, tasks=0, progress=told)
    assert told.updates == [(0, 0, "shards", STEP)]


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="partitoin"):
        EngineOptions.model_validate({"partitoin": "gpu"})


def parent(name: str, work: Path, tasks: int) -> subprocess.Popen[bytes]:
    """Start a process, the leader of its group, that runs the engine."""
    program = [sys.executable, toy_tasks.__file__, name, str(work), str(tasks), "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(program, env=environment, start_new_session=True)


def descendants(pid: int) -> set[int]:
    """Return the processes below a process."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        below.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = set(), [pid]
    while todo:
        for child in below.get(todo.pop(), []):
            found.add(child)
            todo.append(child)
    return found


def begins(program: subprocess.Popen[bytes], work: Path, begun: int) -> bool:
    return len(began(work)) > begun or program.poll() is not None


@pytest.mark.parametrize(
    ("name", "whole_group"),
    [
        ("pool", True),
        ("pool", False),
        pytest.param("datatrove-local", True, marks=pytest.mark.slow),
        ("datatrove-local", False),
        pytest.param("datatrove-ray", False, marks=pytest.mark.slow),
    ],
)
def test_kill_of_the_parent_leaves_nobody_and_the_next_run_gives_the_same_bytes(
    name: str, whole_group: bool, tmp_path: Path
) -> None:
    draw = random.Random(f"{name} {whole_group}")
    tasks = 24
    plan(tmp_path, seconds=0.06)
    for _ in range(4 if name == "pool" else 2):
        killed = parent(name, tmp_path, tasks)
        begun = len(began(tmp_path))
        wait_until(partial(begins, killed, tmp_path, begun), 60)
        time.sleep(draw.uniform(0, 0.5))
        below = descendants(killed.pid)
        if killed.poll() is None:
            os.killpg(killed.pid, signal.SIGKILL) if whole_group else killed.kill()
            assert below, "it had no worker"
        killed.wait()
        # Ray's own workers look for their parent every other second.
        limit = 30 if name == "datatrove-ray" else 5
        wait_until(lambda below=below: not any(alive(pid) for pid in below), limit)
        everything = expected(tasks)
        assert all(everything[file] == data for file, data in content(tmp_path).items())
    plan(tmp_path)
    go(name, tmp_path, tasks=tasks)
    assert content(tmp_path) == expected(tasks)


@pytest.mark.parametrize("name", HERE_SLOWLY[:2])
def test_kill_of_the_parent_ends_a_long_task(name: str, tmp_path: Path) -> None:
    plan(tmp_path, seconds=600)
    killed = parent(name, tmp_path, 2)
    wait_until(lambda: len(began(tmp_path)) == 2, 60)
    killed.kill()
    killed.wait()
    wait_until(lambda: not any(alive(pid) for _, pid in began(tmp_path)), 5)


def test_kill_of_a_datatrove_process_does_not_hang(tmp_path: Path) -> None:
    plan(tmp_path, seconds=2)
    told = Told()
    failure: list[BaseException] = []

    def target() -> None:
        try:
            go("datatrove-local", tmp_path, tasks=4, progress=told)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    wait_until(lambda: len(began(tmp_path)) >= 2)
    _, victim = began(tmp_path)[0]
    above = int(Path(f"/proc/{victim}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(above, signal.SIGKILL)
    thread.join(30)
    assert not thread.is_alive()
    (error,) = failure
    assert isinstance(error, StageFailed)
    assert "ended without a word" in error.message
    plan(tmp_path)
    go("datatrove-local", tmp_path, tasks=4)
    assert content(tmp_path) == expected(4)
