"""The processes of the stages that run now: begun, listened to, asked to stop, ended.

Each stage runs in a process of its own (forked from a server process that has imported the heavy libraries once), so
that its memory is given back, a crash of it is not ours, and independent stages can run side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from watari.flow.display import Display
from watari.flow.folder import Events
from watari.flow.processes import ended
from watari.flow.worker import Failed, Finished, Line, Update, Work, work
from watari.recipe.graph import Node

_EVENT_EVERY = 5.0
"""Seconds between two lines of the event log on how far a stage is."""
_PARTING = 10.0
"""Seconds that a process gets between its last word and its end."""
_LISTENING = 0.5
"""Seconds after which the listener looks up though nobody has spoken."""


@dataclass(frozen=True)
class Ended:
    """A stage whose process is gone, what it came to, and the seconds it took."""

    node: Node
    result: Finished | Failed
    seconds: float


@dataclass
class _Running:
    node: Node
    task: Work
    needs: int
    process: BaseProcess
    connection: Connection
    life: Connection
    started: float
    result: Finished | Failed | None = None
    told: float = 0.0
    asked: bool = False


class RunningStages:
    """The stages that run now; it is as long as there are of them.

    Args:
        display: Shows how far they are.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._running: dict[str, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    def building(self, key: str) -> bool:
        """Return whether one of them builds the artifact of this key."""
        return any(running.task.key == key for running in self._running.values())

    def needs(self) -> int:
        """Return the bytes of memory that all of them together were said to need."""
        return sum(running.needs for running in self._running.values())

    def start(
        self, node: Node, task: Work, context: ForkServerContext, *, needs: int, events: Events
    ) -> None:
        """Begin the process of a stage.

        Args:
            node: The stage.
            task: What its process is to do.
            context: Begins processes (`processes.server`).
            needs: Bytes of memory that it is said to need.
            events: Where its beginning is written.
        """
        mine, theirs = context.Pipe()
        life_read, life_write = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(theirs, life_read, task), name=f"watari-{node.name}")
        process.start()
        theirs.close()
        life_read.close()
        self._running[node.name] = _Running(
            node, task, needs, process, mine, life_write, started=time.monotonic()
        )
        self._display.start(node.name, node.stage.kind)
        events.write(
            "stage_started", stage=node.name, uses=node.stage.kind, key=task.key, process=process.pid
        )

    def listen(self, events: Events) -> Iterator[Ended]:
        """Wait until one of them speaks or ends (half a second at most), take in what they say, yield those that ended."""
        # Also wakes up when a process ends without a word.
        handles = [r.connection for r in self._running.values()] + [
            r.process.sentinel for r in self._running.values()
        ]
        wait(handles, timeout=_LISTENING)
        for running in list(self._running.values()):
            # Asked before draining: what a process sent before its end is then surely in the pipe.
            alive = running.process.is_alive()
            try:
                while running.connection.poll():
                    self._take(running, running.connection.recv(), events)
            except (EOFError, OSError):
                alive = False
            if running.result is not None or not alive:
                yield self._end(running)

    def ask_to_stop(self) -> None:
        """Ask those that were not asked yet to stop at their next safe point."""
        asked = [running for running in self._running.values() if not running.asked]
        if not asked:
            return
        names = ", ".join(running.node.name for running in asked)
        self._display.say(f"stopping at the next safe point: {names}; Ctrl-C again to stop at once")
        for running in asked:
            running.asked = True
            with suppress(OSError):
                running.connection.send("stop")

    def kill_all(self) -> None:
        """End all of them at once."""
        for running in self._running.values():
            running.process.kill()
        for running in list(self._running.values()):
            running.process.join(timeout=_PARTING)
        self._running.clear()

    def _take(self, running: _Running, message: object, events: Events) -> None:
        name = running.node.name
        if isinstance(message, Update):
            self._display.update(name, message)
            if time.monotonic() - running.told >= _EVENT_EVERY:
                running.told = time.monotonic()
                events.write("stage_progress", stage=name, **vars(message))
        elif isinstance(message, Line):
            # A field of a stage's own that has one of these names must not end the run.
            events.write("log", **{**message.fields, "stage": name, "message": message.message})
        elif isinstance(message, Finished | Failed):
            running.result = message

    def _end(self, running: _Running) -> Ended:
        node = running.node
        running.process.join(timeout=_PARTING)
        # A library's thread can keep a process from its end; its work is told, so it is ended.
        running.process.kill()
        running.process.join(timeout=_PARTING)
        del self._running[node.name]
        running.connection.close()
        running.life.close()
        result = running.result or Failed(ended(running.process.exitcode or 0, running.task.log))
        return Ended(node, result, time.monotonic() - running.started)
