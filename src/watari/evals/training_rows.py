"""What was trained on, as texts: artifacts of a run, a whole run, or plain files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.manifest import MANIFEST, Manifest, read_manifest
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault
from watari.artifact.rows import read_rows
from watari.errors import UserError

_TEXT_KINDS = (Kind.DOCUMENTS, Kind.CONVERSATIONS, Kind.PREFERENCES)
_PASSED_OVER = frozenset(
    {
        "id",
        "url",
        "license",
        "source",
        "language",
        "category",
        "date",
        "parents",
        "role",
        "key",
        "hash",
        "split",
    }
)


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One row of training data.

    Args:
        place: Where it stands, for people: the artifact or file, and the row's id or number.
        text: Everything that it says, turns and answers joined by blank lines.
    """

    place: str
    text: str


def training_rows(locations: Sequence[str]) -> Iterator[TrainingRow]:
    """Yield the rows of training data, in order.

    Args:
        locations: Artifacts of documents, conversations or preferences; the folder of a run, of which everything that its
            training stages read is taken; files, folders or URLs of rows or text.

    Raises:
        UserError: for an artifact without texts (tokens), a run that trained on none, a row that cannot be read.
    """
    for location in locations:
        path = Path(location)
        if (path / MANIFEST).is_file():
            yield from _artifact(path, read_manifest(path))
        elif (path / "stages").is_dir():
            for stage in trained_on(path):
                yield from _artifact(stage, read_manifest(stage))
        else:
            yield from _files(location)


def trained_on(run: Path) -> list[Path]:
    """Return the artifacts with texts that the training stages of a run read, by the names of their stages.

    Of packed tokens, those that they were packed from.

    Raises:
        UserError: if there are none.
    """
    manifests: dict[Path, Manifest] = {
        stage: read_manifest(stage)
        for stage in sorted((run / "stages").iterdir())
        if (stage / MANIFEST).is_file()
    }
    wanted = {
        entry.digest
        for manifest in manifests.values()
        if manifest.uses.startswith("train.")
        for entry in manifest.inputs
        if entry.kind in (*_TEXT_KINDS, Kind.TOKENS)
    }
    for manifest in manifests.values():
        if manifest.kind is Kind.TOKENS and manifest.digest in wanted:
            wanted |= {entry.digest for entry in manifest.inputs if entry.kind in _TEXT_KINDS}
    found = [
        stage
        for stage, manifest in manifests.items()
        if manifest.kind in _TEXT_KINDS and manifest.digest in wanted
    ]
    if not found:
        raise UserError(
            f"{run}: no stage of this run trained on an artifact with texts", "name the artifact or the files"
        )
    return found


def _artifact(path: Path, manifest: Manifest) -> Iterator[TrainingRow]:
    if manifest.kind not in _TEXT_KINDS:
        raise UserError(
            f"{path}: an artifact of {manifest.kind}: it holds no texts",
            "name what it was made from: documents, conversations or preferences",
        )
    for number, row in enumerate(read_rows(path), 1):
        yield TrainingRow(f"{path.name}: {row.get('id') or number}", _said(row))


def _files(location: str) -> Iterator[TrainingRow]:

    for record in read_records(location, ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record), "mend or remove the row")
        yield TrainingRow(str(record.place), _said(record.row))


def _said(row: dict[str, Any]) -> str:
    return "\n\n".join(_strings(row))


def _strings(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if name == "meta" and value.startswith("{"):
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                inner = None
            if isinstance(inner, dict):
                yield from _strings(inner)
        elif name not in _PASSED_OVER and value.strip():
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner, name)
