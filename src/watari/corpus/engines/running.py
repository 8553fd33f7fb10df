"""Run the tasks of a step that are not done yet, with the engine of a name."""

from __future__ import annotations

from pathlib import Path

from watari.artifact.stage import Progress, stop_if_asked
from watari.corpus.engines.options import ENGINES, EngineOptions
from watari.corpus.engines.records import pending
from watari.errors import UserError

RUN_TASK = "watari.corpus.steps:run_task"


WARM = "watari.corpus.steps:warm"


def prepare(name: str, work: Path, workers: int) -> None:
    """Let the workers of an engine start while there is something else to do; of use to `pool` alone."""
    if name == "pool":
        from watari.corpus.engines import process
        from watari.corpus.engines.records import folder_of

        process.prepare(workers, folder_of(work.absolute(), "start") / "workers.log", WARM)


def run(
    name: str,
    work: Path,
    step: str,
    tasks: int,
    *,
    workers: int,
    progress: Progress,
    task: str = RUN_TASK,
    options: EngineOptions | None = None,
) -> None:
    """Run every task of a step that has no mark yet; when this returns, all have one.

    After a failure no further task is begun; those that run go on to their end, so that their work stays.

    Args:
        name: One of `ENGINES`. `pool` runs worker processes here, with `workers=1` one of them: never in this process,
            so that memory is measured by worker and a stop is heard at once.
        work: The work folder; for engines on several machines, on a file system that all of them see.
        step: Name of the step and of its folder.
        tasks: How many there are; numbers 0 to tasks - 1.
        workers: How many run at a time at most.
        progress: Told how many tasks are done ("shards") at least each second; asked whether to stop.
        task: `module:function`, called as function(work, step, number) in a process that has our import path. It
            leaves its mark `<work>/<step>/<number:05d>.json` last of all.
        options: How to ask a cluster for machines.

    Raises:
        UserError: for an unknown engine, options that are missing, an engine that is not installed; and whatever a
            task raised as one.
        StageFailed: if a task failed or its process died; the failure of the smallest number is told.
        Interrupted: if the user asked to stop. Workers are ended, what has its mark stays.
    """
    if name not in ENGINES:
        raise UserError(f"engine {name!r} is not known", f"one of {', '.join(ENGINES)}")
    if workers < 1:
        raise UserError(f"workers: {workers} is not a number of workers", "give 1 or more")
    work = work.absolute()
    stop_if_asked(progress)
    todo = pending(work, step, tasks)
    if not todo:
        progress.update(tasks, tasks, unit="shards", note=step)
        return
    options = options or EngineOptions()
    # Imported by need: the clusters' ways start other programs.
    if name == "pool":
        from watari.corpus.engines import pool

        pool.run(work, step, todo, tasks, workers, progress, task)
    elif name == "datatrove-slurm":
        from watari.corpus.engines import slurm

        slurm.run(work, step, todo, tasks, workers, progress, task, options)
    else:
        from watari.corpus.engines import scheduled

        scheduled.run(name, work, step, todo, tasks, workers, progress, task, options)
