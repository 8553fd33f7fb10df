"""`manifest.json`: what an artifact is, what it was made from, and the hash of every file in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from watari.artifact import atomic
from watari.artifact.hashing import hash_file, hash_files, hash_json
from watari.artifact.kinds import Kind
from watari.errors import UserError

MANIFEST = "manifest.json"
LOGS = "logs"
WORK = "work"
FORMAT = 1


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = Field(description="POSIX path relative to the artifact's folder")
    size: int = Field(description="bytes")
    hash: str = Field(description="xxh128, hex")


class InputEntry(BaseModel):
    """One artifact that this one was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parameter: str = Field(description="the parameter that took it, e.g. `data`")
    name: str = Field(description="the stage or dataset of the recipe that made it")
    kind: Kind
    key: str
    digest: str
    selection: dict[str, Any] | None = Field(default=None, description="where / limit / ratio, if any")


class Manifest(BaseModel):
    """Everything that is known of one artifact. `seal` guards against edits by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = FORMAT
    kind: Kind
    uses: str = Field(description="the stage kind that made it, e.g. `train.sft`")
    stage_version: int
    key: str
    digest: str = Field(description="xxh128 over the sorted content files (not this file, not logs/)")
    parameters: dict[str, Any] = Field(description="the parameters that count in the key")
    runtime: dict[str, Any] = Field(
        default_factory=dict, description="parameters that do not (workers, device)"
    )
    inputs: list[InputEntry] = Field(default_factory=list)
    outside: dict[str, str] = Field(
        default_factory=dict, description="outside files read: path → xxh128 (hub: commit)"
    )
    files: list[FileEntry]
    metrics: dict[str, Any] = Field(default_factory=dict, description="figures that a re-run gives again")
    performance: dict[str, Any] = Field(
        default_factory=dict, description="figures that it does not: speed, memory"
    )
    versions: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    started: str
    finished: str
    seconds: float
    seal: str = ""

    def sealed(self) -> Manifest:
        """Return this manifest with its own hash filled in."""
        return self.model_copy(update={"seal": self._hash()})

    def _hash(self) -> str:
        body = self.model_dump(mode="json")
        body.pop("seal")
        return hash_json(body)

    @property
    def whole(self) -> bool:
        """True if no field was changed since it was sealed."""
        try:
            return self.seal == self._hash()
        except ValueError:
            # NaN, which we never write and which has no canonical form.
            return False

    @property
    def bytes(self) -> int:
        """Size of all its files, in bytes."""
        return sum(entry.size for entry in self.files)


def list_files(root: Path) -> list[FileEntry]:
    """Return every content file below `root`, sorted by path; the manifest, logs/ and work/ are left out."""
    entries = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        relative = path.relative_to(root)
        if relative.as_posix() == MANIFEST or relative.parts[0] in (LOGS, WORK):
            continue
        entries.append(FileEntry(path=relative.as_posix(), size=path.stat().st_size, hash=hash_file(path)))
    return entries


def digest_of(files: list[FileEntry]) -> str:
    """Return the digest over content files: equal digests mean the same bytes under the same names."""
    return hash_files((entry.path, entry.hash) for entry in files)


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Seal and write the manifest of the artifact in `root`."""
    atomic.write_json(root / MANIFEST, manifest.sealed().model_dump(mode="json"))


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of the artifact in `root`.

    Raises:
        UserError: if it is missing, is not a manifest, or was changed since it was written.
    """
    path = root / MANIFEST
    mend = "run `watari verify` to see what is damaged, or `watari run --force STAGE` to make it again"
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no manifest here", "is this an artifact's folder?") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable manifest: {str(error).splitlines()[0]}", mend) from None
    if not manifest.whole:
        raise UserError(f"{path}: changed since it was written (its seal does not match)", mend)
    return manifest
