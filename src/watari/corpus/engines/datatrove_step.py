"""The one step of our datatrove pipelines: rank → task. Imported only in processes that datatrove's executors start.

datatrove decides where and when a rank runs; the task runs in a worker process of ours, so that its death is told and
does not hang datatrove's own pools, which wait for ever for a process that was killed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from datatrove.executor import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from watari.corpus.engines.process import keep, take
from watari.corpus.engines.records import (
    SIGN_EVERY,
    Attempt,
    Failure,
    Running,
    folder_of,
    mark_path,
    process_start,
)
from watari.corpus.engines.worker import Done, Failed, Order

_EVERY = 0.5


class TaskStep(PipelineStep):  # type: ignore[misc]
    """Runs the task of a rank, unless it has its mark or another has failed.

    Args:
        work: The work folder.
        step: The step.
        numbers: Task numbers by rank.
        task: `module:function`.
        attempt: The folder where running and failed tasks are recorded.
        raises: Whether a failure is also raised, for a scheduler that keeps a state of each task.
    """

    name = "watari task"
    type = "corpus"

    def __init__(
        self, work: str, step: str, numbers: list[int], task: str, attempt: str, *, raises: bool
    ) -> None:
        super().__init__()
        self.work, self.step, self.numbers, self.task = work, step, numbers, task
        self.attempt, self.raises = attempt, raises

    def run(self, data: object, rank: int = 0, world_size: int = 1) -> Iterable[object]:
        """Run the task of `rank`; there are no documents to pass on."""
        number = self.numbers[rank]
        work, attempt = Path(self.work), Attempt(Path(self.attempt))
        if mark_path(work, self.step, number).is_file() or attempt.failures():
            return ()
        record = attempt.begin(number, Running(socket.gethostname(), os.getpid(), process_start(os.getpid())))
        try:
            failure = _run(Order(self.task, work, self.step, number), record)
            if failure is not None:
                attempt.fail(failure)
        finally:
            attempt.end(number)
        if failure is not None and self.raises:
            raise failure.error()
        return ()


def _run(order: Order, record: Path) -> Failure | None:
    parent, sign = os.getppid(), time.monotonic()
    worker = take(folder_of(order.work, order.step) / "workers.log")
    worker.send(order)
    try:
        while True:
            if worker.connection.poll(_EVERY):
                answer = worker.heard(order)
                if isinstance(answer, Failed):
                    worker.kill()
                    return answer.failure
                if isinstance(answer, Done):
                    keep([worker])
                    return None
                if answer is None:
                    worker.kill()
                    worker = take(folder_of(order.work, order.step) / "workers.log")
                    worker.send(order)
            if os.getppid() != parent:
                # datatrove's process above us was killed: nobody hears of this task any more.
                worker.kill()
                os._exit(1)
            if time.monotonic() - sign >= SIGN_EVERY:
                sign = time.monotonic()
                with suppress(OSError):
                    os.utime(record)
    except BaseException:
        worker.kill()
        raise


class JobIds:
    """Reads the job's id from what sbatch prints, and adds it to a file.

    Args:
        path: One id a line.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, printed: str) -> str:
        """Return the id: the last word, as `Submitted batch job 12` has it."""
        found = printed.split()[-1]
        with open(self.path, "a", encoding="ascii") as handle:
            handle.write(f"{found}\n")
        return found


class SlurmExecutor(SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor, whose jobs run this very Python, and no second job that merges statistics.

    Args:
        python: The interpreter.
        settings: The arguments of `SlurmPipelineExecutor`.
    """

    def __init__(self, *, python: str, **settings: object) -> None:
        super().__init__(**settings)
        self.python = python

    def get_launch_file_contents(self, sbatch_args: dict[str, object], run_script: str) -> str:
        """Return the job script; the console script it names need not be on the PATH of the machines."""
        script = run_script.replace(
            "launch_pickled_pipeline ", f"{self.python} -P -m datatrove.tools.launch_pickled_pipeline ", 1
        )
        contents: str = super().get_launch_file_contents(sbatch_args, script)
        return contents

    def launch_merge_stats(self) -> None:
        """Do nothing: the marks count."""
