"""The engine `pool`: worker processes on this machine, each given the next task when it has done one."""

from __future__ import annotations

import time
from collections import deque
from multiprocessing.connection import wait
from pathlib import Path

from watari.artifact.stage import Progress, stop_if_asked
from watari.corpus.engines.process import Worker, keep, take
from watari.corpus.engines.records import Failure, folder_of
from watari.corpus.engines.worker import Begun, Failed, Order

_EVERY = 0.5


def run(
    work: Path, step: str, todo: list[int], tasks: int, workers: int, progress: Progress, task: str
) -> None:
    """Run the tasks `todo`, of `tasks` in all. See `watari.corpus.engines.run`."""
    waiting = deque(todo)
    log = folder_of(work, step) / "workers.log"
    busy: dict[Worker, Order] = {}
    free: list[Worker] = []
    failures: list[Failure] = []
    done, peak, told = tasks - len(todo), 0, 0.0
    try:
        while busy or (waiting and not failures):
            while waiting and not failures and len(busy) < workers:
                worker = free.pop() if free else take(log)
                busy[worker] = Order(task, work, step, waiting.popleft())
                worker.send(busy[worker])
            wait([worker.connection for worker in busy], timeout=_EVERY)
            for worker in [worker for worker in busy if worker.connection.poll()]:
                order = busy[worker]
                answer = worker.heard(order)
                if isinstance(answer, Begun):
                    continue
                del busy[worker]
                if answer is None:
                    waiting.appendleft(order.number)
                    worker.kill()
                elif isinstance(answer, Failed):
                    failures.append(answer.failure)
                    # Whatever state it is in.
                    worker.kill()
                else:
                    done, peak = done + 1, max(peak, answer.peak)
                    free.append(worker)
            stop_if_asked(progress)
            if time.monotonic() - told >= _EVERY or done == tasks:
                told = time.monotonic()
                progress.update(done, tasks, unit="shards", note=f"{step}: {len(busy)} running")
    except BaseException:
        for worker in (*busy, *free):
            worker.kill()
        raise
    keep(free)
    if failures:
        raise min(failures, key=lambda failure: failure.number).error()
    progress.log(f"{step}: {len(todo)} shards", workers=min(workers, len(todo)), peak_worker_bytes=peak)
