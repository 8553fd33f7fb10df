"""Working through rows: many at once, results in the order of the rows, memory that does not grow with their number.

A row that is late does not stop the others: what is done waits for it, the first part in memory and the rest in a file
without a name, which the system removes with the process however that ends.
"""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import IO, Any, TypeVar

from watari.artifact.stage import Progress
from watari.errors import Interrupted

T = TypeVar("T")
R = TypeVar("R")

PLACE: ContextVar[int | None] = ContextVar("PLACE", default=None)
"""The number of the row that is worked on, within `work_through`: who waits longest is served first."""

WINDOW = 2048
"""Rows in work by default: the most requests that an endpoint begins with in flight (512), and those whose answers are
being written and checked meanwhile (at 2,500 a second, 100 ms until the commit, and as much again for checks)."""

IN_MEMORY = 16_384
"""Results that wait in memory for an earlier row."""

WAITING = 1_000_000
"""Results that wait altogether; then no more rows are begun."""

_STOPPED = "stopped as asked; every answer is on record, run the same command to go on"
_TICK = 0.2


async def work_through(
    rows: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    *,
    window: int = 0,
    progress: Progress | None = None,
    total: float | None = None,
    unit: str = "rows",
) -> AsyncIterator[R]:
    """Yield what `work` makes of every row, in the order of the rows.

    Args:
        rows: Read as they are needed.
        work: Called for each; up to `window` run at once.
        window: 0: enough to keep the largest number of requests in flight; a batch endpoint needs as many as its batch
            (`Asking.window`).
        progress: Told how many are done; where it says so, the work stops.
        total, unit: For `progress`.

    Raises:
        Interrupted: if the user asked to stop. Rows in work are given up; requests in flight belong to `Asking`, which
            waits for their answers and records them.
        Exception: the first one that `work` raised; the other rows in work are given up likewise.
    """
    run = _Run(iter(rows), work, window or WINDOW)
    told = asyncio.get_running_loop().time()
    try:
        while True:
            if progress is not None and progress.stop_requested():
                raise Interrupted(_STOPPED)
            run.start_more()
            while run.next_is_done():
                yield run.take()
                now = asyncio.get_running_loop().time()
                if progress is not None and now - told > _TICK:
                    told = now
                    progress.update(run.taken, total, unit=unit)
                    if progress.stop_requested():
                        break
                run.start_more()
            if run.failure is not None:
                failure = run.failure
                await run.stop()
                # What `stop` cancelled has nothing to say; a reason that came first stays.
                raise failure if run.failure is None or isinstance(run.failure, Interrupted) else run.failure
            if run.finished:
                break
            if not run.next_is_done():
                await run.something(_TICK)
        if progress is not None:
            progress.update(run.taken, total, unit=unit)
    finally:
        await run.stop()
        run.close()


class _Run:
    """The rows in work, and the results that wait for their turn."""

    def __init__(self, rows: Iterator[Any], work: Callable[[Any], Awaitable[Any]], window: int) -> None:
        self._rows = rows
        self._work = work
        self._window = window
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: dict[int, Any] = {}
        self._kept = _Kept()
        self._started = 0
        self._more = True
        self._event = asyncio.Event()
        self.taken = 0
        self.failure: BaseException | None = None

    def start_more(self) -> None:
        """Begin rows until the window is full."""
        while (
            self._more
            and self.failure is None
            and len(self._tasks) < self._window
            and self._started - self.taken < WAITING
        ):
            try:
                row = next(self._rows)
            except StopIteration:
                self._more = False
                return
            except Exception as error:
                self.failure = error
                return
            task = asyncio.get_running_loop().create_task(self._one(self._started, row))
            self._tasks.add(task)
            self._started += 1

    async def _one(self, place: int, row: Any) -> None:
        PLACE.set(place)
        try:
            result = await self._work(row)
            if place - self.taken < IN_MEMORY or not self._kept.put(place, result):
                self._done[place] = result
        except BaseException as error:
            # That the user asked to stop says less than why something failed.
            if self.failure is None or (
                isinstance(self.failure, Interrupted) and not isinstance(error, asyncio.CancelledError)
            ):
                self.failure = error
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)
            if place == self.taken or self.failure is not None or len(self._tasks) < self._window:
                self._event.set()

    def next_is_done(self) -> bool:
        return self.taken in self._done or self.taken in self._kept

    def take(self) -> Any:
        """Return the next result; look with `next_is_done` first."""
        place = self.taken
        self.taken += 1
        return self._kept.pop(place) if place in self._kept else self._done.pop(place)

    @property
    def finished(self) -> bool:
        return not self._more and not self._tasks and self.taken == self._started

    async def something(self, seconds: float) -> None:
        """Wait until something has ended, or for so long."""
        self._event.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass

    async def stop(self) -> None:
        """Begin nothing more, and end what is in work. Answers in flight are not lost: `Asking` receives them."""
        self._more = False
        if self.failure is None:
            self.failure = Interrupted(_STOPPED)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            ended, _ = await asyncio.wait(self._tasks)
            self._tasks -= ended  # one that was cancelled before its first step could not take itself off

    def close(self) -> None:
        self._kept.close()


class _Kept:
    """Results in a file. Only this process writes and reads it."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0

    def __contains__(self, place: int) -> bool:
        return place in self._places

    def put(self, place: int, result: Any) -> bool:
        """Keep a result; False if it cannot be written down."""
        try:
            data = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError):
            return False
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._file.seek(self._end)
        self._file.write(data)
        self._places[place] = (self._end, len(data))
        self._end += len(data)
        return True

    def pop(self, place: int) -> Any:
        """Return a result and forget it."""
        assert self._file is not None
        start, size = self._places.pop(place)
        self._file.seek(start)
        result = pickle.loads(self._file.read(size))
        if not self._places:
            self._end = 0
            self._file.truncate(0)
        return result

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
