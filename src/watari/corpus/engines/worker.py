"""The process that runs tasks, one after another: what happens inside it.

It is a fresh Python, started with the arguments of `process.py`, that imports the heavy libraries once and keeps to
one thread. It reads orders from a pipe and answers each with `Begun`, then `Done` or `Failed`. It dies with the process that started
it (a thread waits for the end of a second pipe that only the parent holds open), and by itself when it has had nothing
to do for a while. A task's output goes to the task's own log, which is removed if the task finishes without any.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from watari.corpus.engines.records import Failure, log_path, mark_path
from watari.errors import StageFailed, WatariError, no_space
from watari.peak import peak_memory

_IDLE_SECONDS = 30.0
_REST_SECONDS = 1.0


@dataclass(frozen=True)
class Order:
    """Sent down: run a task.

    Args:
        task: The function, as `module:name`; it is called with (work, step, number).
        work: The work folder.
        step: The step.
        number: The task's number in the step.
    """

    task: str
    work: Path
    step: str
    number: int


@dataclass(frozen=True)
class Setting:
    """Sent down first: the environment that the tasks see; thread limits stay as the process was started."""

    environment: dict[str, str]


@dataclass(frozen=True)
class Rest:
    """Sent down: nothing to do for now; give back what memory can be given back."""


@dataclass(frozen=True)
class Prepare:
    """Sent down: call a function without arguments, `module:name`, while there is nothing else to do."""

    function: str


@dataclass(frozen=True)
class Begun:
    """Sent up first: the task begins. A worker that ends without it has not touched the task."""


@dataclass(frozen=True)
class Done:
    """Sent up: the task is done. `peak` is the most memory that the process has held so far, in bytes."""

    number: int
    peak: int


@dataclass(frozen=True)
class Failed:
    """Sent up: the task failed; its traceback is in its log."""

    failure: Failure


def main(connection: int, life: int) -> None:
    """Serve orders until the pipe ends. The entry point of the process, given the file descriptors of two pipes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(Connection(life, writable=False),), daemon=True).start()
    orders = Connection(connection)
    while orders.poll(_IDLE_SECONDS):
        try:
            order = orders.recv()
        except (EOFError, OSError):
            break
        if isinstance(order, Setting):
            os.environ.update(order.environment)
        elif isinstance(order, Rest):
            # Memory that is given back is faulted in again: not between two steps that follow each other.
            if not orders.poll(_REST_SECONDS):
                _give_back()
        elif isinstance(order, Prepare):
            # What goes wrong here goes wrong in the first task too, where it is told.
            with suppress(Exception):
                _function(order.function)()
        elif isinstance(order, Order):
            orders.send(Begun())
            orders.send(_serve(order))
    os._exit(0)


def _serve(order: Order) -> Done | Failed:
    log = log_path(order.work, order.step, order.number)
    mark = mark_path(order.work, order.step, order.number)
    try:
        _redirect_output(log)
        if not mark.is_file():
            os.ftruncate(1, 0)
            _function(order.task)(order.work, order.step, order.number)
        if not mark.is_file():
            raise StageFailed(f"{order.step}, task {order.number}: it ended without its mark")
        with suppress(OSError):
            _flush()
            if log.stat().st_size == 0:
                log.unlink()
        return Done(order.number, peak_memory())
    except BaseException as error:
        # On a full disk the log cannot be written either.
        with suppress(OSError):
            _flush()
            traceback.print_exc()
        return Failed(_failure(error, order, log))
    finally:
        with suppress(OSError):
            _flush()
        with suppress(OSError):
            fcntl.flock(1, fcntl.LOCK_UN)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _function(task: str) -> Callable[..., object]:
    module, _, name = task.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), name)
    return found


def _failure(error: BaseException, order: Order, log: Path) -> Failure:
    if isinstance(error, WatariError):
        return Failure.of(order.number, error)
    place = f"{order.step}, task {order.number}"
    if no_space(error):
        told = StageFailed(
            f"{place}: no space left on the disk that holds {order.work}", "free some, then run again"
        )
    elif isinstance(error, MemoryError):
        told = StageFailed(
            f"{place}: out of memory", f"run again with fewer workers; the traceback is in {log}"
        )
    else:
        first = next(iter(str(error).splitlines()), "")
        described = f"{type(error).__name__}: {first}" if first else type(error).__name__
        told = StageFailed(f"{place}: {described}", f"the traceback is in {log}")
    return Failure.of(order.number, told)


def _redirect_output(log: Path) -> None:
    """Send our output to a task's log, once nobody else does: the worker of a killed run may still be on its way out.

    Two workers then never write the same files at a time, at least where the file system knows locks.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # A crash of native code leaves its Python stack.
    faulthandler.enable(2)


def _give_back() -> None:
    gc.collect()
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _die_with_parent(life: Connection) -> None:
    with suppress(EOFError, OSError):
        life.recv_bytes()
    os._exit(1)
