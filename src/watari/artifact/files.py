"""The files of rows that a location stands for, local or remote, packed or not; and their lines."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal, cast

from watari.artifact.outside import is_url, local_files, looks_like_repository
from watari.artifact.records import Fault, Place, Record, first_line
from watari.artifact.rows import Row
from watari.errors import UserError

FileFormat = Literal["auto", "jsonl", "json", "parquet", "txt"]

_SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "txt",
}
_PACKED = (".gz", ".zst")
_ASIDE = ("readme", "license", "licence", "notice", "changelog", "sha256sums")
DAMAGED = (EOFError, OSError, zlib.error)
"""What reading a file raises where its bytes are not what they should be."""


@dataclass(frozen=True)
class RowFile:
    """One file of rows.

    Args:
        path: As a person would name it.
        name: Below its location; empty where the location is this one file.
        format: How to read it; never "auto".
        open: Opens its bytes as they lie there.
    """

    path: str
    name: str
    format: FileFormat
    open: Callable[[], IO[bytes]]

    def fault(self, where: str, reason: str, detail: str = "") -> Fault:
        """Return the fault of a place in it."""
        return Fault(Place(self.path, self.name, where), reason, detail)

    def record(self, where: str, row: Row) -> Record:
        """Return the row of a place in it."""
        return Record(Place(self.path, self.name, where), row)


def dataset_location(location: str) -> str:
    """Return a location as it is read and hashed: `org/name` and `hf://org/name` mean a dataset of the hub."""
    if location.startswith("hf://") and location.split("/")[2] not in ("datasets", "spaces", "buckets"):
        return f"hf://datasets/{location.removeprefix('hf://')}"
    if looks_like_repository(location):
        return f"hf://datasets/{location}"
    return location


def row_files_of(location: str, stated: FileFormat) -> list[RowFile]:
    """Return the files of a location, sorted by path.

    Args:
        location: See `read_records`.
        stated: Their format; "auto" goes by each one's suffix.

    Raises:
        UserError: if there are none, or a suffix does not say how to read a file.
    """
    remote = is_url(location)
    paths, opened = _remote_files(location) if remote else (local_files(location), _open_local)
    whole_folder = paths != [location] and (remote or Path(location).is_dir())
    if whole_folder and stated == "auto":
        paths = [path for path in paths if not _set_aside(path)]
        if not paths:
            raise UserError(f"{location}: no file of rows in this folder")
    root = "" if len(paths) == 1 else os.path.commonpath([str(Path(path).parent) for path in paths])
    return [
        RowFile(
            path=path,
            name=os.path.relpath(path, root) if root else "",
            format=_format(path, stated),
            open=partial(opened, path),
        )
        for path in paths
    ]


def _set_aside(path: str) -> bool:
    name = Path(path).name.lower()
    return name.startswith(".") or name.split(".")[0] in _ASIDE


def _format(path: str, stated: FileFormat) -> FileFormat:
    if stated != "auto":
        return stated
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise UserError(
        f"{path}: its suffix does not say how to read it", "set the file format: jsonl, json, parquet or txt"
    )


def _open_local(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}") from None


def _remote_files(location: str) -> tuple[list[str], Callable[[str], IO[bytes]]]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(location)
        if any(mark in path for mark in "*?["):
            paths = sorted(system.glob(path))
        elif system.isdir(path):
            paths = sorted(system.find(path))
        else:
            paths = [path] if system.exists(path) else []
    except Exception as error:
        raise UserError(f"{location}: cannot be read: {first_line(error)}") from None
    if not paths:
        raise UserError(f"{location}: no such file")
    return paths, lambda path: cast(IO[bytes], system.open(path, "rb"))


def open_unpacked(found: RowFile) -> IO[bytes]:
    """Return the bytes of a file, unpacked on the way if its name ends in .gz or .zst."""
    import pyarrow as pa

    raw = found.open()
    if found.path.endswith(".gz"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if found.path.endswith(".zst"):
        return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
    return raw


def lines(found: RowFile) -> Iterator[tuple[int, bytes] | Fault]:
    """Yield (number, line); a fault, and then nothing more, where the file breaks off."""
    number = 0
    with closing(open_unpacked(found)) as stream:
        # pyarrow's stream has no readline of its own.
        source = io.BufferedReader(stream) if found.path.endswith(".zst") else stream  # type: ignore[type-var]
        while True:
            try:
                line = source.readline()
            except DAMAGED as error:
                yield found.fault(f"line {number + 1}", "damaged file", first_line(error))
                return
            if not line:
                return
            number += 1
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
