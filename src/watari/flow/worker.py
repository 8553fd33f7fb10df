"""The process that runs one stage: builds its artifact in the store's working folder and publishes it.

The parent talks to it through a pipe. It dies with its parent (a thread waits for the end of a second pipe that only the
parent holds open), it holds the artifact's build lock itself, and its standard output goes to the stage's log, so that
a library's chatter cannot break the progress display.
"""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.artifact.hashing import canonical_json
from watari.artifact.hub import pin
from watari.artifact.manifest import LOGS, InputEntry, Manifest, digest_of, list_files, now, read_manifest
from watari.artifact.outside import fingerprint, is_hub_id, is_url
from watari.artifact.params import Selection, StageParams, key_parameters, runtime_parameters
from watari.artifact.stage import InputArtifact, Inputs, Stage, StageResult
from watari.artifact.store import Store
from watari.artifact.versions import versions
from watari.errors import StageFailed, UserError, WatariError, no_space
from watari.flow.asking import in_run
from watari.peak import peak_memory

_EVERY = 0.1
NO_SPACE_MEND = "free some (`watari clean`), then run again"


@dataclass(frozen=True)
class Work:
    """One stage to run, as it is sent to the worker."""

    name: str
    module: str
    params: StageParams
    run: Path
    inputs: list[tuple[InputEntry, Path, Selection]]
    key: str
    outside: dict[str, str]
    store: Path
    log: Path
    force: bool = False


@dataclass(frozen=True)
class Update:
    """Sent up: how far the stage is."""

    done: float
    total: float | None
    unit: str
    note: str


@dataclass(frozen=True)
class Line:
    """Sent up: a line for the event log."""

    message: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """Sent up last: the artifact is in the store."""

    path: Path
    built: bool


@dataclass(frozen=True)
class Failed:
    """Sent up last: the stage could not finish. `told` is False for a defect, whose traceback is in the log."""

    error: WatariError
    told: bool = True


class PipeProgress:
    """A `Progress` that sends to the parent and hears from it when the user wants to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = 0.0
        self._stop = False

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Send how far the work is, at most ten times a second (the last step always)."""
        moment = time.monotonic()
        if moment - self._last >= _EVERY or (total is not None and done >= total):
            self._last = moment
            self._connection.send(Update(done, total, unit, note))

    def log(self, message: str, **fields: Any) -> None:
        """Send one line."""
        self._connection.send(Line(message, fields))

    def stop_requested(self) -> bool:
        """True once the parent has said so."""
        while not self._stop and self._connection.poll():
            self._stop = self._connection.recv() == "stop"
        return self._stop


def work(connection: Connection, life: Connection, task: Work) -> None:
    """Run one stage and send `Finished` or `Failed`. The entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(life,), daemon=True).start()
    try:
        _redirect_output(task.log)
        connection.send(_build(task, PipeProgress(connection)))
    except WatariError as error:
        connection.send(Failed(error))
    except BaseException as error:
        # On a full disk the log cannot be written either.
        with suppress(OSError):
            traceback.print_exc()
        connection.send(Failed(_explain(error, task), told=False))
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        connection.close()


def _build(task: Work, progress: PipeProgress) -> Finished:
    store = Store(task.store)
    stage: Stage = importlib.import_module(task.module).STAGE
    kind = stage.output_kind(task.params)
    with store.building(task.key) as folder:
        if not task.force and (found := store.find(kind, task.key)) is not None:
            # Another run has made it since; its build left us an empty folder.
            _empty(folder)
            folder.rmdir()
            return Finished(found, built=False)
        if stage.resumes:
            atomic.remove_leftovers(folder)
        else:
            _empty(folder)
        (folder / LOGS).mkdir(exist_ok=True)
        started, clock = now(), time.monotonic()
        params = in_run(task.params, task.run, task.name)
        pin(task.outside)  # what was pushed to a hub since the key was made is not read
        result = stage.run(params, _inputs(task), folder, progress)
        _unchanged_outside(task)
        files = list_files(folder)
        manifest = Manifest(
            kind=kind,
            uses=stage.kind,
            stage_version=stage.version,
            key=task.key,
            digest=digest_of(files),
            parameters=key_parameters(task.params, task.outside),
            runtime=runtime_parameters(task.params),
            inputs=[entry for entry, _, _ in task.inputs],
            outside=task.outside,
            files=files,
            metrics=_checked_metrics(result, stage),
            performance={**result.performance, "peak_rss_bytes": peak_memory()},
            versions=versions(),
            seed=task.params.seed,
            started=started,
            finished=now(),
            seconds=round(time.monotonic() - clock, 3),
        )
        return Finished(store.publish(folder, manifest), built=True)


def _inputs(task: Work) -> Inputs:
    found: dict[str, list[InputArtifact]] = {}
    for entry, path, selection in task.inputs:
        artifact = InputArtifact(entry.name, path, read_manifest(path), selection)
        found.setdefault(entry.parameter, []).append(artifact)
    return Inputs(found)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _checked_metrics(result: StageResult, stage: Stage) -> dict[str, Any]:
    try:
        canonical_json(result.metrics)
    except (TypeError, ValueError) as error:
        raise StageFailed(f"{stage.kind}: its metrics are not plain finite figures: {error}") from None
    return result.metrics


def _unchanged_outside(task: Work) -> None:
    for path, before in task.outside.items():
        if is_url(path) or is_hub_id(path):
            continue
        if fingerprint(path) != before:
            raise UserError(f"{path}: changed while stage '{task.name}' was reading it", "run again")


def _explain(error: BaseException, task: Work) -> WatariError:
    if no_space(error):
        return StageFailed(f"no space left on the disk that holds {task.store}", NO_SPACE_MEND)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return StageFailed(
            f"may not read or write {error.filename or task.store}", "check the permissions, then run again"
        )
    text = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text.lower():
        return StageFailed("out of memory", "lower `batch` or `sequence`, or run with --jobs 1")
    first = text.splitlines()[0] if text else ""
    described = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return StageFailed(described, f"the traceback is in {task.log}")


def _die_with_parent(life: Connection) -> None:
    try:
        life.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
