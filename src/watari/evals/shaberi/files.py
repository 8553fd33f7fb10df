"""Which files of a folder hold what the family shaberi reads; a folder may hold other files, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watari.artifact.files import DAMAGED
from watari.artifact.outside import local_files
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault
from watari.errors import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather")
READ = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}, also packed (.gz, .zst)"
_LARGEST_ITEMS = 64 << 20
_PACKED = (".gz", ".zst")
_ASIDE = ("readme", "license", "licence", "notice", "changelog")


def suffix_of(path: Path) -> str:
    """Return the suffix that says how a file is read, that of packing left out."""
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def check_suffix(path: Path) -> None:
    """Make sure that a file's name says how it is read.

    Raises:
        UserError: if it does not; names the suffixes that do.
    """
    if suffix_of(path) not in SUFFIXES:
        raise UserError(f"{path}: its suffix does not say how to read it", f"ratings stand in {READ}")


def sorted_out(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a folder that may hold ratings, answers or items, and the names of those that do not.

    What cannot be read is kept, so that whoever reads it says why. Hidden files, README and the like are in neither.

    Raises:
        UserError: if none is left.
    """
    kept: list[Path] = []
    left: list[str] = []
    for name in local_files(str(folder)):
        path = Path(name)
        if path.name.startswith(".") or path.name.lower().split(".")[0] in _ASIDE:
            continue
        if suffix_of(path) in SUFFIXES and _reads(path):
            kept.append(path)
        else:
            left.append(str(path.relative_to(folder)))
    if not kept:
        raise UserError(
            f"{folder}: no ratings in this folder" + (f", only {', '.join(left[:3])}" if left else ""),
            f"ratings stand in {READ}",
        )
    return kept, left


def upstream_place(path: Path) -> bool:
    """Return whether a file lies as upstream's do, judge_<judge>/<dataset>/<model>.json: its row need not say these."""
    parts = path.absolute().parts
    return len(parts) >= 3 and parts[-3].startswith("judge_")


def _reads(path: Path) -> bool:
    if suffix_of(path) == ".json" and not upstream_place(path):
        return True  # an object of items, or rows: the reader tells them apart
    first = next(iter(read_records(str(path), ReadOptions())), None)
    return first is not None and (isinstance(first, Fault) or _is_ours(first.row, path))


def _is_ours(row: Mapping[str, Any], path: Path) -> bool:
    if "scores" in row:
        return True
    if "score" in row:
        return upstream_place(path) or ("judge" in row and "dataset" in row)
    return "answer" in row and "dataset" in row


def items_of(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of items; None if it is none: one JSON object of lists."""
    if path.suffix != ".json" or not path.is_file() or path.stat().st_size > _LARGEST_ITEMS:
        return None
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError, *DAMAGED):
        return None
    if not isinstance(content, dict) or not content or not all(isinstance(v, list) for v in content.values()):
        return None
    return content
