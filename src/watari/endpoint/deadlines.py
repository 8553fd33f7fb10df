"""Deadlines of what is in flight: one look at all of it every tenth of a second, instead of timers for each request.

A request over aiohttp sets three timers and takes two of them off again: a seventh of all that it costs.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

LOOK = 0.1
"""Seconds between two looks; so much may a deadline be passed."""

_NOT_YET = math.inf


@dataclass(slots=True, eq=False)
class Deadline:
    """When a request is given up.

    Args:
        task: Sends it; is cancelled when a deadline has passed.
        cancelling: How often the task was being cancelled before.
        ends: When it is given up whatever comes, in the loop's time.
        read: Seconds without a byte after which it is given up.
        heard: When the last piece came, or the connection was there; infinite before.
        passed: In words which deadline has passed; "" if none.
    """

    task: asyncio.Task[Any]
    cancelling: int
    ends: float
    read: float
    heard: float = _NOT_YET
    passed: str = ""


class Deadlines:
    """All that is in flight in one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: dict[asyncio.Task[Any], Deadline] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, read: float, overall: float) -> Deadline:
        """Watch the running task until `end`.

        Args:
            read: Seconds between two pieces of the reply, and from the connection to the first.
            overall: Seconds altogether.
        """
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task, task.cancelling(), self._loop.time() + overall, read)
        self._open[task] = deadline
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK, self._look)
        return deadline

    def connected(self) -> None:
        """The running task has its connection: from now on the server is expected to say something."""
        deadline = self._open.get(asyncio.current_task())  # type: ignore[arg-type]
        if deadline is not None:
            deadline.heard = self._loop.time()

    def heard(self, deadline: Deadline) -> None:
        """A piece of the reply is there."""
        deadline.heard = self._loop.time()

    def end(self, deadline: Deadline) -> bool:
        """Watch it no longer; True if it was given up, and nobody else has cancelled the task."""
        del self._open[deadline.task]
        return bool(deadline.passed) and deadline.task.uncancel() <= deadline.cancelling

    def _look(self) -> None:
        now = self._loop.time()
        for deadline in self._open.values():
            if deadline.passed:
                continue
            if now >= deadline.ends:
                deadline.passed = "the overall deadline has passed"
            elif now - deadline.heard >= deadline.read:
                deadline.passed = f"nothing came for {deadline.read:g} s"
            else:
                continue
            deadline.task.cancel()
        self._timer = self._loop.call_later(LOOK, self._look) if self._open else None
