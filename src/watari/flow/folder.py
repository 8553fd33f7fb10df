"""A run's folder: the resolved recipe, links into the store, the event log, the lock.

RUN/recipe.lock.yaml     everything resolved
RUN/stages/<stage>       link to the stage's artifact in the store
RUN/events.jsonl         one line an event, appended by every run
RUN/logs/<stage>.log     what a stage printed, and tracebacks
RUN/report.html          the report, with the times of the run
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from watari.artifact import atomic
from watari.artifact.hashing import hash_text
from watari.artifact.manifest import Manifest, now, read_manifest
from watari.artifact.store import Store, locked
from watari.errors import UserError
from watari.flow.plan import Plan
from watari.recipe.graph import Node, Recipe

LOCK_FILE = "recipe.lock.yaml"
LOCK_HEAD = "# Written by `watari run`: the recipe with everything resolved.\n"


class RunFolder:
    """The folder of one run.

    Args:
        root: The folder; made by the first run.
        store: Where its artifacts lie.
    """

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root.absolute()
        self.store = store

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            UserError: if another run holds it.
        """
        path = self.root / ".lock"
        with ExitStack() as stack:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                free = stack.enter_context(locked(path, wait=1.0))
                holder = path.read_text("utf-8").strip() or "?"
                if free:
                    path.write_text(f"{os.getpid()}\n", "utf-8")
            except OSError as error:
                raise UserError(
                    f"{self.root}: cannot be written: {error.strerror}", "give another --out"
                ) from None
            if not free:
                raise UserError(
                    f"{self.root}: another `watari run` (process {holder}) is using this folder",
                    "wait for it, stop it, or give another --out",
                )
            yield

    def write_lock(self, recipe: Recipe) -> None:
        """Write `recipe.lock.yaml`: every stage with every parameter, defaults filled in."""
        stages = {
            node.name: {
                "uses": node.stage.kind,
                "version": node.stage.version,
                "kind": node.kind.value,
                **({"dataset": True} if node.dataset else {}),
                "inputs": _inputs(node),
                "parameters": node.params.model_dump(mode="json", exclude_none=True),
            }
            for node in recipe.nodes.values()
        }
        body = {
            "name": recipe.name,
            "description": recipe.description,
            "language": recipe.language,
            "seed": recipe.seed,
            "store": os.path.relpath(self.store.root, self.root),
            "endpoints": {name: e.model_dump(mode="json") for name, e in recipe.endpoints.items()},
            "stages": stages,
        }
        text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110)
        atomic.write_text(self.root / LOCK_FILE, LOCK_HEAD + text)

    def link(self, name: str) -> Path:
        """Return the place of a stage's link."""
        return self.root / "stages" / name

    def set_link(self, name: str, artifact: Path) -> None:
        """Point a stage's link to its artifact, atomically."""
        link = self.link(name)
        link.parent.mkdir(parents=True, exist_ok=True)
        temporary = link.with_name(f".{name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(os.path.relpath(artifact, link.parent), target_is_directory=True)
        temporary.replace(link)

    def drop_stale_links(self, planned: Plan) -> None:
        """Remove the links of stages that the recipe no longer has, or that are not what it now says.

        Artifacts are never touched. A stage whose key cannot be known for want of an outside file keeps its link.
        """
        folder = self.root / "stages"
        if not folder.is_dir():
            return
        stale: set[str] = set()
        for stage in planned.stages:
            link = self.link(stage.name)
            linked = link.readlink().name if link.is_symlink() else None
            if stage.key is None:
                changed = any(name in stale for name in stage.inputs)
            else:
                changed = linked != stage.key
            if changed:
                stale.add(stage.name)
        kept = {stage.name for stage in planned.stages} - stale
        for link in folder.iterdir():
            if link.is_symlink() and link.name not in kept:
                link.unlink()

    def log_path(self, name: str) -> Path:
        """Return where a stage's own output goes."""
        return self.root / "logs" / f"{name}.log"


def _inputs(node: Node) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source in node.sources:
        found.setdefault(source.parameter, []).append(source.node)
    return found


class Events:
    """The append-only event log of a run folder: one JSON object a line, written through at once."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        path = root / "events.jsonl"
        self._file = path.open("a", encoding="utf-8")
        with path.open("rb") as before:
            if before.seek(0, os.SEEK_END) and before.seek(-1, os.SEEK_END) >= 0 and before.read(1) != b"\n":
                # A line that a crash or a full disk cut off must not swallow the next one.
                self._file.write("\n")

    def write(self, event: str, **fields: Any) -> None:
        """Append one event with the time."""
        line = json.dumps({"time": now(), "event": event, **fields}, ensure_ascii=False, default=str)
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(root: Path) -> list[dict[str, Any]]:
    """Return every event of a run folder; a line cut off by a crash is passed over."""
    path = root / "events.jsonl"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def read_lock(root: Path) -> dict[str, Any]:
    """Return `recipe.lock.yaml` of a run folder.

    Raises:
        UserError: if this is no run folder.
    """
    path = root / LOCK_FILE
    if not path.is_file():
        raise UserError(f"{root}: not the folder of a run (no {LOCK_FILE})")
    try:
        body = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(body, dict) or not isinstance(body.get("stages"), dict):
        raise UserError(f"{path}: not a resolved recipe")
    return body


def linked_manifest(root: Path, name: str) -> Manifest | None:
    """Return the manifest of a stage's artifact, or None if the stage has none yet."""
    link = root / "stages" / name
    return read_manifest(link) if link.is_dir() else None


def default_store(root: Path, given: Path | None = None) -> Path:
    """Return the store of a run: as given, WATARI_STORE, the one it was run with before (if that is still there), or
    `.store` beside the run's folder."""
    if given is not None:
        return given
    if variable := os.environ.get("WATARI_STORE"):
        return Path(variable).expanduser()
    if (root / LOCK_FILE).is_file():
        before = Path(os.path.normpath(root.absolute() / str(read_lock(root).get("store", "."))))
        if (before / "runs").is_dir():
            return before
    return root.absolute().parent / ".store"


def register_run(store: Store, root: Path) -> None:
    """Note in the store that this run folder refers to it, so that `watari clean` knows what is in use.

    The place is noted relative to the store: where both are moved together, it still holds.
    """
    folder = store.root / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    place = os.path.relpath(root.absolute(), store.root)
    atomic.write_text(folder / hash_text(place), f"{place}\n")
