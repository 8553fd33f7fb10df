"""The program of one rank: `python -m watari.train.distributed.rank LAUNCH.json`.

`launch` starts it on one machine. On several, torchrun does, on each of them with the same folders in sight:

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        -m watari.train.distributed.rank …/work/launch.json

It then prints its progress, takes SIGINT or SIGTERM as a request to stop after a checkpoint, and leaves its result where
the next `watari run` finds it and publishes the artifact.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from watari.artifact.stage import Silent, StageResult
from watari.artifact.store import locked
from watari.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, StageFailed, WatariError
from watari.train.distributed.launch import HOME, LINE
from watari.train.distributed.spec import Launch

_EVERY = 0.1
_SHOWN_EVERY = 5.0


class Line:
    """The socket to the process that waits. Its end is this process's end.

    Args:
        connection: The socket.
        main: True on rank 0, which alone tells its progress and hears of a stop.
    """

    def __init__(self, connection: socket.socket, *, main: bool) -> None:
        self._connection = connection
        self._main = main
        self._last = 0.0
        self._stop = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while data := self._connection.recv(64):
                if b"stop" in data:
                    self._stop.set()
        except OSError:
            pass
        os._exit(EXIT_FAILED)

    def _send(self, what: str, **fields: Any) -> None:
        self._connection.sendall(json.dumps({"what": what, **fields}).encode() + b"\n")

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Send how far the work is, at most ten times a second (the last step always)."""
        moment = time.monotonic()
        if self._main and (moment - self._last >= _EVERY or (total is not None and done >= total)):
            self._last = moment
            self._send("update", done=done, total=total, unit=unit, note=note)

    def log(self, message: str, **fields: Any) -> None:
        """Send one line."""
        if self._main:
            self._send("log", message=message, fields=fields)

    def stop_requested(self) -> bool:
        """True on rank 0 once the user has asked to stop; the ranks agree among themselves what to do about it."""
        return self._stop.is_set()

    def finished(self, result: StageResult) -> None:
        """Send what the stage said."""
        self._send("result", metrics=result.metrics, performance=result.performance)

    def failed(self, error: WatariError, *, told: bool) -> None:
        """Send why it could not finish; `told` is False for what was not raised to be read."""
        self._send("failed", type=type(error).__name__, message=error.message, mend=error.mend, told=told)


class Console(Silent):
    """A rank under torchrun: rank 0 prints what it does; a signal to any rank asks all to stop."""

    def __init__(self, *, main: bool) -> None:
        self._main = main
        self._last = -_SHOWN_EVERY
        self._stop = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)

    def _asked(self, *_: object) -> None:
        self._stop = True

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Print how far the work is, every few seconds."""
        moment = time.monotonic()
        if self._main and (moment - self._last >= _SHOWN_EVERY or (total is not None and done >= total)):
            self._last = moment
            print(
                f"{done:g}{f' of {total:g}' if total is not None else ''} {unit} {note}".rstrip(), flush=True
            )

    def log(self, message: str, **fields: Any) -> None:
        """Print one line."""
        if self._main:
            print(message, *(f"{name}={value}" for name, value in fields.items()), flush=True)

    def stop_requested(self) -> bool:
        """True once a signal came."""
        return self._stop

    def finished(self, result: StageResult) -> None:
        """Print where to go on."""
        self.log("done; the next `watari run` of the same recipe publishes the model")

    def failed(self, error: WatariError, *, told: bool) -> None:
        """Print why it could not finish, on every rank."""
        print(f"rank {os.environ['RANK']}: {error}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Run this rank's stage, say how it ended, and return the exit code."""
    if len(arguments) != 1 or "RANK" not in os.environ:
        print("usage: torchrun ... -m watari.train.distributed.rank LAUNCH.json", file=sys.stderr)
        return EXIT_USAGE
    rank = int(os.environ["RANK"])
    progress: Line | Console
    if LINE in os.environ:
        # Ctrl-C in a terminal reaches every process there; the one that waits for us decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        progress = Line(socket.socket(fileno=int(os.environ[LINE])), main=rank == 0)
    else:
        progress = Console(main=rank == 0)
    try:
        launch = Launch.read(Path(arguments[0]))
        os.environ[HOME] = str(launch.out)
        from watari.train.distributed.world import joined

        with _held(launch, alone=rank == 0 and LINE not in os.environ), joined():
            out = launch.out if rank == 0 else launch.scratch(rank)
            out.mkdir(parents=True, exist_ok=True)
            result = launch.stage().run(launch.parameters(), launch.artifacts(), out, progress)
            if rank == 0:
                launch.write_result(result)
            progress.finished(result if rank == 0 else StageResult())
    except WatariError as error:
        progress.failed(error, told=True)
        return error.exit_code
    except BaseException as error:
        traceback.print_exc()
        progress.failed(_described(error, rank), told=False)
        return EXIT_FAILED
    return EXIT_OK


@contextmanager
def _held(launch: Launch, *, alone: bool) -> Iterator[None]:
    """Hold the store's lock on the stage's folder, if nobody above does who waits for this rank."""
    if not alone:
        yield
        return
    with locked(launch.out.with_name(f"{launch.out.name}.lock")) as held:
        if not held:
            raise StageFailed(f"{launch.out}: another run is at work in it", "wait for it, or stop it")
        yield


def _described(error: BaseException, rank: int) -> StageFailed:
    text = str(error).splitlines()
    described = f"rank {rank}: {type(error).__name__}" + (f": {text[0]}" if text else "")
    mend = "the traceback is in the stage's log"
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error), re.I):
        mend = "lower `pass_tokens` or `sequence`, or set `sharding: fsdp`"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        mend = "free some space (`watari clean`), then run the same command to go on"
    return StageFailed(described, mend)


def _end(code: int) -> NoReturn:
    """End at once, with everything written.

    After a failure, since to leave a process group in order all of its ranks would have to come along; after success,
    since gloo's threads now and then outlive their group into the interpreter's own end, which aborts ("terminate
    called without an active exception", facts/training.md §1).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main(sys.argv[1:]))
