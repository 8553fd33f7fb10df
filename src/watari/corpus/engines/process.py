"""A worker process as its parent sees it: started, given tasks, heard, ended.

A worker is a new Python and not a fork: it works from a script without a `__main__` guard, from a process with threads,
and inside the daemon processes of other pools. It starts in about 0.4 s of CPU time, so workers that have finished a
step are kept for the next one.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from watari.corpus.engines import worker
from watari.corpus.engines.records import Failure, died, log_path
from watari.corpus.engines.worker import Begun, Done, Failed, Order, Prepare, Rest, Setting

ONE_THREAD = {
    # Read by Arrow's CPU pool too.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""The work is divided into tasks; a task that started threads of its own would take the cores of the others."""

_AT_IMPORT = ("WATARI_", "NUMBA_", "PYTHON", "LD_", "ARROW_", "OMP_", "MALLOC_")
_PARTING = 5.0


def import_path() -> list[str]:
    """Return where modules are looked for, without the empty entry that means the folder we are in."""
    return [entry or str(Path.cwd()) for entry in sys.path]


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that calls `module.main(*arguments)` in a new Python with our import path.

    `-c` and not `-m`: the path is set before the module is looked for, whatever way it came about here.
    """
    path = json.dumps(import_path())
    code = (
        f"import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); "
        f"from {module} import main; main(*sys.argv[1:])"
    )
    return [sys.executable, "-c", code, path, *arguments]


class Worker:
    """One worker process.

    Args:
        log: Where its output goes until its first task.
    """

    def __init__(self, log: Path) -> None:
        self.key = _key()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.connection: Connection
        self.connection, theirs = Pipe()
        life_read, self._life = Pipe(duplex=False)
        code = command("watari.corpus.engines.process")
        with log.open("ab") as output, theirs, life_read:
            fds = (theirs.fileno(), life_read.fileno())
            self._process = subprocess.Popen(
                [*code, *map(str, fds)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=fds,
                env=os.environ | ONE_THREAD,
                # Ctrl-C at a terminal is for the parent, which then ends us.
                process_group=0,
            )
        self._set = self._begun = self._used = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, order: Order) -> None:
        """Give it a task. If it is gone, `heard` says so."""
        self._begun = False
        with suppress(OSError):
            if not self._set:
                self.connection.send(Setting({k: v for k, v in os.environ.items() if k not in ONE_THREAD}))
                self._set = True
            self.connection.send(order)

    def prepare(self, function: str) -> None:
        """Let it call a function, `module:name`, before its first task."""
        with suppress(OSError):
            self.connection.send(Prepare(function))

    def heard(self, order: Order) -> Begun | Done | Failed | None:
        """Return what it says of an order, once its connection is ready.

        None if it was kept from an earlier step and ended (for idleness, most of the time) before it began this task,
        which is then for another.
        """
        try:
            answer: Begun | Done | Failed = self.connection.recv()
        except (EOFError, OSError):
            code = self._exit_code()
            if self._used and not self._begun:
                return None
            log = log_path(order.work, order.step, order.number)
            return Failed(ended(order, code, log if log.is_file() else self.log))
        self._begun = True
        self._used = self._used or isinstance(answer, Done)
        return answer

    def _exit_code(self) -> int:
        try:
            return self._process.wait(_PARTING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def rest(self) -> bool:
        """Let it wait for the next step; return whether it is there."""
        self._set = False
        with suppress(OSError):
            self.connection.send(Rest())
        return self._process.poll() is None

    def wake(self) -> bool:
        """Return whether it is still there for another step."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, now."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        self._life.close()


def ended(order: Order, code: int, log: Path) -> Failure:
    """Return the failure of a task whose worker ended with an exit code, or by a signal (negative)."""
    if code >= 0:
        return died(order.step, order.number, f"ended with exit code {code}", log, memory=False)
    names = {int(known): known.name for known in signal.Signals}
    how = f"was ended by signal {-code} ({names.get(-code, 'unknown')})"
    return died(order.step, order.number, how, log, memory=-code == signal.SIGKILL)


_kept: list[Worker] = []
_lock = threading.Lock()


def take(log: Path) -> Worker:
    """Return a worker: one that is kept and was started alike, or a new one."""
    key = _key()
    with _lock:
        while _kept:
            kept = _kept.pop()
            if kept.key == key and kept.wake():
                return kept
            kept.kill()
    return Worker(log)


def keep(workers: Iterable[Worker]) -> None:
    """Keep workers that have nothing to do; each ends by itself if it stays so."""
    resting = [one for one in workers if one.rest()]
    with _lock:
        _kept.extend(resting)


def prepare(count: int, log: Path, function: str) -> None:
    """Start workers until `count` are kept, and let each call `function`: work for the time until their first task."""
    with _lock:
        missing = count - len(_kept)
    started = [Worker(log) for _ in range(missing)]
    for one in started:
        one.prepare(function)
    with _lock:
        _kept.extend(started)


def _end_kept() -> None:
    with _lock:
        while _kept:
            _kept.pop().kill()


atexit.register(_end_kept)


def _key() -> str:
    environment = {name: value for name, value in os.environ.items() if name.startswith(_AT_IMPORT)}
    return json.dumps([sys.path, str(Path.cwd()), environment], sort_keys=True)


def main(connection: str, life: str) -> None:
    """Be a worker."""
    worker.main(int(connection), int(life))
