"""One movable folder of a run and its artifacts."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import yaml

from watari.artifact import atomic
from watari.artifact.manifest import read_manifest
from watari.artifact.store import Store, held, verify
from watari.errors import CheckFailed, StageFailed, UserError, no_space
from watari.flow.asking import LEDGER
from watari.flow.folder import LOCK_FILE, LOCK_HEAD, read_lock, register_run

_KEPT = ("events.jsonl", "report.html")
_STORE = ".store"


@dataclass(frozen=True)
class Packed:
    """What a packed folder holds.

    Args:
        artifacts: How many artifacts were copied.
        bytes: Size of their content files.
        missing: Stages that are not made yet.
    """

    artifacts: int
    bytes: int
    missing: list[str]


def pack(run: Path, out: Path) -> Packed:
    """Copy a run with every artifact that it links to into `out`, and check every copy by its hashes.

    `out` is a run folder with a store of its own inside (`out/.store`), so that `show`, `verify`, `chat` and `run` work
    on it wherever it is moved. It appears whole or not at all.

    Raises:
        UserError: if `run` is no run folder or a run is going on in it, or `out` exists.
        CheckFailed: if an artifact is damaged.
        StageFailed: if the disk is full.
    """
    lock = read_lock(run)
    if held(run / ".lock"):
        raise UserError(f"{run}: a run is going on in this folder", "wait for it, then pack")
    if out.exists():
        raise UserError(f"{out}: is there already", "give a name that is free")
    partial = out.absolute().with_name(f".{out.name}.packing")
    try:
        atomic.remove_tree(partial)
        packed = _fill(run, partial, lock)
        atomic.publish_folder(partial, out.absolute())
    except OSError as error:
        if no_space(error):
            raise StageFailed(
                f"no space left on the disk that holds {out}", "free some, then pack again"
            ) from None
        raise UserError(f"{error.filename or out}: {error.strerror}", "give another place") from None
    finally:
        atomic.remove_tree(partial)
    return packed


def _fill(run: Path, partial: Path, lock: dict[str, object]) -> Packed:
    (partial / "stages").mkdir(parents=True)
    store = Store(partial / _STORE)
    stages = lock["stages"]
    assert isinstance(stages, dict)
    copied: dict[str, int] = {}
    missing = []
    for name in stages:
        link = run / "stages" / name
        if not link.is_dir():
            missing.append(name)
            continue
        manifest = read_manifest(link)
        path = store.path(manifest.kind, manifest.key)
        if manifest.key not in copied:
            shutil.copytree(link.resolve(), path)
            for fault in verify(path):
                raise CheckFailed(
                    f"stage '{name}': {link / Path(fault.path).relative_to(path)}: {fault.problem}",
                    f"make it again with --force {name.split('@')[0]}, then pack",
                )
            copied[manifest.key] = manifest.bytes
        (partial / "stages" / name).symlink_to(
            os.path.relpath(path, partial / "stages"), target_is_directory=True
        )
    for kept in _KEPT:
        if (run / kept).is_file():
            shutil.copy2(run / kept, partial / kept)
    if (run / LEDGER).is_file():
        _copy_ledger(run / LEDGER, partial / LEDGER)
    if (run / "logs").is_dir():
        shutil.copytree(run / "logs", partial / "logs")
    body = yaml.safe_dump({**lock, "store": _STORE}, sort_keys=False, allow_unicode=True, width=110)
    atomic.write_text(partial / LOCK_FILE, LOCK_HEAD + body)
    register_run(store, partial)
    return Packed(len(copied), sum(copied.values()), missing)


def _copy_ledger(ledger: Path, copy: Path) -> None:
    """Copy a ledger whole: after a kill, its last answers may stand in the write-ahead log beside it."""
    with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
