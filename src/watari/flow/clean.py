"""Removing artifacts that no run refers to. Nothing goes without being asked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from watari.artifact.manifest import read_manifest
from watari.artifact.store import Store, locked
from watari.errors import UserError


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
    roots = [Path(entry.read_text("utf-8").strip()) for entry in sorted(folder.iterdir())]
    return [root for root in roots if (root / "stages").is_dir()]


def unused(store: Store) -> list[Unused]:
    """Return what may be removed: artifacts that no run links to and none that is linked was made from, replaced
    ones, and working folders that no process builds in."""
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
        found += [Unused(path, _size(path), "replaced by --force") for path in sorted(replaced.iterdir())]
    partial = store.root / "partial"
    if partial.is_dir():
        for path in sorted(p for p in partial.iterdir() if p.is_dir()):
            with locked(path.with_name(f"{path.name}.lock")) as free:
                if free:
                    found.append(Unused(path, _size(path), "unfinished work of an interrupted run"))
    return found


def remove(items: list[Unused]) -> int:
    """Remove what `unused` returned and was agreed to; return the bytes freed."""
    for item in items:
        shutil.rmtree(item.path)
        lock = item.path.with_name(f"{item.path.name}.lock")
        lock.unlink(missing_ok=True)
    return sum(item.bytes for item in items)


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
