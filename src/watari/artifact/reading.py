"""Reading the row files that a recipe names: jsonl, JSON arrays, parquet and plain text, local or remote.

Nothing that cannot be read is passed over in silence: each broken row comes out as a `Fault` that names its file and
line (or row group), and the stage that reads decides with `Policy` whether it stops or goes on with a ledger row.
Blank lines are no rows. Where a file breaks off (a truncated gzip, unreadable JSON array), the fault stands for
everything after that place; of a broken parquet row group every row is told.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from watari.artifact.files import DAMAGED, FileFormat, RowFile, lines, open_unpacked, row_files_of
from watari.artifact.records import Fault, Place, Record, first_line, kind_of, plain
from watari.errors import UserError

TextUnit = Literal["document", "paragraph", "line"]


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
        location: A file, folder or glob; `demo://…`; `hf://datasets/org/name/path` or any URL that
            fsspec opens. In a folder under `format: auto`, hidden files and README, LICENSE and the like are
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
    for found in row_files_of(location, options.format):
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


def _jsonl(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    for item in lines(found):
        if isinstance(item, Fault):
            yield item
            continue
        number, line = item
        if line.strip():
            yield _parsed(found, f"line {number}", line)


def _parsed(found: RowFile, where: str, line: bytes) -> Record | Fault:
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


def _checked(found: RowFile, where: str, value: Any, *, surrogates: bool) -> Record | Fault:
    if not isinstance(value, dict):
        return found.fault(where, "not an object", f"a {kind_of(value)}")
    if surrogates:
        # "\ud800" alone is valid JSON but no text: no UTF-8 file can hold it.
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            return found.fault(where, "not UTF-8", "half of a surrogate pair in an escape")
    return found.record(where, value)


def _json(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    """Read a `.json` file: an array of objects, or (as many hubs name it) one object a line."""
    with closing(open_unpacked(found)) as stream:
        try:
            start = stream.read(1)
            while start and (start.isspace() or start in codecs.BOM_UTF8):
                start = stream.read(1)
            data = start + stream.read() if start == b"[" else b""
        except DAMAGED as error:
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


def _parquet(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
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


def _txt(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    block: list[str] = []
    start = 1
    broken: Fault | None = None
    for item in lines(found):
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


def _block(found: RowFile, lines: list[str], start: int, broken: Fault | None) -> Iterator[Record | Fault]:
    if broken is not None:
        yield broken
    elif (text := "".join(lines).strip("\r\n")).strip():
        yield found.record(f"line {start}", {"text": text})


def _demo(location: str, seed: int) -> Iterator[Record | Fault]:
    from watari.demo import rows

    try:
        _, made = rows(location, seed)
    except ValueError as error:
        raise UserError(f"{location}: {first_line(error).removeprefix(f'{location}: ')}") from None
    for number, row in enumerate(made, 1):
        yield Record(Place(location, "", f"row {number}"), row)


_READERS: dict[FileFormat, Callable[[RowFile, ReadOptions], Iterable[Record | Fault]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "txt": _txt,
}
