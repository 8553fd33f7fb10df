"""Run a recipe's graph: what is ready is started, what is cached is linked. When a stage fails, those that are
running go on to their end and nothing new is started.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from watari.artifact.manifest import Manifest, now
from watari.artifact.stage import InputArtifact, Inputs
from watari.errors import EXIT_INPUT, DryRun, Interrupted, StageFailed, UserError, WatariError, no_space
from watari.flow import memory
from watari.flow.asking import check_endpoints
from watari.flow.display import Display, duration, make_display, size
from watari.flow.folder import Events, RunFolder, register_run
from watari.flow.interrupts import Interrupts
from watari.flow.keys import fingerprints, input_entries, key_of, read_made
from watari.flow.plan import Chosen, check_reachable, plan
from watari.flow.processes import server
from watari.flow.report import copy_report
from watari.flow.running import Ended, RunningStages
from watari.flow.stages import TABLE, StageTable
from watari.flow.worker import NO_SPACE_MEND, Finished, Work
from watari.recipe.graph import Node, Recipe


@dataclass
class Outcome:
    """What a run came to."""

    built: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    seconds: float = 0.0
    report: Path | None = None


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
        self._running = RunningStages(self.display)
        self._keys: dict[str, tuple[str, dict[str, str]]] = {}
        self._interrupts = Interrupts()
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
                with self._interrupts.heard():
                    try:
                        self._loop(wanted, chosen.forced(self.recipe), events)
                    finally:
                        self._running.kill_all()
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
            if self._interrupts:
                self._running.ask_to_stop()
            if not self._running:
                break
            for ended in self._running.listen(events):
                failure = self._settle_ended(ended, events) or failure
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
        if node.name in self._keys and (not may_start or self._running.building(self._keys[node.name][0])):
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
        if not may_start or self._running.building(key):
            return False
        self._start(node, key, outside, forced, events)
        return True

    def _may_start(self, node: Node) -> bool:
        if not self._running:
            return True
        if len(self._running) >= self.jobs:
            return False
        return memory.fits(self._needs(node), self._running.needs())

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
        self._running.start(node, task, context, needs=self._needs(node), events=events)

    def _settle_ended(self, ended: Ended, events: Events) -> WatariError | None:
        """Link what a stage has made; return its failure if it has one that is not the user's wish to stop."""
        node, result = ended.node, ended.result
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
            seconds=round(ended.seconds, 3),
        )
        if isinstance(result.error, DryRun):
            return DryRun(f"stage '{node.name}': {result.error.message}")
        if stopped:
            self._interrupts.note()
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
