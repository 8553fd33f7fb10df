"""Checks in processes of their own: a caller that waits for the network is never held up by them.

Rows that come within a moment of each other go to a process together; a process that dies takes no row with it: its rows
are checked again apart, and one that kills its process again comes back as a `check-crashed` finding.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from watari.synth.checks import catalogue
from watari.synth.checks.finding import Finding, Meta

Messages = Sequence[Mapping[str, Any]]

BATCH = 32
"""Rows that go to a process together, at most: 32 rows of 1.5 KB are about 30 ms of work."""
MOMENT = 0.02
"""Seconds that a row waits for others."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A row to be checked: messages of the source (None: the target alone) and the target, and what else is known."""

    source: Messages | None
    target: Messages
    meta: Meta


def check_row(request: CheckRequest) -> list[Finding]:
    """Return the findings of one row, in this process."""
    target = catalogue.turns(request.target)
    if request.source is None:
        return catalogue.run_target_checks(target, request.meta)
    return catalogue.run_checks(catalogue.turns(request.source), target, request.meta)


def check_rows(requests: Sequence[CheckRequest]) -> list[list[Finding]]:
    """Return the findings of each row, in this process."""
    return [check_row(request) for request in requests]


class CheckPool:
    """Checks rows in `workers` processes; with 0, in this one.

        async with CheckPool(2) as pool:
            findings = await pool.check(source, target, Meta(source="en", target="ja"))

    Rows may be given from many tasks at once. The verdict of a row does not depend on the workers or on other rows.
    """

    def __init__(self, workers: int = 0, *, batch: int = BATCH) -> None:
        """Args: workers: processes, started with the first row; batch: rows that go to one together, at most."""
        self.workers = workers
        self.crashes = 0
        """How many processes died."""
        self._batch = batch
        self._executor: ProcessPoolExecutor | None = None
        self._waiting: list[tuple[CheckRequest, asyncio.Future[list[Finding]]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> CheckPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def check(self, source: Messages | None, target: Messages, meta: Meta) -> list[Finding]:
        """Return what the checks find in a target ({role, content}) made from a source; None: the target alone."""
        request = CheckRequest(source, target, meta)
        if not self.workers:
            return check_row(request)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Finding]] = loop.create_future()
        self._waiting.append((request, answer))
        if len(self._waiting) >= self._batch:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(MOMENT, self._send)
        return await answer

    async def close(self) -> None:
        """Check what still waits, then end the processes."""
        self._send()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            rows, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            task = asyncio.get_running_loop().create_task(self._work(rows))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, rows: list[tuple[CheckRequest, asyncio.Future[list[Finding]]]]) -> None:
        try:
            found = await self._run([request for request, _ in rows])
        except BaseException as error:
            for _, answer in rows:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            raise
        for (_, answer), findings in zip(rows, found, strict=True):
            if not answer.done():
                answer.set_result(findings)

    async def _run(self, requests: list[CheckRequest]) -> list[list[Finding]]:
        executor = self._started()
        try:
            return await asyncio.wrap_future(executor.submit(check_rows, requests))
        except BrokenProcessPool:
            self._broken(executor)
        # A death takes the batches of all processes with it: whose fault it was shows when they are checked apart.
        return await self._apart(requests)

    async def _apart(self, requests: list[CheckRequest]) -> list[list[Finding]]:
        """Check rows in a process of their own, by halves if that dies too."""
        alone = _executor(1)
        try:
            return await asyncio.wrap_future(alone.submit(check_rows, requests))
        except BrokenProcessPool:
            if len(requests) == 1:
                self.crashes += 1
                return [[_died()]]
        finally:
            alone.shutdown(wait=False, cancel_futures=True)
        half = len(requests) // 2
        return await self._apart(requests[:half]) + await self._apart(requests[half:])

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = _executor(self.workers)
        return self._executor

    def _broken(self, executor: ProcessPoolExecutor) -> None:
        if self._executor is executor:
            self._executor = None
            executor.shutdown(wait=False, cancel_futures=True)


def _executor(workers: int) -> ProcessPoolExecutor:
    # Forking a process with threads (the event loop's, the ledger's writer) may hang: a server forks from a clean one.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["watari.synth.checks.catalogue"])
    return ProcessPoolExecutor(workers, mp_context=context)


def check_all(requests: Iterable[CheckRequest], workers: int) -> Iterable[tuple[CheckRequest, list[Finding]]]:
    """Yield each row with its findings, in the order of the rows, checked in `workers` processes (0: in this one).

    No more than a few batches a worker are read ahead, so that a long file takes no memory.
    """
    if not workers:
        for request in requests:
            yield request, check_row(request)
        return
    yield from _in_processes(iter(requests), workers)


def _in_processes(
    requests: Iterable[CheckRequest], workers: int
) -> Iterable[tuple[CheckRequest, list[Finding]]]:
    from collections import deque
    from concurrent.futures import Future
    from itertools import islice

    rows = iter(requests)
    ahead: deque[tuple[list[CheckRequest], Future[list[list[Finding]]]]] = deque()
    executor = _executor(workers)
    try:
        while True:
            while len(ahead) < 3 * workers and (batch := list(islice(rows, 4 * BATCH))):
                try:
                    ahead.append((batch, executor.submit(check_rows, batch)))
                except BrokenProcessPool:
                    executor = _executor(workers)
                    ahead.append((batch, executor.submit(check_rows, batch)))
            if not ahead:
                return
            batch, future = ahead.popleft()
            try:
                found = future.result()
            except BrokenProcessPool:
                found = _apart(batch)
                executor.shutdown(wait=False, cancel_futures=True)
                executor = _executor(workers)
                # What else was in the dead process's queue is sent again.
                ahead = deque(
                    (rest, kept if _fine(kept) else executor.submit(check_rows, rest)) for rest, kept in ahead
                )
            yield from zip(batch, found, strict=True)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _fine(future: Any) -> bool:
    return bool(future.done() and not future.cancelled() and future.exception() is None)


def _apart(requests: list[CheckRequest]) -> list[list[Finding]]:
    """Check rows in a process of their own, by halves if it dies."""
    with _executor(1) as alone:
        try:
            return alone.submit(check_rows, requests).result()
        except BrokenProcessPool:
            if len(requests) == 1:
                return [[_died()]]
    half = len(requests) // 2
    return _apart(requests[:half]) + _apart(requests[half:])


def _died() -> Finding:
    return catalogue.crashed("the process that checked this row died")
