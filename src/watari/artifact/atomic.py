"""Files and folders that appear whole or not at all.

A file is written under a temporary name beside its place, synced, and renamed. `os.replace` is atomic on POSIX
within one file system; the folder is synced too, so that the rename itself survives a power cut.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from watari.errors import UserError

_TEMPORARY = re.compile(r"\..+\.[0-9]+\.tmp")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically; readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder that a person named, with those above it; one that is there will do.

    Raises:
        UserError: if it cannot be made: a file is in the way, nobody may write there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot be made: {said}", "name a folder that may be written") from None


def remove_leftovers(root: Path) -> None:
    """Remove what writers that were killed before their rename have left below `root`.

    Only for a folder that nobody else writes to: a stage that resumes would otherwise publish them as content.
    """
    for path in root.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write JSON atomically, keys in the order given, non-ASCII characters as themselves."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n")


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Flush every file below `root`, then every folder, so that a rename of `root` publishes whole files."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            descriptor = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


def publish_folder(temporary: Path, final: Path) -> None:
    """Rename a finished folder to its name. `final` must not exist."""
    sync_tree(temporary)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(final)
    sync_folder(final.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder if it is there (a working folder of ours; artifacts go only through `watari clean`)."""
    shutil.rmtree(path, ignore_errors=False) if path.exists() else None
