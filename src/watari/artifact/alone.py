"""Manifests of folders that a command writes by itself, without a recipe, a store and a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.artifact.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    digest_of,
    list_files,
    now,
    write_manifest,
)
from watari.artifact.outside import fingerprint
from watari.artifact.params import StageParams, key_parameters, outside_paths, runtime_parameters
from watari.artifact.stage import Stage, StageResult
from watari.artifact.versions import versions


def outside_of(params: StageParams) -> dict[str, str]:
    """Return what stands in every file that parameters name: path → hash, of a dataset on the hub its commit.

    Raises:
        UserError: if one cannot be read.
    """
    return {path: fingerprint(path) for path in outside_paths(params)}


def identity_of(
    stage: Stage, params: StageParams, outside: Mapping[str, str], **inputs: Any
) -> dict[str, Any]:
    """Return what must be equal for a command to go on in its folder, as it will be read back from JSON.

    Args:
        stage: What the command runs.
        params: Its parameters.
        outside: As `outside_of` gives it: files count by what stands in them, not by their names.
        inputs: What else counts, by name: the digest of a model.
    """
    identity = {
        "stage": stage.kind,
        "version": stage.version,
        "parameters": key_parameters(params, outside),
        **inputs,
    }
    return dict(json.loads(json.dumps(identity)))


def put_in_place(making: Path, out: Path) -> list[FileEntry]:
    """Move every content file from `making` into `out` and return them.

    The manifest of what stood in `out` goes first: a folder that was left in between has none. Other files stay.
    """
    files = list_files(making)
    (out / MANIFEST).unlink(missing_ok=True)
    for entry in files:
        target = out / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (making / entry.path).replace(target)
    return files


def write_manifest_alone(
    out: Path,
    stage: Stage,
    params: StageParams,
    identity: Mapping[str, Any],
    files: Sequence[FileEntry],
    result: StageResult,
    *,
    outside: Mapping[str, str],
    started: str,
    seconds: float,
) -> str:
    """Write the manifest of what a command made in `out`, and return the digest over its files.

    Args:
        out: Where everything stands already: the manifest is the last to be written.
        stage: What made it.
        params: Its parameters.
        identity: As `identity_of` gave it before anything was made; the key is its hash.
        files: Those of the artifact, sorted by path.
        result: What the stage said.
        outside: As `outside_of` gave it, before anything took its place in `out`.
        started: When it began, as `artifact.manifest.now` has it.
        seconds: That it took.
    """
    manifest = Manifest(
        kind=stage.output_kind(params),
        uses=stage.kind,
        stage_version=stage.version,
        key=hash_json(dict(identity)),
        digest=digest_of(list(files)),
        parameters=identity["parameters"],
        runtime=runtime_parameters(params),
        outside=dict(outside),
        files=list(files),
        metrics=result.metrics,
        performance=result.performance,
        versions=versions(),
        seed=params.seed,
        started=started,
        finished=now(),
        seconds=round(seconds, 3),
    )
    write_manifest(out, manifest)
    return manifest.digest
