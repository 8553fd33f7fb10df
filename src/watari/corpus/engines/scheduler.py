"""The process in which a datatrove executor schedules: apart from ours, so that its logging and its pools end with it.

It is started as a session of its own and ends that whole session when the process that started it is gone.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from watari.corpus.engines.options import EngineOptions
from watari.corpus.engines.process import import_path

GIB = 1 << 30
_OBJECTS = 100 << 20


@dataclass(frozen=True)
class Plan:
    """What to schedule.

    Args:
        name: The engine.
        work, step, numbers, task: The tasks to run, by rank.
        workers: How many at a time.
        attempt: Folder for all that the attempt leaves.
        scratch: A folder with a short path, for Ray's files; removed when the parent is gone.
        options: `EngineOptions`, as JSON.
    """

    name: str
    work: str
    step: str
    numbers: list[int]
    task: str
    workers: int
    attempt: str
    scratch: str
    options: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)), "utf-8")


def main(path: str, life: str) -> None:
    """Run the plan in a file. The entry point of the process."""
    plan = Plan(**json.loads(Path(path).read_text("utf-8")))
    reader = Connection(int(life), writable=False)
    threading.Thread(target=_die_with_parent, args=(reader, plan.scratch), daemon=True).start()
    {"datatrove-local": _local, "datatrove-ray": _ray, "datatrove-slurm": _slurm}[plan.name](plan)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that libraries leave behind are not waited for.
    os._exit(0)


def _step(plan: Plan) -> Any:
    from watari.corpus.engines.datatrove_step import TaskStep

    return TaskStep(
        plan.work,
        plan.step,
        plan.numbers,
        plan.task,
        plan.attempt,
        raises=plan.name == "datatrove-slurm",
    )


def _common(plan: Plan) -> dict[str, Any]:
    return {
        "pipeline": [_step(plan)],
        "tasks": len(plan.numbers),
        "workers": min(plan.workers, len(plan.numbers)),
        "logging_dir": f"{plan.attempt}/datatrove",
        # Its own completion marks are never read: an attempt has a new folder, and our marks decide.
        "skip_completed": False,
    }


def _local(plan: Plan) -> None:
    from datatrove.executor import LocalPipelineExecutor

    LocalPipelineExecutor(**_common(plan)).run()


def _ray(plan: Plan) -> None:
    import ray
    from datatrove.executor import RayPipelineExecutor

    options = EngineOptions(**plan.options)
    if options.ray_address is not None:
        ray.init(address=options.ray_address, log_to_driver=False)
    else:
        each = options.mem_per_cpu_gb * options.cpus_per_task * GIB
        ray.init(
            address="local",
            num_cpus=plan.workers * options.cpus_per_task,
            object_store_memory=_OBJECTS,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=plan.scratch,
            # What a task reserves is always there, or it would wait for ever.
            _memory=plan.workers * each,
        )
    try:
        RayPipelineExecutor(
            **_common(plan),
            cpus_per_task=options.cpus_per_task,
            mem_per_cpu_gb=options.mem_per_cpu_gb,
            tasks_per_job=1,
        ).run()
    finally:
        ray.shutdown()


def _slurm(plan: Plan) -> None:
    from watari.corpus.engines.datatrove_step import JobIds, SlurmExecutor

    options = EngineOptions(**plan.options)
    path = os.pathsep.join(import_path())
    commands = [*options.env_commands, f"export PYTHONPATH={shlex.quote(path)}"]
    executor = SlurmExecutor(
        **_common(plan),
        python=shlex.quote(sys.executable),
        partition=options.partition,
        time=options.time,
        cpus_per_task=options.cpus_per_task,
        mem_per_cpu_gb=options.mem_per_cpu_gb,
        qos=options.qos or "",
        job_name=f"watari-{plan.step}",
        env_command="\n".join(commands),
        sbatch_args=options.sbatch_args,
        max_array_size=options.max_array_size,
        tasks_per_job=options.tasks_per_job,
        job_id_retriever=JobIds(f"{plan.attempt}/jobs"),
        # After the loss of a machine, not after a failure.
        requeue=True,
        with_srun=False,
    )
    executor.launch_job()


def _die_with_parent(life: Connection, scratch: str) -> None:
    with suppress(EOFError, OSError):
        life.recv_bytes()
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)
