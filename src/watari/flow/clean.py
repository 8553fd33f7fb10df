"""Removing artifacts that no run refers to. Nothing goes without being asked."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from watari.artifact.manifest import read_manifest
from watari.artifact.store import Store, held
from watari.errors import UserError

_GOING = ".removed"


@dataclass(frozen=True)
class Unused:
    """One folder of the store that no run refers to, and why it is there."""

    path: Path
    bytes: int
    why: str


def runs_of(store: Store) -> list[Path]:
    """Return the folders of the runs that use this store and still exist."""
    folder = store.root / "runs"
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    roots = [Path(os.path.normpath(store.root / entry.read_text("utf-8").strip())) for entry in entries]
    return [root for root in roots if (root / "stages").is_dir()]


def unused(store: Store) -> list[Unused]:
    """Return what may be removed: artifacts that no run links to and none that is linked was made from, replaced
    ones, and working folders that no process builds in.

    Raises:
        UserError: if there is no store, or a run is using it: what it will refer to is not known yet.
    """
    if not store.root.is_dir():
        raise UserError(
            f"{store.root}: no store here", "give the folder that holds the artifacts with --store"
        )
    for root in runs_of(store):
        if held(root / ".lock"):
            raise UserError(f"{root}: a run is using this store now", "wait for it, then clean")
    keys: set[str] = set()
    waiting = [link.resolve() for root in runs_of(store) for link in (root / "stages").iterdir()]
    by_key = {path.name: path for path in store.artifacts()}
    while waiting:
        path = waiting.pop()
        if path.name in keys or not path.is_dir():
            continue
        keys.add(path.name)
        try:
            entries = read_manifest(path).inputs
        except UserError:
            # A damaged artifact that is in use is for `watari verify` to tell; it is not ours to remove.
            continue
        waiting += [by_key[entry.key] for entry in entries if entry.key in by_key]
    found = [
        Unused(path, _size(path), "no run refers to it")
        for path in store.artifacts()
        if path.name not in keys
    ]
    replaced = store.root / "replaced"
    if replaced.is_dir():
        found += [Unused(path, _size(path), "replaced by --force") for path in _folders(replaced)]
    partial = store.root / "partial"
    if partial.is_dir():
        for path in _folders(partial):
            if not held(path.with_name(f"{path.name}.lock")):
                found.append(Unused(path, _size(path), "unfinished work of an interrupted run"))
    cut_short = sorted(store.root.glob(f"*/.*{_GOING}"))
    return found + [Unused(path, _size(path), "a removal that was cut short") for path in cut_short]


def remove(items: list[Unused]) -> int:
    """Remove what `unused` returned and was agreed to; return the bytes freed."""
    for item in items:
        # Renamed first: a removal that is cut short must not leave a part of an artifact under its name.
        away = item.path
        if not away.name.endswith(_GOING):
            away = item.path.rename(item.path.with_name(f".{item.path.name}{_GOING}"))
        shutil.rmtree(away)
        item.path.with_name(f"{item.path.name}.lock").unlink(missing_ok=True)
    return sum(item.bytes for item in items)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
