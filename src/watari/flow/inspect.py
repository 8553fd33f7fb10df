"""Looking at runs: their state, whether their artifacts are whole, and how two of them differ."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact.manifest import Manifest
from watari.artifact.store import Fault, held, verify
from watari.errors import UserError
from watari.flow.folder import linked_manifest, read_events, read_lock


@dataclass(frozen=True)
class StageState:
    """One stage of a run as it stands.

    Args:
        state: done, running, failed, interrupted, waiting, damaged (its manifest was edited or cannot be read) or
            missing (the store no longer has its artifact).
        seconds: How long it took to make.
        artifact: Where its artifact lies, relative to the run's folder.
    """

    name: str
    uses: str
    state: str
    seconds: float | None
    artifact: str | None
    digest: str | None
    metrics: dict[str, Any]
    error: str | None = None


def show(root: Path) -> list[StageState]:
    """Return the state of every stage of a run, in the order of its recipe.

    Raises:
        UserError: if `root` is no run folder.
    """
    lock = read_lock(root)
    last: dict[str, dict[str, Any]] = {}
    for event in read_events(root):
        if str(event.get("event", "")).startswith("stage_") and "stage" in event:
            last[event["stage"]] = event
    running = held(root / ".lock")
    found = []
    for name, body in lock["stages"].items():
        error: str | None = None
        manifest: Manifest | None = None
        try:
            manifest = linked_manifest(root, name)
        except UserError as problem:
            error = problem.message
        event = last.get(name, {})
        state = "done" if manifest is not None else _state(event.get("event"), running)
        link = root / "stages" / name
        if error is not None:
            state = "damaged"
        elif link.is_symlink() and not link.exists():
            state, error = "missing", f"{link} points to {link.readlink()}, which is not there"
        elif state == "failed":
            error = event.get("error")
        found.append(
            StageState(
                name=name,
                uses=body["uses"],
                state=state,
                seconds=manifest.seconds if manifest else None,
                artifact=os.path.relpath(link.resolve(), root.resolve()) if manifest else None,
                digest=manifest.digest if manifest else None,
                metrics=manifest.metrics if manifest else {},
                error=error,
            )
        )
    return found


def _state(event: str | None, running: bool) -> str:
    if event in ("stage_started", "stage_progress"):
        return "running" if running else "interrupted"
    if event == "stage_failed":
        return "failed"
    if event == "stage_interrupted":
        return "interrupted"
    return "waiting"


@dataclass(frozen=True)
class Verified:
    """What a verification found."""

    checked: int
    missing: list[str]
    faults: list[Fault]


def verify_run(root: Path) -> Verified:
    """Re-hash every artifact of a run, and check that each was made from the inputs that are there now.

    Raises:
        UserError: if `root` is no run folder.
    """
    lock = read_lock(root)
    faults: list[Fault] = []
    missing = []
    digests: dict[str, str] = {}
    checked = 0
    for name, body in lock["stages"].items():
        link = root / "stages" / name
        if link.is_symlink() and not link.exists():
            faults.append(Fault(str(link), f"points to {link.readlink()}, which is not there"))
            continue
        if not link.is_dir():
            missing.append(name)
            continue
        found = verify(link.resolve())
        faults += found
        checked += 1
        if found:
            continue
        manifest = linked_manifest(root, name)
        assert manifest is not None
        digests[name] = manifest.digest
        named = {source for sources in body.get("inputs", {}).values() for source in sources}
        for entry in manifest.inputs:
            if entry.name in named and digests.get(entry.name, entry.digest) != entry.digest:
                faults.append(
                    Fault(str(link), f"was made from another '{entry.name}' than the one that is there")
                )
    return Verified(checked, missing, faults)


@dataclass(frozen=True)
class StageDifference:
    """How one stage differs between two runs; absent sides are None."""

    name: str
    state: str
    digest: tuple[str | None, str | None]
    parameters: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[Any, Any]]


def diff(left: Path, right: Path) -> list[StageDifference]:
    """Return every stage of two runs with the parameters and metrics in which they differ.

    `state` is same (equal digests), changed, only left, only right, or not made.

    Raises:
        UserError: if either is no run folder.
    """
    locks = read_lock(left), read_lock(right)
    names = list(dict.fromkeys([*locks[0]["stages"], *locks[1]["stages"]]))
    found = []
    for name in names:
        bodies = [lock["stages"].get(name) for lock in locks]
        manifests = [
            linked_manifest(root, name) if body is not None else None
            for root, body in zip((left, right), bodies, strict=True)
        ]
        digests = tuple(m.digest if m else None for m in manifests)
        if bodies[0] is None or bodies[1] is None:
            state = "only left" if bodies[1] is None else "only right"
        elif None in digests:
            state = "not made"
        else:
            state = "same" if digests[0] == digests[1] else "changed"
        parameters = [_flat(body["parameters"]) if body else {} for body in bodies]
        metrics = [_flat(m.metrics) if m else {} for m in manifests]
        found.append(
            StageDifference(
                name, state, (digests[0], digests[1]), _differing(*parameters), _differing(*metrics)
            )
        )
    return found


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, item in value.items():
            found.update(_flat(item, f"{path}.{key}" if path else str(key)))
        return found
    return {path: value}


def _differing(left: dict[str, Any], right: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = list(dict.fromkeys([*left, *right]))
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}
