"""Reading the row files that a recipe names: jsonl, JSON arrays, parquet and plain text, local or remote.

Nothing that cannot be read is passed over in silence: each broken row comes out as a `Fault` that names its file and
line (or row group), and the stage that reads decides with `Policy` whether it stops or goes on with a ledger row.
Blank lines are no rows. Where a file breaks off (a truncated gzip, unreadable JSON array), the fault stands for
everything after that place; of a broken parquet row group every row is told.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from watari.artifact.outside import is_hub_id, is_url, local_files
from watari.artifact.records import Fault, Place, Record, first_line, kind_of, plain
from watari.artifact.rows import Row
from watari.errors import UserError

FileFormat = Literal["auto", "jsonl", "json", "parquet", "txt"]
TextUnit = Literal["document", "paragraph", "line"]

_SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "txt",
}
_PACKED = (".gz", ".zst")
_ASIDE = ("readme", "license", "licence", "notice", "changelog", "sha256sums")
_DAMAGED = (EOFError, OSError, zlib.error)


@dataclass(frozen=True)
class ReadOptions:
    """How the files of one location are read.

    Args:
        format: "auto" goes by each file's suffix (.jsonl .ndjson .json .parquet .txt, with .gz or .zst after it).
        unit: What one document of a plain text file is: the file, a paragraph between blank lines, a line.
        encoding: Of plain text files; JSON is UTF-8.
    """

    format: FileFormat = "auto"
    unit: TextUnit = "document"
    encoding: str = "utf-8"


def read_records(location: str, options: ReadOptions, *, seed: int = 0) -> Iterator[Record | Fault]:
    """Yield every row of a location, files in the order of their names, rows in the order of the file.

    Args:
        location: A file, folder or glob; `demo://…`; `hf://datasets/org/name/path`, a dataset's hub id, or any URL
            that fsspec opens. In a folder under `format: auto`, hidden files and README, LICENSE and the like are
            passed over.
        options: How to read them.
        seed: Of the demo world.

    Raises:
        UserError: if there is nothing to read there, or a file's format is not known.
    """
    if location.startswith("demo://"):
        yield from _demo(location, seed)
        return
    check_encoding(options.encoding)
    for found in _files(location, options.format):
        yield from _READERS[found.format](found, options)


def check_encoding(encoding: str) -> None:
    """Make sure that text in `encoding` can be read line by line.

    Raises:
        UserError: if there is no such encoding, or a line's end is not one byte in it (UTF-16).
    """
    try:
        if "\n".encode(codecs.lookup(encoding).name) == b"\n":
            return
    except (LookupError, UnicodeError):
        raise UserError(
            f"encoding: no text encoding named '{encoding}'", "e.g. utf-8, shift_jis, euc_jp"
        ) from None
    raise UserError(f"encoding: {encoding} text is not read line by line", "convert it to UTF-8 first")


@dataclass(frozen=True)
class _File:
    path: str
    name: str
    format: FileFormat
    open: Callable[[], IO[bytes]]

    def fault(self, where: str, reason: str, detail: str = "") -> Fault:
        return Fault(Place(self.path, self.name, where), reason, detail)

    def record(self, where: str, row: Row) -> Record:
        return Record(Place(self.path, self.name, where), row)


def _files(location: str, stated: FileFormat) -> list[_File]:
    remote = is_url(location) or (is_hub_id(location) and not Path(location).suffix)
    paths, opened = _remote_files(location) if remote else (local_files(location), _open_local)
    whole_folder = paths != [location] and (remote or Path(location).is_dir())
    if whole_folder and stated == "auto":
        paths = [path for path in paths if not _set_aside(path)]
        if not paths:
            raise UserError(f"{location}: no file of rows in this folder")
    root = "" if len(paths) == 1 else os.path.commonpath([str(Path(path).parent) for path in paths])
    return [
        _File(
            path=path,
            name=os.path.relpath(path, root) if root else "",
            format=_format(path, stated),
            open=lambda path=path: opened(path),  # type: ignore[misc]
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

    url = location if is_url(location) else f"hf://datasets/{location}"
    try:
        system, path = fsspec.core.url_to_fs(url)
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


def _stream(found: _File) -> IO[bytes]:
    import pyarrow as pa

    raw = found.open()
    if found.path.endswith(".gz"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if found.path.endswith(".zst"):
        return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
    return raw


def _lines(found: _File) -> Iterator[tuple[int, bytes] | Fault]:
    """Yield (number, line without its end); a fault, and then nothing more, where the file breaks off."""
    import io

    number = 0
    with closing(_stream(found)) as stream:
        lines = io.BufferedReader(stream) if found.path.endswith(".zst") else stream  # type: ignore[type-var]
        while True:
            try:
                line = lines.readline()
            except _DAMAGED as error:
                yield found.fault(f"line {number + 1}", "damaged file", first_line(error))
                return
            if not line:
                return
            number += 1
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def _jsonl(found: _File, options: ReadOptions) -> Iterator[Record | Fault]:
    for item in _lines(found):
        if isinstance(item, Fault):
            yield item
            continue
        number, line = item
        if line.strip():
            yield _parsed(found, f"line {number}", line)


def _parsed(found: _File, where: str, line: bytes) -> Record | Fault:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return found.fault(where, "not UTF-8", f"byte 0x{line[error.start]:02x} at column {error.start + 1}")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return found.fault(where, "not JSON", f"{error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return found.fault(where, "not JSON", first_line(error))
    return _checked(found, where, value, surrogates="\\u" in text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _checked(found: _File, where: str, value: Any, *, surrogates: bool) -> Record | Fault:
    if not isinstance(value, dict):
        return found.fault(where, "not an object", f"a {kind_of(value)}")
    if surrogates:
        # "\ud800" alone is valid JSON but no text: no UTF-8 file can hold it.
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            return found.fault(where, "not UTF-8", "half of a surrogate pair in an escape")
    return found.record(where, value)


def _json(found: _File, options: ReadOptions) -> Iterator[Record | Fault]:
    """Read a `.json` file: an array of objects, or (as many hubs name it) one object a line."""
    with closing(_stream(found)) as stream:
        try:
            start = stream.read(1)
            while start and (start.isspace() or start in codecs.BOM_UTF8):
                start = stream.read(1)
            data = start + stream.read() if start == b"[" else b""
        except _DAMAGED as error:
            yield found.fault("", "damaged file", first_line(error))
            return
    if not data:
        yield from _jsonl(found, options)
        return
    try:
        text = data.decode("utf-8")
        values = json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield found.fault(f"line {line}", "not UTF-8", f"byte 0x{data[error.start]:02x}")
    except json.JSONDecodeError as error:
        yield found.fault(f"line {error.lineno}", "not JSON", f"{error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        yield found.fault("", "not JSON", first_line(error))
    else:
        for index, value in enumerate(values, 1):
            yield _checked(found, f"item {index}", value, surrogates="\\u" in text)


def _parquet(found: _File, options: ReadOptions) -> Iterator[Record | Fault]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with closing(found.open()) as raw:
        try:
            table = pq.ParquetFile(raw)
        except (pa.ArrowException, OSError) as error:
            yield found.fault("", "damaged file", first_line(error))
            return
        for group in range(table.num_row_groups):
            total = table.metadata.row_group(group).num_rows
            done = 0
            try:
                for batch in table.iter_batches(batch_size=1024, row_groups=[group]):
                    for row in batch.to_pylist():
                        done += 1
                        yield found.record(f"row group {group}, row {done}", plain(row))
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                for row_number in range(done + 1, total + 1):
                    place = f"row group {group}, row {row_number}"
                    yield found.fault(place, "damaged file", first_line(error))


def _txt(found: _File, options: ReadOptions) -> Iterator[Record | Fault]:
    block: list[str] = []
    start = 1
    broken: Fault | None = None
    for item in _lines(found):
        if isinstance(item, Fault):
            yield item
            return
        number, line = item
        try:
            text = line.decode(options.encoding)
        except UnicodeDecodeError as error:
            wanted = "UTF-8" if options.encoding == "utf-8" else options.encoding
            detail = f"byte 0x{line[error.start]:02x}; is it in another encoding?"
            broken = broken or found.fault(f"line {number}", f"not {wanted}", detail)
            text = "?"
        if options.unit == "line" or (options.unit == "paragraph" and not text.strip()):
            if options.unit == "line":
                block, start = [text], number
            yield from _block(found, block, start, broken)
            block, broken = [], None
            continue
        if not block:
            start = number
        block.append(text)
    yield from _block(found, block, start, broken)


def _block(found: _File, lines: list[str], start: int, broken: Fault | None) -> Iterator[Record | Fault]:
    if broken is not None:
        yield broken
    elif (text := "".join(lines).strip("\r\n")).strip():
        yield found.record(f"line {start}", {"text": text})


def _demo(location: str, seed: int) -> Iterator[Record | Fault]:
    from watari.demo import rows

    try:
        _, made = rows(location, seed)
    except ValueError as error:
        raise UserError(f"{location}: {first_line(error)}") from None
    for number, row in enumerate(made, 1):
        yield Record(Place(location, "", f"row {number}"), row)


_READERS: dict[FileFormat, Callable[[_File, ReadOptions], Iterable[Record | Fault]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "txt": _txt,
}
