"""The files by which an engine knows how far a step is: marks of tasks, their logs, and records of failures.

<work>/<step>/00012.json                    the mark of a task: it is done
<work>/engines/<step>/00012.log             what the task printed, and the traceback of its failure
<work>/engines/<step>/attempt-001/          one attempt by a datatrove executor: its logs and
    running/00012                           a task that is running: host, process, its start
    failed/00012.json                       a task that failed, and with what
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from watari import errors
from watari.artifact import atomic
from watari.errors import StageFailed, WatariError

SIGN_EVERY = 5.0
"""Seconds between two signs of life in the record of a running task."""
ENGINES = "engines"


def mark_path(work: Path, step: str, number: int) -> Path:
    """Return where a task leaves its mark."""
    return work / step / f"{number:05d}.json"


def pending(work: Path, step: str, tasks: int) -> list[int]:
    """Return the numbers of the tasks that have not left their mark, ascending. Lists the folder once."""
    try:
        with os.scandir(work / step) as entries:
            found = {entry.name for entry in entries}
    except FileNotFoundError:
        found = set()
    return [number for number in range(tasks) if f"{number:05d}.json" not in found]


def folder_of(work: Path, step: str) -> Path:
    """Return the folder of an engine's own files for a step."""
    return work / ENGINES / step


def log_path(work: Path, step: str, number: int) -> Path:
    """Return where the output of a task goes."""
    return folder_of(work, step) / f"{number:05d}.log"


def last_line(log: Path, *, end: int = 1 << 16) -> str:
    """Return the last line of a log that is not blank, or an empty string."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - end))
            lines = handle.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@dataclass(frozen=True)
class Failure:
    """Why a task did not finish, in a form that crosses processes and machines.

    Args:
        number: The task.
        kind: The class of the error in `watari.errors`.
        message: One line.
        mend: One line, or None.
    """

    number: int
    kind: str
    message: str
    mend: str | None = None

    @classmethod
    def of(cls, number: int, error: WatariError) -> Failure:
        """Return the failure of a task by an error that is told as it is."""
        known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
        return cls(number, known.__name__, error.message, error.mend)

    def error(self) -> WatariError:
        """Return the error to raise."""
        kind: type[WatariError] = getattr(errors, self.kind)
        return kind(self.message, self.mend)


def died(step: str, number: int, how: str, log: Path, *, memory: bool = True) -> Failure:
    """Return the failure of a task whose process ended without a word.

    Args:
        step: The step of the task.
        number: The task.
        how: What is known of the end: "was ended by signal 9 (SIGKILL)".
        log: Where its output is.
        memory: Whether a lack of memory may be the reason.
    """
    need = (
        "it may need more memory: run again with fewer workers, or with more memory for each; "
        if memory
        else ""
    )
    return Failure(
        number, StageFailed.__name__, f"{step}, task {number}: its worker {how}", f"{need}its log is {log}"
    )


@dataclass(frozen=True)
class Running:
    """A task that runs on some machine: what its record says.

    Args:
        host: The machine's name.
        process: The process that waits for the task.
        started: The process's start in clock ticks since the machine's, or 0 where that is not known.
    """

    host: str
    process: int
    started: int


class Attempt:
    """The folder of one attempt of a datatrove executor at a step.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._running, self._failed = root / "running", root / "failed"

    @classmethod
    def new(cls, work: Path, step: str) -> Attempt:
        """Make the next one of a step; nothing of an earlier one counts in it."""
        folder = folder_of(work, step)
        number = 1 + sum(1 for _ in folder.glob("attempt-*"))
        attempt = cls(folder / f"attempt-{number:03d}")
        for path in (attempt._running, attempt._failed):
            path.mkdir(parents=True)
        return attempt

    @property
    def log(self) -> Path:
        """Where the scheduler's own output goes."""
        return self.root / "scheduler.log"

    def begin(self, number: int, running: Running) -> Path:
        """Record that a task runs; return the record, which is touched while it does."""
        path = self._running / f"{number:05d}"
        atomic.write_json(path, asdict(running), indent=None)
        return path

    def end(self, number: int) -> None:
        """Record that a task does not run any more."""
        (self._running / f"{number:05d}").unlink(missing_ok=True)

    def running(self) -> dict[int, Running]:
        """Return the tasks that run, by number."""
        return {
            int(path.name): Running(**value)
            for path in sorted(self._running.glob("[0-9]*"))
            if (value := _read(path)) is not None
        }

    def touched(self, number: int) -> int:
        """Return when a running task last gave a sign (ns), or 0."""
        try:
            return (self._running / f"{number:05d}").stat().st_mtime_ns
        except OSError:
            return 0

    def fail(self, failure: Failure) -> None:
        """Record a failure; tasks that have not begun then do not begin."""
        atomic.write_json(self._failed / f"{failure.number:05d}.json", asdict(failure), indent=None)

    def failures(self) -> list[Failure]:
        """Return the failures, ascending by task."""
        found = (_read(path) for path in sorted(self._failed.glob("[0-9]*.json")))
        return [Failure(**value) for value in found if value is not None]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # It went away while we looked.
        return None
    return found


def process_start(process: int) -> int:
    """Return when a process of this machine started (clock ticks since the machine's start); 0 if it is not there."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("ascii", errors="replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    # A zombie has ended.
    return 0 if fields[0] in "ZX" else int(fields[19])
