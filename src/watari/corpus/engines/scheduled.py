"""The engines `datatrove-local` and `datatrove-ray`: datatrove's executor runs in a process of its own, and this one
watches the marks, the records of what runs and what failed, and the life of those processes."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path

from watari.artifact.stage import Progress, stop_if_asked
from watari.corpus.engines.options import EngineOptions
from watari.corpus.engines.process import ONE_THREAD, command, import_path
from watari.corpus.engines.records import (
    Attempt,
    Failure,
    Running,
    died,
    last_line,
    log_path,
    mark_path,
    pending,
    process_start,
)
from watari.corpus.engines.scheduler import Plan
from watari.errors import StageFailed, UserError

_SILENT = 180.0
"""Seconds without one after which a task on another machine is taken for dead; file systems are late at times."""
_EVERY = 0.3
_PARTING = 20.0
_STUCK = 120.0
"""Seconds in which nothing runs and nothing gets done after which datatrove-local is taken for stuck: a process of its own
that is killed from outside (its pool's, its manager's) leaves it waiting for ever. Clusters may keep a task waiting for hours."""


def run(
    name: str,
    work: Path,
    step: str,
    todo: list[int],
    tasks: int,
    workers: int,
    progress: Progress,
    task: str,
    options: EngineOptions,
) -> None:
    """Run the tasks `todo`, of `tasks` in all. See `watari.corpus.engines.run`."""
    need_installed(name, "datatrove", *(["ray"] if name == "datatrove-ray" else []))
    attempt = Attempt.new(work, step)
    with scratch(name) as short:
        plan = Plan(
            name, str(work), step, todo, task, workers, str(attempt.root), short, options.model_dump()
        )
        with scheduling(plan, attempt) as scheduler:
            watch = Watch(attempt, work, step)
            before, since = -1, time.monotonic()
            while left := pending(work, step, tasks):
                ended = scheduler.poll() is not None
                gone = watch.gone()
                if gone is not None:
                    attempt.fail(gone)
                    break
                stop_if_asked(progress)
                if watch.running or len(left) != before:
                    before, since = len(left), time.monotonic()
                elif name == "datatrove-local" and time.monotonic() - since > _STUCK:
                    raise StageFailed(
                        f"{step}: datatrove does not go on: nothing runs, and {len(left)} tasks are not done",
                        f"run again to go on; its log is {attempt.log}",
                    )
                note = f"{step}: {len(watch.running)} running"
                progress.update(tasks - len(left), tasks, unit="shards", note=note)
                if ended or (not watch.running and attempt.failures()):
                    # What has not begun by now is not begun: to hand it out and leave it costs Ray a second a task.
                    break
                time.sleep(_EVERY)
            else:
                with suppress(subprocess.TimeoutExpired):
                    scheduler.wait(_PARTING)
    settle(attempt, work, step, tasks)
    progress.update(tasks, tasks, unit="shards", note=step)
    progress.log(f"{step}: {len(todo)} shards", workers=min(workers, len(todo)), engine=name)


def settle(attempt: Attempt, work: Path, step: str, tasks: int) -> None:
    """Raise what the attempt came to, unless every task has its mark."""
    left = pending(work, step, tasks)
    if failures := attempt.failures():
        raise failures[0].error()
    if left:
        line = last_line(attempt.log)
        raise StageFailed(
            f"{step}: datatrove ended before task {left[0]} was done{f': {line}' if line else ''}",
            f"its log is {attempt.log}",
        )


def need_installed(engine: str, *packages: str) -> None:
    """Raise UserError if a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"engine {engine}: {package} is not installed", "pip install 'watari[cluster]'")


@contextmanager
def scratch(name: str) -> Iterator[str]:
    """A new folder for Ray, removed in the end; an empty string for the others.

    Its path is short, because that of a socket below it may have 107 bytes at most.
    """
    if name != "datatrove-ray":
        yield ""
        return
    path = tempfile.mkdtemp(prefix="watari-ray-", dir="/tmp")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def scheduling(plan: Plan, attempt: Attempt) -> Iterator[subprocess.Popen[bytes]]:
    """The scheduler's process, with all that it starts ended on the way out."""
    path = attempt.root / "plan.json"
    plan.write(path)
    life_read, life_write = Pipe(duplex=False)
    environment = os.environ | ONE_THREAD
    # A Slurm job that this process runs in is not the job of the tasks.
    environment = {k: v for k, v in environment.items() if not k.startswith("SLURM_") or k == "SLURM_CONF"}
    environment["PYTHONPATH"] = os.pathsep.join(import_path())
    if plan.name == "datatrove-ray":
        environment |= _ray_environment(plan)
    with attempt.log.open("ab") as output, life_read, life_write:
        process = subprocess.Popen(
            command("watari.corpus.engines.scheduler", str(path), str(life_read.fileno())),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(life_read.fileno(),),
            env=environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ray_environment(plan: Plan) -> dict[str, str]:
    # datatrove's Ray executor keeps its logs below the folder for temporary files until a task ends.
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": plan.scratch}
    if plan.options["ray_address"] is None:
        # Without a token of our own Ray would leave one in the user's home.
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return environment


class Watch:
    """Looks after the processes of running tasks.

    Args:
        attempt: Where they are recorded.
        work: The work folder.
        step: The step.
    """

    def __init__(self, attempt: Attempt, work: Path, step: str) -> None:
        self._attempt, self._work, self._step = attempt, work, step
        self._signs: dict[int, tuple[int, float]] = {}
        self._host = socket.gethostname()
        self.running: dict[int, Running] = {}

    def gone(self) -> Failure | None:
        """Return the failure of a task whose process is not there any more, or None; read `running` anew."""
        self.running = self._attempt.running()
        for number, running in self.running.items():
            if self._alive(number, running):
                continue
            # It may have ended in good order since we read.
            done = mark_path(self._work, self._step, number).is_file()
            if done or number not in self._attempt.running():
                continue
            log = log_path(self._work, self._step, number)
            return died(self._step, number, f"on {running.host} ended without a word", log)
        return None

    def _alive(self, number: int, running: Running) -> bool:
        if running.host == self._host:
            return process_start(running.process) == running.started
        touched, moment = self._attempt.touched(number), time.monotonic()
        if self._signs.get(number, (0, 0.0))[0] != touched:
            self._signs[number] = touched, moment
        return moment - self._signs[number][1] < _SILENT
