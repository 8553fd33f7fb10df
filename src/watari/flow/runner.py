"""Run a recipe's graph: what is ready is started, what is cached is linked. When a stage fails, those that are
running go on to their end and nothing new is started.

Each stage runs in a process of its own (forked from a server process that has imported the heavy libraries once), so
that its memory is given back, a crash of it is not ours, and independent stages can run side by side.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from watari.artifact.manifest import Manifest, now
from watari.artifact.stage import InputArtifact, Inputs
from watari.errors import EXIT_INPUT, DryRun, Interrupted, StageFailed, UserError, WatariError, no_space
from watari.flow import memory
from watari.flow.asking import check_endpoints
from watari.flow.display import Display, duration, make_display, size
from watari.flow.folder import Events, RunFolder, register_run
from watari.flow.keys import fingerprints, input_entries, key_of, read_made
from watari.flow.plan import Chosen, check_reachable, plan
from watari.flow.processes import ended, server
from watari.flow.report import copy_report
from watari.flow.stages import TABLE, StageTable
from watari.flow.worker import NO_SPACE_MEND, Failed, Finished, Line, Update, Work, work
from watari.recipe.graph import Node, Recipe

_EVENT_EVERY = 5.0
_PARTING = 10.0
"""Seconds that a process gets between its last word and its end."""


@dataclass
class Outcome:
    """What a run came to."""

    built: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    seconds: float = 0.0
    report: Path | None = None


@dataclass
class _Running:
    node: Node
    process: BaseProcess
    connection: Connection
    life: Connection
    started: float
    needs: int
    key: str
    result: Finished | Failed | None = None
    told: float = 0.0
    asked: bool = False


class Runner:
    """One run of one recipe in one folder.

    Args:
        recipe: The checked recipe.
        folder: Where the run is recorded.
        jobs: How many stages may run side by side.
        display: Shows progress.
        table: Where stage kinds come from.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        *,
        jobs: int = 1,
        display: Display | None = None,
        table: StageTable = TABLE,
    ) -> None:
        self.recipe, self.folder, self.store, self.table = recipe, folder, folder.store, table
        self.jobs = jobs
        self.display = display or make_display()
        self.made: dict[str, Manifest] = {}
        self._running: dict[str, _Running] = {}
        self._keys: dict[str, tuple[str, dict[str, str]]] = {}
        self._interrupts = 0
        self._outcome = Outcome()

    def run(self, chosen: Chosen | None = None) -> Outcome:
        """Bring about the chosen stages (default: all) and return what was done.

        Raises:
            UserError: if the recipe, an outside file or an artifact is at fault (before anything is started, where
                that can be seen), or the folder is in use.
            StageFailed: if a stage failed; all that did not depend on a running or failed one was left as it was.
            Interrupted: if the user stopped the run.
        """
        chosen = chosen or Chosen()
        try:
            with self.folder.locked():
                self._run(chosen)
        except OSError as error:
            # Of this process's own files; a stage's are told by its worker.
            if not no_space(error):
                raise
            raise StageFailed(
                f"no space left on the disk that holds {self.folder.root}", NO_SPACE_MEND
            ) from None
        finally:
            self.display.close()
        return self._outcome

    def _run(self, chosen: Chosen) -> None:
        planned = plan(self.recipe, self.store, chosen)
        wanted = chosen.nodes(self.recipe)
        check_reachable(self.recipe, planned, wanted)
        check_endpoints(self.recipe, planned)
        self._room()
        register_run(self.store, self.folder.root)
        self.folder.drop_stale_links(planned)
        self.folder.write_lock(self.recipe)
        begin, started = time.monotonic(), now()
        with closing(Events(self.folder.root)) as events:
            events.write("run_started", recipe=self.recipe.name, stages=len(wanted), process=os.getpid())
            try:
                with self._signals():
                    try:
                        self._loop(wanted, chosen.forced(self.recipe), events)
                    finally:
                        self._kill_all()
                    self._report(started, events)
            except WatariError as error:
                kind = "run_interrupted" if isinstance(error, Interrupted) else "run_failed"
                events.write(kind, error=str(error))
                raise
            self._outcome.seconds = time.monotonic() - begin
            events.write("run_finished", seconds=round(self._outcome.seconds, 3), built=self._outcome.built)

    def _report(self, started: str, events: Events) -> None:
        """Copy the report to the run's folder. A failure of it is told; the run has done its work all the same."""
        try:
            self._outcome.report = copy_report(
                self.folder, self.recipe, self.made, self._outcome.built, started
            )
        except Exception as error:
            self.display.say(f"the report could not be copied to the run's folder: {error}")
            events.write("log", message="the report could not be copied", error=str(error))

    def _room(self) -> None:
        """Make the store's folder, so that a read-only or full disk is told before any work."""
        try:
            self.store.root.mkdir(parents=True, exist_ok=True)
            probe = self.store.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"watari")
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"{self.store.root}: cannot be written: {error.strerror}", "give another --store"
            ) from None

    def _loop(self, wanted: set[str], forced: set[str], events: Events) -> None:
        waiting = list(self.recipe.nodes.values())
        failure: WatariError | None = None
        while True:
            if failure is None and not self._interrupts:
                waiting, failure = self._start_ready(waiting, wanted, forced, events)
            self._ask_to_stop()
            if not self._running:
                break
            failure = self._listen(events) or failure
        if self._interrupts:
            raise Interrupted("stopped; what was finished is kept", "run the same command to go on")
        if failure is not None:
            raise failure

    def _start_ready(
        self, waiting: list[Node], wanted: set[str], forced: set[str], events: Events
    ) -> tuple[list[Node], WatariError | None]:
        """Link what is cached, start what is ready; return what still waits, and the failure of one that cannot start.

        One pass is enough: `waiting` is in topological order, so what a link makes ready comes later in it.
        """
        left: list[Node] = []
        for position, node in enumerate(waiting):
            if self._interrupts:
                return left + waiting[position:], None
            if any(source.node not in self.made for source in node.sources):
                left.append(node)
                continue
            try:
                if not self._settle(node, wanted, forced, events):
                    left.append(node)
            except WatariError as error:
                self.display.end(node.name, "failed", error.message)
                events.write(
                    "stage_failed", stage=node.name, error=error.message, mend=error.mend, seconds=0.0
                )
                return left + waiting[position + 1 :], error
        return left, None

    def _settle(self, node: Node, wanted: set[str], forced: set[str], events: Events) -> bool:
        """Link or start a node whose inputs are there; return False if it has to wait for room.

        Outside files are hashed when a node is first looked at and again when it starts, not while it waits.
        """
        may_start = self._may_start(node)
        if node.name in self._keys:
            building = {running.key for running in self._running.values()}
            if not may_start or self._keys[node.name][0] in building:
                return False
        try:
            outside = fingerprints(node)
        except UserError:
            if node.name in wanted:
                raise
            return True
        key = key_of(node, input_entries(node, self.made), outside)
        self._keys[node.name] = key, outside
        if self.store.find(node.kind, key) is not None and node.name not in forced:
            self._accept(node, read_made(self.store, node, key), cached=True, events=events)
            return True
        if node.name not in wanted:
            return True
        if not may_start or any(running.key == key for running in self._running.values()):
            return False
        self._start(node, key, outside, forced, events)
        return True

    def _may_start(self, node: Node) -> bool:
        if not self._running:
            return True
        if len(self._running) >= self.jobs:
            return False
        return memory.fits(self._needs(node), sum(r.needs for r in self._running.values()))

    def _needs(self, node: Node) -> int:
        if node.stage.memory is None:
            return memory.DEFAULT
        return node.stage.memory(node.params, self._inputs(node))

    def _inputs(self, node: Node) -> Inputs:
        found: dict[str, list[InputArtifact]] = {}
        for source in node.sources:
            manifest = self.made[source.node]
            path = self.store.path(manifest.kind, manifest.key)
            found.setdefault(source.parameter, []).append(
                InputArtifact(source.node, path, manifest, source.selection)
            )
        return Inputs(found)

    def _start(self, node: Node, key: str, outside: dict[str, str], forced: set[str], events: Events) -> None:
        context = server(node.stage.kind for node in self.recipe.nodes.values())
        mine, theirs = context.Pipe()
        life_read, life_write = context.Pipe(duplex=False)
        entries = input_entries(node, self.made)
        task = Work(
            name=node.name,
            module=self.table.module(node.stage.kind),
            params=node.params,
            run=self.folder.root,
            inputs=[
                (entry, self.store.path(entry.kind, entry.key), source.selection)
                for entry, source in zip(entries, node.sources, strict=True)
            ],
            key=key,
            outside=outside,
            store=self.store.root,
            log=self.folder.log_path(node.name),
            force=node.name in forced,
        )
        process = context.Process(target=work, args=(theirs, life_read, task), name=f"watari-{node.name}")
        process.start()
        theirs.close()
        life_read.close()
        self._running[node.name] = _Running(
            node, process, mine, life_write, time.monotonic(), self._needs(node), key
        )
        self.display.start(node.name, node.stage.kind)
        events.write("stage_started", stage=node.name, uses=node.stage.kind, key=key, process=process.pid)

    def _listen(self, events: Events) -> WatariError | None:
        """Take in what the running stages say; return the failure of one that ended, if any."""
        failure = None
        # Also wakes up when a process ends without a word.
        handles = [r.connection for r in self._running.values()] + [
            r.process.sentinel for r in self._running.values()
        ]
        wait(handles, timeout=0.5)
        for running in list(self._running.values()):
            # Asked before draining: what a process sent before its end is then surely in the pipe.
            alive = running.process.is_alive()
            try:
                while running.connection.poll():
                    self._take(running, running.connection.recv(), events)
            except (EOFError, OSError):
                alive = False
            if running.result is not None or not alive:
                failure = self._end(running, events) or failure
        return failure

    def _take(self, running: _Running, message: object, events: Events) -> None:
        name = running.node.name
        if isinstance(message, Update):
            self.display.update(name, message)
            if time.monotonic() - running.told >= _EVENT_EVERY:
                running.told = time.monotonic()
                events.write("stage_progress", stage=name, **vars(message))
        elif isinstance(message, Line):
            # A field of a stage's own that has one of these names must not end the run.
            events.write("log", **{**message.fields, "stage": name, "message": message.message})
        elif isinstance(message, Finished | Failed):
            running.result = message

    def _end(self, running: _Running, events: Events) -> WatariError | None:
        node = running.node
        running.process.join(timeout=_PARTING)
        # A library's thread can keep a process from its end; its work is told, so it is ended.
        running.process.kill()
        running.process.join(timeout=_PARTING)
        del self._running[node.name]
        running.connection.close()
        running.life.close()
        result = running.result
        if result is None:
            result = Failed(ended(running.process.exitcode or 0, self.folder.log_path(node.name)))
        if isinstance(result, Finished):
            manifest = read_made(self.store, node, result.path.name)
            self._accept(node, manifest, cached=not result.built, events=events)
            return None
        stopped = isinstance(result.error, Interrupted)
        self.display.end(
            node.name, "stopped" if stopped else "failed", "" if stopped else result.error.message
        )
        events.write(
            "stage_interrupted" if stopped else "stage_failed",
            stage=node.name,
            error=result.error.message,
            mend=result.error.mend,
            seconds=round(time.monotonic() - running.started, 3),
        )
        if isinstance(result.error, DryRun):
            return DryRun(f"stage '{node.name}': {result.error.message}")
        if stopped:
            self._interrupts = max(self._interrupts, 1)
            return None
        told = f"stage '{node.name}': {result.error.message}"
        made = UserError if result.error.exit_code == EXIT_INPUT else StageFailed
        return made(told, result.error.mend)

    def _accept(self, node: Node, manifest: Manifest, *, cached: bool, events: Events) -> None:
        self.made[node.name] = manifest
        path = self.store.path(manifest.kind, manifest.key)
        self.folder.set_link(node.name, path)
        (self._outcome.cached if cached else self._outcome.built).append(node.name)
        events.write(
            "stage_cached" if cached else "stage_finished",
            stage=node.name,
            key=manifest.key,
            digest=manifest.digest,
            seconds=manifest.seconds,
        )
        detail = "" if cached else f"{duration(manifest.seconds)}, {size(manifest.bytes)}"
        self.display.end(node.name, "cached" if cached else "done", detail)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """First Ctrl-C (or SIGTERM): stages stop at their next safe point. Second: at once."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1
            if self._interrupts == 2:
                raise Interrupted("stopped at once", "run the same command to go on")

        before: dict[int, Any] = {}
        try:
            for number in (int(signal.SIGINT), int(signal.SIGTERM)):
                before[number] = signal.signal(number, on_signal)
        except ValueError:
            # Not in the main thread (a library's use): signals are the caller's business.
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask_to_stop(self) -> None:
        asked = [r for r in self._running.values() if self._interrupts and not r.asked]
        if not asked:
            return
        names = ", ".join(running.node.name for running in asked)
        self.display.say(f"stopping at the next safe point: {names}; Ctrl-C again to stop at once")
        for running in asked:
            running.asked = True
            with suppress(OSError):
                running.connection.send("stop")

    def _kill_all(self) -> None:
        for running in self._running.values():
            running.process.kill()
        for running in list(self._running.values()):
            running.process.join(timeout=10)
        self._running.clear()
