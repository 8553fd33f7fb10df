"""Artifacts for tests of single stages: a folder with content becomes an input, without a store or a flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest, digest_of, list_files
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact


def as_input(name: str, folder: Path, kind: Kind) -> InputArtifact:
    """Return the artifact in `folder` as a stage would get it."""
    files = list_files(folder)
    manifest = Manifest(
        kind=kind,
        uses="test",
        stage_version=1,
        key="0" * 32,
        digest=digest_of(files),
        parameters={},
        files=files,
        started="",
        finished="",
        seconds=0,
    )
    return InputArtifact(name, folder, manifest, Selection.model_validate({"from": name}))


def documents(name: str, folder: Path, texts: Sequence[tuple[str, str]]) -> InputArtifact:
    """Return documents, given as (language, text)."""
    rows: list[dict[str, Any]] = [
        {"id": f"{name}-{index}", "text": text, "language": language, "source": name}
        for index, (language, text) in enumerate(texts)
    ]
    write_rows(folder / "rows.parquet", Kind.DOCUMENTS, rows)
    return as_input(name, folder, Kind.DOCUMENTS)
