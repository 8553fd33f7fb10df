"""The engine `datatrove-slurm`: one array job a step, submitted by datatrove's executor; this process waits for the marks.

Slurm's own view (`squeue`) is asked for what the marks cannot tell: an array task that was killed, ran out of time or
memory, or waits for a machine that will never come.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from watari.artifact.stage import Progress, stop_if_asked
from watari.corpus.engines.options import EngineOptions
from watari.corpus.engines.records import (
    Attempt,
    Failure,
    died,
    folder_of,
    last_line,
    log_path,
    mark_path,
    pending,
)
from watari.corpus.engines.scheduled import need_installed, scheduling, settle
from watari.corpus.engines.scheduler import Plan
from watari.errors import StageFailed, UserError

_EVERY = 0.5
_ASK_EVERY = 3.0
"""Seconds between two questions to Slurm; its controller serves everybody."""
_GRACE = 10.0
"""Seconds after the last array task has ended in which a mark may still come: shared file systems show it late."""
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_ACTIVE = (
    "RUNNING",
    "CONFIGURING",
    "COMPLETING",
    "SUSPENDED",
    "STOPPED",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
)


@dataclass(frozen=True)
class ArrayTask:
    """One array task as Slurm sees it.

    Args:
        job: Its array job.
        place: Its number in the array.
        state: Slurm's word: PENDING, RUNNING, COMPLETED, OUT_OF_MEMORY, ...
        reason: Why it waits.
    """

    job: str
    place: int
    state: str
    reason: str

    @property
    def unfinished(self) -> bool:
        """Whether it may still do something."""
        return self.state in _WAITING or self.state in _ACTIVE


def run(
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
    need_installed("datatrove-slurm", "datatrove")
    if shutil.which("sbatch") is None:
        raise UserError(
            "engine datatrove-slurm: there is no sbatch here", "run it on a machine that submits jobs"
        )
    if options.partition is None:
        raise UserError("engine datatrove-slurm: no partition is given", "`sinfo` lists them")
    _end_earlier(work, step, progress)
    attempt = Attempt.new(work, step)
    jobs = attempt.root / "jobs"
    try:
        _submit(attempt, work, step, todo, workers, task, options)
        _wait(attempt, work, step, todo, tasks, progress, options)
    finally:
        # After success there is nothing left to cancel.
        _cancel(_ids(jobs))
    settle(attempt, work, step, tasks)
    progress.update(tasks, tasks, unit="shards", note=step)
    progress.log(f"{step}: {len(todo)} shards", jobs=_ids(jobs), engine="datatrove-slurm")


def _submit(
    attempt: Attempt, work: Path, step: str, todo: list[int], workers: int, task: str, options: EngineOptions
) -> None:
    plan = Plan(
        "datatrove-slurm", str(work), step, todo, task, workers, str(attempt.root), "", options.model_dump()
    )
    with scheduling(plan, attempt) as scheduler:
        code = scheduler.wait()
    if code:
        told = [line for line in attempt.log.read_text("utf-8", "replace").splitlines() if "sbatch: " in line]
        reason = told[0].strip() if told else last_line(attempt.log)
        raise StageFailed(f"{step}: the job could not be submitted: {reason}", f"its log is {attempt.log}")


def _wait(
    attempt: Attempt,
    work: Path,
    step: str,
    todo: list[int],
    tasks: int,
    progress: Progress,
    options: EngineOptions,
) -> None:
    jobs = _ids(attempt.root / "jobs")
    asked, ended, note = 0.0, 0.0, f"{step}: submitted"
    stopping = False
    while left := pending(work, step, tasks):
        stop_if_asked(progress)
        if time.monotonic() - asked >= _ASK_EVERY:
            seen = _queue(jobs)
            asked = time.monotonic()
            if seen is not None:
                note = f"{step}: {_summary(seen)}"
                if any(one.unfinished for one in seen):
                    ended = 0.0
                else:
                    ended = ended or asked
                if not stopping and (
                    attempt.failures() or _note_dead(seen, attempt, work, step, todo, options)
                ):
                    # Those that run go on to their end.
                    stopping = True
                    _cancel(jobs, "--state=PENDING")
        if ended and (stopping or time.monotonic() - ended >= _GRACE):
            for number in left:
                if not attempt.failures() and number in todo:
                    log = log_path(work, step, number)
                    attempt.fail(died(step, number, "left no mark though its job has ended", log))
            return
        progress.update(tasks - len(left), tasks, unit="shards", note=note)
        time.sleep(_EVERY)


def _note_dead(
    seen: list[ArrayTask], attempt: Attempt, work: Path, step: str, todo: list[int], options: EngineOptions
) -> bool:
    """Record the tasks of array tasks that ended badly without a record of their own; return if there are any."""
    jobs = _ids(attempt.root / "jobs")
    found = False
    for one in seen:
        if one.unfinished or one.state == "COMPLETED":
            continue
        first = (jobs.index(one.job) * _array_size(todo, options) + one.place) * options.tasks_per_job
        for number in todo[first : first + options.tasks_per_job]:
            if mark_path(work, step, number).is_file():
                continue
            log = attempt.root / "datatrove" / "slurm_logs" / f"{one.job}_{one.place}.out"
            line = last_line(log)
            how = f"(array task {one.job}_{one.place}) ended as {one.state}{f': {line}' if line else ''}"
            attempt.fail(_dead(step, number, one.state, how, log))
            found = True
            break
    return found


def _dead(step: str, number: int, state: str, how: str, log: Path) -> Failure:
    if state in ("TIMEOUT", "DEADLINE"):
        return Failure(
            number,
            StageFailed.__name__,
            f"{step}, task {number}: its worker {how}",
            f"give it more `time`; its log is {log}",
        )
    return died(step, number, how, log, memory=state == "OUT_OF_MEMORY")


def _array_size(todo: list[int], options: EngineOptions) -> int:
    return min(-(-len(todo) // options.tasks_per_job), options.max_array_size)


def _summary(seen: list[ArrayTask]) -> str:
    running = sum(one.state in _ACTIVE for one in seen)
    waiting = [one for one in seen if one.state in _WAITING]
    if not waiting:
        return f"{running} running"
    reason = Counter(one.reason for one in waiting).most_common(1)[0][0]
    # Our own limit of workers is no news, nor that Slurm has not looked yet.
    told = "" if reason in ("None", "JobArrayTaskLimit") else f" ({reason})"
    return f"{running} running, {len(waiting)} waiting{told}"


def _queue(jobs: list[str]) -> list[ArrayTask] | None:
    """Return the array tasks that Slurm still knows, finished ones too; None if it does not answer."""
    asked = subprocess.run(
        [
            "squeue",
            "--noheader",
            "--array",
            "--states=all",
            f"--jobs={','.join(jobs)}",
            "--format=%F|%K|%T|%r",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return None
    found = []
    for line in asked.stdout.splitlines():
        job, place, state, reason = line.strip().split("|", 3)
        found.append(ArrayTask(job, int(place) if place.isdigit() else 0, state, reason))
    return found


def _ids(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").split()
    except OSError:
        return []


def _cancel(jobs: list[str], *arguments: str) -> None:
    if jobs:
        subprocess.run(["scancel", "--quiet", *arguments, *jobs], capture_output=True, check=False)


def _end_earlier(work: Path, step: str, progress: Progress) -> None:
    """End the array jobs of earlier attempts whose waiting process was killed: two must not write the same files."""
    jobs = [job for path in sorted(folder_of(work, step).glob("attempt-*/jobs")) for job in _ids(path)]
    if not jobs or not any(one.unfinished for one in _queue(jobs) or []):
        return
    progress.log(f"{step}: the job of an earlier run is ended", jobs=jobs)
    _cancel(jobs)
    while any(one.unfinished for one in _queue(jobs) or []):
        stop_if_asked(progress)
        time.sleep(_EVERY)
