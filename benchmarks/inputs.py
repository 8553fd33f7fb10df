"""A folder as the artifact that a stage takes."""

from __future__ import annotations

from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest, digest_of, list_files
from watari.artifact.params import Selection
from watari.artifact.stage import InputArtifact


def artifact(name: str, folder: Path, kind: Kind, ratio: float | None = None) -> InputArtifact:
    """Return the artifact in `folder` as a stage gets it; `ratio` is that of a selection."""
    files = list_files(folder)
    manifest = Manifest(
        kind=kind,
        uses="benchmark",
        stage_version=1,
        key="0" * 32,
        digest=digest_of(files),
        parameters={},
        files=files,
        started="",
        finished="",
        seconds=0,
    )
    return InputArtifact(name, folder, manifest, Selection.model_validate({"from": name, "ratio": ratio}))
