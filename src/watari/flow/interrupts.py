"""The user's wish to stop a run, counted: the first stops it at its stages' next safe points, the second at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from watari.errors import Interrupted


class Interrupts:
    """How often the user has asked to stop; true once that was done."""

    def __init__(self) -> None:
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def note(self) -> None:
        """Take a stage that stopped by itself for a first wish. It never makes a second one: that is the user's alone."""
        self._count = max(self._count, 1)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Count Ctrl-C (SIGINT) and SIGTERM within; the handlers that stood before stand again afterwards.

        Outside the main thread (a library's use) nothing is counted: signals are the caller's business there.

        Raises:
            Interrupted: at the second signal, wherever the main thread is.
        """
        before: dict[int, Any] = {}
        try:
            for number in (int(signal.SIGINT), int(signal.SIGTERM)):
                before[number] = signal.signal(number, self._on_signal)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 2:
            raise Interrupted("stopped at once", "run the same command to go on")
