"""Starts one process a rank on this machine and stands in for them: their progress goes up, a request to stop goes down.

The ranks find each other through a file in a private folder and talk over the loopback interface. torchrun, which is for
several machines, would open a TCP store on every interface instead, whose rendezvous state is a pickle; one machine needs
neither. Each rank is given what torchrun gives it (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE), and the same program
runs under torchrun itself (see `rank`).

Every rank holds one end of a socket whose other end only this process has open: when this process dies, by whatever
signal, the ranks read the end of the line and are gone. A rank that fails says why before it ends; the others, which
then wait for it or lose their connection, are given a few seconds to say whatever they have to, and are ended.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import watari
from watari import errors
from watari.artifact.stage import Inputs, Progress, StageResult
from watari.errors import StageFailed, WatariError
from watari.train.distributed.spec import Launch
from watari.train.settings import TrainingParams

HOME = "WATARI_HOME"
"""Names rank 0's folder to every rank; a process that has it is a rank."""
RENDEZVOUS = "WATARI_RENDEZVOUS"
"""Says where the ranks of one machine meet; without it, in torchrun's store."""
LINE = "WATARI_LINE"
"""Number of the open descriptor that leads to the process that waits."""
PROGRAM = ("-m", "watari.train.distributed.rank")
_TICK = 0.1
_GRACE = 5.0


def delegated(
    kind: str, params: TrainingParams, inputs: Inputs, out: Path, progress: Progress
) -> StageResult | None:
    """Run the stage on `params.processes` processes and return rank 0's result; None if this process is to do the work.

    It is to do so if it is the only one wanted, or is a rank itself. Rank 0 works in `out`; the others, which run the
    same stage and write nothing that lasts, in folders below `out/work`.

    Raises:
        WatariError: what a rank raised, with its words.
        StageFailed: if a rank dies without a word.
        Interrupted: if asked to stop; the ranks have written a checkpoint.
    """
    if HOME in os.environ:
        return None
    if params.processes == 1:
        if params.sharding != "none":
            progress.log("sharding: one process has nobody to divide the model with; it keeps it whole")
        return None
    launch = Launch.of(kind, params, inputs, out)
    if (done := launch.result()) is not None:
        return done
    launch.write()
    progress.log("starting ranks", processes=params.processes, sharding=params.sharding)
    with _started(launch, params.processes) as ranks:
        _Watch(ranks, progress).until_all_end()
    return _outcome(ranks)


@dataclass
class _Rank:
    """One process and what it has said so far."""

    number: int
    process: subprocess.Popen[bytes]
    line: socket.socket
    unread: bytes = b""
    ended: bool = False
    result: StageResult | None = None
    failure: WatariError | None = None
    told: bool = False


@contextmanager
def _started(launch: Launch, processes: int) -> Iterator[list[_Rank]]:
    """Start the ranks; on leaving, make sure that none is left."""
    ranks: list[_Rank] = []
    with tempfile.TemporaryDirectory(prefix="watari-ranks-") as folder:
        try:
            for number in range(processes):
                ranks.append(_start(launch, number, processes, Path(folder) / "rendezvous"))
            yield ranks
        finally:
            for rank in ranks:
                if rank.process.poll() is None:
                    rank.process.kill()
                rank.process.wait()
                rank.line.close()


def _start(launch: Launch, number: int, processes: int, rendezvous: Path) -> _Rank:
    ours, theirs = socket.socketpair()
    with theirs:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        source = str(Path(watari.__file__).parents[1])
        environment = {
            # Set by a user, they stand; the rest says who this rank is.
            "OMP_NUM_THREADS": str(max(1, cores // processes)),
            **_loopback(),
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            RENDEZVOUS: rendezvous.as_uri(),
            LINE: str(theirs.fileno()),
        }
        process = subprocess.Popen(
            [sys.executable, *PROGRAM, str(launch.path)],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    return _Rank(number, process, ours)


def _loopback() -> dict[str, str]:
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return {f"{library}_SOCKET_IFNAME": names[0] for library in ("GLOO", "NCCL")} if names else {}


class _Watch:
    """Listens to the ranks until all of them have ended."""

    def __init__(self, ranks: list[_Rank], progress: Progress) -> None:
        self._ranks = ranks
        self._progress = progress
        self._asked = False

    def until_all_end(self) -> None:
        """Relay what they say; once one has failed, end those that do not end by themselves."""
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            for rank in self._ranks:
                selector.register(rank.line, selectors.EVENT_READ, rank)
            while not all(rank.ended for rank in self._ranks):
                for key, _ in selector.select(_TICK):
                    if not self._hear(key.data):
                        selector.unregister(key.fileobj)
                for rank in self._ranks:
                    rank.ended = rank.ended or rank.process.poll() is not None
                self._pass_on_a_stop()
                failed = any(r.failure is not None or (r.ended and r.result is None) for r in self._ranks)
                if failed and deadline is None:
                    deadline = time.monotonic() + _GRACE
                if deadline is not None and time.monotonic() > deadline:
                    return
            for rank in self._ranks:
                while self._hear(rank):
                    pass

    def _pass_on_a_stop(self) -> None:
        if not self._asked and self._progress.stop_requested():
            self._asked = True
            with suppress(OSError):
                self._ranks[0].line.sendall(b"stop\n")

    def _hear(self, rank: _Rank) -> bool:
        """Take in what a rank has sent; False at the end of its line."""
        try:
            data = rank.line.recv(1 << 16)
        except OSError:
            data = b""
        *lines, rank.unread = (rank.unread + data).split(b"\n")
        for line in lines:
            self._take(rank, json.loads(line))
        return bool(data)

    def _take(self, rank: _Rank, message: dict[str, Any]) -> None:
        what = message.pop("what")
        if what == "update":
            self._progress.update(message.pop("done"), message.pop("total"), **message)
        elif what == "log":
            self._progress.log(message["message"], **message["fields"])
        elif what == "result":
            rank.result = StageResult(message["metrics"], message["performance"])
        elif what == "failed":
            kind = getattr(errors, message["type"], StageFailed)
            rank.failure = kind(message["message"], message["mend"])
            rank.told = message["told"]


def _outcome(ranks: list[_Rank]) -> StageResult:
    """Return rank 0's result, or raise what explains best why there is none.

    In this order: what a rank meant to say, a death without words, and whatever else was raised, such as the lost
    connection to one that has died.
    """
    for rank in ranks:
        if rank.failure is not None and rank.told:
            raise rank.failure
    first = ranks[0].result
    if first is not None and all(rank.result is not None for rank in ranks):
        # One that has finished its work and trips over its own exit has done no harm.
        return first
    for rank in ranks:
        code = rank.process.returncode
        if rank.failure is None and rank.ended and rank.result is None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise StageFailed(
                f"process {rank.number} of {len(ranks)} {how}",
                "run the same command to go on from the last checkpoint",
            )
    for rank in ranks:
        if rank.failure is not None:
            raise rank.failure
    raise StageFailed("the processes ended without a result")
