"""Reading the row files that a recipe names: jsonl, JSON, parquet, arrow, plain text, WARC; local or remote.

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
from typing import TYPE_CHECKING, Any, Literal

from watari.artifact.files import DAMAGED, FileFormat, RowFile, lines, open_unpacked, row_files_of
from watari.artifact.outside import dataset_location
from watari.artifact.records import Fault, Place, Record, first_line, kind_of, plain
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.artifact.warc import WarcRecord

TextUnit = Literal["document", "paragraph", "line"]


@dataclass(frozen=True)
class ReadOptions:
    """How the files of one location are read.

    Args:
        format: "auto" goes by each file's suffix (.jsonl .ndjson .json .parquet .arrow .feather .txt .warc .wet, with
            .gz or .zst after it).
        unit: What one document of a plain text file is: the file, a paragraph between blank lines, a line.
        encoding: Of plain text files; JSON is UTF-8.
    """

    format: FileFormat = "auto"
    unit: TextUnit = "document"
    encoding: str = "utf-8"


def read_records(location: str, options: ReadOptions, *, seed: int = 0) -> Iterator[Record | Fault]:
    """Yield every row of a location, files in the order of their names, rows in the order of the file.

    Args:
        location: A file, folder or glob; `demo://…`; `hf://datasets/org/name/path`, a hub id `org/name`, or any URL that
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
    for found in row_files_of(dataset_location(location), options.format):
        yield from read_file(found, options)


def read_file(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    """Yield every row of one file, in order; see `read_records`."""
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
            yield parsed_line(found, f"line {number}", line)


def parsed_line(found: RowFile, where: str, line: bytes) -> Record | Fault:
    """Return the row in one line of JSON, or what is wrong with it."""
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


def _arrow(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    import pyarrow as pa

    done = 0
    try:
        for batch in arrow_batches(found):
            for start in range(0, batch.num_rows, 1024):
                for row in batch.slice(start, 1024).to_pylist():
                    done += 1
                    yield found.record(f"row {done}", plain(row))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield found.fault(f"row {done + 1}" if done else "", "damaged file", first_line(error))


def arrow_batches(found: RowFile) -> Iterator[Any]:
    """Yield the record batches of an Arrow file: a stream, as `datasets` writes them, or the file form (feather 2).

    Raises:
        pyarrow.ArrowException, OSError: where the file is damaged.
    """
    import pyarrow as pa

    with closing(found.open()) as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic == b"ARROW1":
            with pa.ipc.open_file(raw) as file:
                for number in range(file.num_record_batches):
                    yield file.get_batch(number)
        elif magic:
            with pa.ipc.open_stream(raw) as stream:
                yield from stream
        else:
            raise OSError("the file is empty")


def _warc(found: RowFile, options: ReadOptions) -> Iterator[Record | Fault]:
    from watari.artifact.warc import warc_records
    from watari.text.html import needs_extractor

    needs_extractor()
    with closing(open_unpacked(found)) as stream:
        for record in warc_records(stream):
            yield _page(found, record)


def _page(found: RowFile, record: WarcRecord) -> Record | Fault:
    from watari.text.charset import decode_page
    from watari.text.html import LARGEST, main_text

    where = f"record {record.number}"
    known = {"id": record.id, "url": record.url, "date": record.date}
    known = {name: value for name, value in known.items() if value}
    if record.reason:
        return found.fault(where, record.reason, record.detail, known)
    if not 200 <= record.status < 300:
        return found.fault(where, "HTTP status", str(record.status), known)
    start = record.body[:512].lstrip().lower()
    html = record.mime in ("text/html", "application/xhtml+xml") or (
        not record.mime and start.startswith((b"<!doctype html", b"<html"))
    )
    if not html and record.mime != "text/plain":
        return found.fault(where, "not HTML", record.mime or "no media type", known)
    page = decode_page(record.body, record.charset)
    if not page.encoding:
        declared = f"; it says {record.charset}" if record.charset else ""
        return found.fault(where, "unknown encoding", f"no character set fits{declared}", known)
    if not html:
        return found.record(where, {**known, "text": page.text})
    if len(page.text) > LARGEST:
        return found.fault(where, "too large", f"{len(page.text):,} characters of HTML", known)
    text = main_text(page.text)
    if text is None:
        return found.fault(where, "no main text", "the extractor found none in the page", known)
    return found.record(where, {**known, "text": text})


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
    "arrow": _arrow,
    "txt": _txt,
    "warc": _warc,
}
