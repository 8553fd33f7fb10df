"""The files of rows that a location stands for, local or remote, packed or not; and their lines."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, cast

from watari.artifact.hub import hub_place
from watari.artifact.hub_files import hub_files, open_hub_file, streamed_path
from watari.artifact.outside import dataset_location as dataset_location
from watari.artifact.outside import is_url, local_files
from watari.artifact.records import Fault, Place, Record, first_line
from watari.artifact.rows import Row
from watari.errors import UserError

FileFormat = Literal["auto", "jsonl", "json", "parquet", "arrow", "txt", "warc"]

_SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "txt",
    ".warc": "warc",
    ".wet": "warc",
}
_PACKED = (".gz", ".zst")
_ASIDE = ("readme", "license", "licence", "notice", "changelog", "sha256sums", "dataset_infos")
# What `datasets.save_to_disk` writes beside its .arrow files; `state.json` names those that hold the rows.
_STATE = "state.json"
_SAVED_ASIDE = (_STATE, "dataset_info.json", "dataset_dict.json")
_ANY_ORDER: tuple[FileFormat, ...] = ("parquet", "arrow")
"""Formats whose readers jump about in a file."""
_WEB = ("http://", "https://")
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

    def fault(self, where: str, reason: str, detail: str = "", known: Row | None = None) -> Fault:
        """Return the fault of a place in it."""
        return Fault(Place(self.path, self.name, where), reason, detail, known or {})

    def record(self, where: str, row: Row) -> Record:
        """Return the row of a place in it."""
        return Record(Place(self.path, self.name, where), row)


def row_files_of(location: str, stated: FileFormat) -> list[RowFile]:
    """Return the files of a location, sorted by path.

    Args:
        location: See `read_records`.
        stated: Their format; "auto" goes by each one's suffix.

    Raises:
        UserError: if there are none, or a suffix does not say how to read a file.
    """
    remote = is_url(location)
    paths = _remote_files(location) if remote else local_files(location)
    whole_folder = paths != [location] and (remote or Path(location).is_dir())
    if whole_folder and stated == "auto":
        saved = _saved_rows(paths)
        paths = [path for path in paths if not _set_aside(path, saved)]
        if not paths:
            raise UserError(f"{location}: no file of rows in this folder")
    root = "" if len(paths) == 1 else os.path.commonpath([str(Path(path).parent) for path in paths])
    return [
        RowFile(
            path=path,
            name=os.path.relpath(path, root) if root else "",
            format=(form := _format(path, stated)),
            open=partial(open_file, path, any_order=form in _ANY_ORDER),
        )
        for path in paths
    ]


def _set_aside(path: str, saved: dict[str, set[str]]) -> bool:
    folder, _, file = path.rpartition("/")
    if folder in saved:
        return file not in saved[folder]
    name = file.lower()
    return name.startswith(".") or name.split(".")[0] in _ASIDE or name == "dataset_dict.json"


def _saved_rows(paths: list[str]) -> dict[str, set[str]]:
    """Return {folder: names of the files with its rows} for every folder that `save_to_disk` wrote."""
    found = {}
    known = set(paths)
    for path in paths:
        folder, _, file = path.rpartition("/")
        if file != _STATE or f"{folder}/dataset_info.json" not in known:
            continue
        try:
            with closing(open_file(path)) as raw:
                names = {str(item["filename"]) for item in json.loads(raw.read())["_data_files"]}
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: does not name the files of its dataset", "save it again") from None
        if lost := sorted(name for name in names if f"{folder}/{name}" not in known):
            raise UserError(f"{folder}: {lost[0]} of the saved dataset is missing", "save it again")
        found[folder] = names
    return found


def _format(path: str, stated: FileFormat) -> FileFormat:
    if stated != "auto":
        return stated
    if known := _format_of_name(path):
        return known
    raise UserError(
        f"{path}: its suffix does not say how to read it",
        "set the file format: jsonl, json, parquet, arrow, txt or warc",
    )


def _format_of_name(path: str) -> FileFormat | None:
    suffixes = [suffix.lower() for suffix in Path(named(path)).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def named(path: str) -> str:
    """Return a path without the query of a web address."""
    return path.partition("?")[0].partition("#")[0] if path.startswith(_WEB) else path


def open_file(path: str, *, any_order: bool = False) -> IO[bytes]:
    """Return the bytes of a local file, or of one that fsspec opens.

    Args:
        path: A path, or a URL with its scheme.
        any_order: True if the reader jumps about; a web address is otherwise read as one stream, which every
            server can do.

    Raises:
        UserError: if it cannot be opened; also from a later read, if a connection breaks.
    """
    if hub_place(path) is not None:
        kept = open_hub_file(path)
        return kept if kept is not None else cast(IO[bytes], RemoteFile(path, any_order=any_order))
    if is_url(path):
        return cast(IO[bytes], RemoteFile(path, any_order=any_order))
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}") from None


class RemoteFile(io.RawIOBase):
    """A remote file whose troubles are `UserError`s: a broken connection is not a damaged file, and is told apart."""

    def __init__(self, path: str, *, any_order: bool) -> None:
        import fsspec

        self._path = path
        self._raw: Any = None
        with self._troubles():
            system, inside = fsspec.core.url_to_fs(streamed_path(path) if hub_place(path) else path)
            stream = path.startswith(_WEB) and not any_order
            self._raw = system.open(inside, "rb", block_size=0) if stream else system.open(inside, "rb")

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self._path}: cannot be read: {first_line(error)}") from None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._raw.seekable())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._troubles():
            return int(self._raw.seek(offset, whence))

    def tell(self) -> int:
        return int(self._raw.tell())

    def read(self, size: int = -1) -> bytes:
        with self._troubles():
            return bytes(self._raw.read(size))

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed and self._raw is not None:
            self._raw.close()
        super().close()


def full_url(location: str) -> str:
    """Return a URL as fsspec writes it: `memory://a` is `memory:///a`, and the paths that it lists begin so."""
    import fsspec

    system, path = fsspec.core.url_to_fs(location)
    return str(system.unstrip_protocol(path))


def _remote_files(location: str) -> list[str]:
    if hub_place(location) is not None:
        return hub_files(location)
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(location)
        web = location.startswith(_WEB)
        if any(mark in path for mark in ("*[" if web else "*?[")):
            paths = sorted(system.glob(path))
        elif web and _format_of_name(location):
            # To ask whether it is a folder would be to load it whole and look for links in it.
            system.info(path)
            paths = [path]
        elif system.isdir(path):
            paths = sorted(system.find(path))
        else:
            paths = [path] if system.exists(path) else []
        paths = [str(system.unstrip_protocol(path)) for path in paths]
    except FileNotFoundError as error:
        # What fsspec says of every web address that does not answer.
        reason = error.__cause__
        if isinstance(reason, OSError) and not isinstance(reason, FileNotFoundError):
            raise UserError(f"{location}: cannot be read: {first_line(reason)}") from None
        paths = []
    except Exception as error:
        raise UserError(f"{location}: cannot be read: {first_line(error)}") from None
    if not paths:
        raise UserError(f"{location}: no such file")
    return paths


def open_unpacked(found: RowFile) -> IO[bytes]:
    """Return the bytes of a file, unpacked on the way if its name ends in .gz or .zst."""
    import pyarrow as pa

    raw = found.open()
    name = named(found.path)
    if name.endswith(".gz"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if name.endswith(".zst"):
        return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
    return raw


def lines(found: RowFile) -> Iterator[tuple[int, bytes] | Fault]:
    """Yield (number, line); a fault, and then nothing more, where the file breaks off."""
    number = 0
    with closing(open_unpacked(found)) as stream:
        # pyarrow's stream has no readline of its own, and a remote file's goes byte by byte.
        plain = isinstance(stream, io.BufferedReader | gzip.GzipFile)
        source = stream if plain else io.BufferedReader(stream)  # type: ignore[type-var]
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
