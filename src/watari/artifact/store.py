"""The store: every finished artifact under `<kind>/<key>/`, shared by all runs and matrix variants.

A folder that has its name is complete: an artifact is built under `partial/<key>/` and renamed when whole. The
builder holds an exclusive lock on `partial/<key>.lock` for as long as it lives, so that two runs never build the same
artifact at once; the kernel drops the lock when the process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.manifest import (
    MANIFEST,
    WORK,
    Manifest,
    digest_of,
    list_files,
    read_manifest,
    write_manifest,
)
from watari.errors import StageFailed, UserError


@dataclass(frozen=True)
class Fault:
    """One thing that `watari verify` found wrong."""

    path: str
    problem: str


class Store:
    """A folder of artifacts.

    Args:
        root: Made when the first artifact is built.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def path(self, kind: Kind, key: str) -> Path:
        """Return where the artifact with this key lies, or would lie."""
        return self.root / kind.value / key

    def find(self, kind: Kind, key: str) -> Path | None:
        """Return the folder of a finished artifact, or None."""
        path = self.path(kind, key)
        return path if path.is_dir() else None

    def read(self, kind: Kind, key: str) -> Manifest:
        """Return the manifest of a finished artifact, after the cheap checks: seal, key, names and sizes of files.

        Raises:
            UserError: if it was edited or damaged.
        """
        path = self.path(kind, key)
        manifest = read_manifest(path)
        mend = "run `watari verify` to see what is damaged, or `watari run --force STAGE` to make it again"
        if manifest.key != key or manifest.kind != kind:
            raise UserError(
                f"{path}: the manifest belongs to another artifact ({manifest.kind} {manifest.key})", mend
            )
        for entry in manifest.files:
            file = path / entry.path
            size = file.stat().st_size if file.is_file() else None
            if size != entry.size:
                state = "is missing" if size is None else f"has {size:,} bytes instead of {entry.size:,}"
                raise UserError(f"{file}: {state}", mend)
        return manifest

    def partial(self, key: str) -> Path:
        """Return where the artifact with this key is being built."""
        return self.root / "partial" / key

    @contextmanager
    def building(self, key: str, *, wait: float = 10.0) -> Iterator[Path]:
        """Hold the right to build `key` and yield its working folder (which may hold an interrupted attempt).

        Args:
            key: The artifact's key.
            wait: Seconds to wait for another process; one that was just killed needs a moment to be gone.

        Raises:
            StageFailed: if another process builds it still.
        """
        folder = self.partial(key)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{key}.lock"), wait=wait) as held:
            if not held:
                raise StageFailed(
                    f"another run is building artifact {key} now", "wait for it, then run again"
                )
            # The other builder may have published and cleared it between our mkdir and the lock.
            folder.mkdir(parents=True, exist_ok=True)
            yield folder

    def publish(self, folder: Path, manifest: Manifest) -> Path:
        """Write the manifest into a finished working folder, check it, and give it its name.

        An artifact that already has this name (`--force`) is moved to `replaced/` and stays there until `watari clean`
        is asked to remove it.
        """
        if (folder / WORK).exists():
            atomic.remove_tree(folder / WORK)
        write_manifest(folder, manifest)
        final = self.path(manifest.kind, manifest.key)
        if final.exists():
            aside = self.root / "replaced" / f"{manifest.key}-{time.time_ns()}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            final.rename(aside)
        atomic.publish_folder(folder, final)
        folder.with_name(f"{manifest.key}.lock").unlink(missing_ok=True)
        return final

    def artifacts(self) -> list[Path]:
        """Return the folder of every finished artifact, sorted."""
        found: list[Path] = []
        for kind in Kind:
            folder = self.root / kind.value
            if folder.is_dir():
                found += sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        return found


def verify(folder: Path) -> list[Fault]:
    """Re-hash every file of an artifact and return what differs from its manifest (nothing, if it is sound)."""
    try:
        manifest = read_manifest(folder)
    except UserError as error:
        return [Fault(str(folder / MANIFEST), error.message.split(": ", 1)[-1])]
    faults = []
    if folder.name != manifest.key:
        faults.append(Fault(str(folder / MANIFEST), f"belongs to another artifact ({manifest.key})"))
    stated = {entry.path: entry for entry in manifest.files}
    present = {entry.path: entry for entry in list_files(folder)}
    for name in sorted(stated.keys() | present.keys()):
        if name not in present:
            faults.append(Fault(str(folder / name), "missing"))
        elif name not in stated:
            faults.append(Fault(str(folder / name), "not in the manifest"))
        elif present[name] != stated[name]:
            faults.append(Fault(str(folder / name), "changed: its hash is not the one in the manifest"))
    if not faults and digest_of(list(stated.values())) != manifest.digest:
        faults.append(Fault(str(folder / MANIFEST), "the digest does not follow from the files"))
    return faults


@contextmanager
def locked(path: Path, *, wait: float = 0.0) -> Iterator[bool]:
    """Try to hold an exclusive lock on `path`; yield True if it is ours until the block ends or the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                yield False
                return
            time.sleep(0.05)
            continue
        # Another holder may have unlinked the file between our open and our lock: then the lock is on a ghost.
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)
    try:
        yield True
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """Return whether a living process holds the lock on `path`. Nothing is written, so that it works read-only."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
