"""The files that datasets come in: JSON, JSON lines, parquet, TSV, XML, packed or not; every row with its place."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.records import first_line
from watari.errors import UserError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".xml")
_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of JSON: (row, its place)."""

    rows: list[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Value:
    """One JSON value that is not a list of rows."""

    content: Any


@dataclass(frozen=True, slots=True)
class Table:
    """A TSV file: its header, and (row by header, cells, place); `name` is the file's, with its folder's."""

    header: list[str]
    rows: list[tuple[dict[str, str], list[str], str]]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """An XML file."""

    root: Element


Found = Rows | Value | Table | Tree


def suffix_of(path: Path) -> str:
    """Return what a file's name says of its form."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read_file(path: Path, *, must: bool = False, lies: Path | None = None) -> Found | None:
    """Return what a file holds; None for one whose suffix says that it is no dataset.

    Args:
        path: The file, as it is told of.
        lies: Where its bytes are, if not there.
        must: A suffix that is not known is an error.

    Raises:
        UserError: naming the file and line that is broken.
    """
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        if must:
            raise UserError(
                f"{path}: no form that is known by its name", f"one of {', '.join(SUFFIXES)} (.gz)"
            )
        return None
    if suffix == ".parquet":
        return _parquet(path, lies or path)
    try:
        data = (lies or path).read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
    except _DAMAGED as error:
        raise UserError(f"{path}: cannot be read: {error}", "is it whole? get it again") from None
    if suffix == ".xml":
        return _tree(data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start:,})", "write it as UTF-8") from None
    if suffix == ".tsv":
        return _table(text, path)
    return _json(text, path, lines=suffix != ".json")


def _parquet(path: Path, lies: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(lies).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {first_line(error)}", "is it whole? get it again") from None
    return Rows([(row, f"{path}[{n}]") for n, row in enumerate(rows)])


def _json(text: str, path: Path, *, lines: bool) -> Rows | Value:
    """Return JSON; JGLUE's `.json` files are JSON lines, so what is no value is tried as lines."""
    if not lines:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            if text.lstrip()[:1] != "{" or "\n" not in text.strip():
                raise UserError(f"{path}: not JSON: {error}", "is it whole? get it again") from None
        else:
            if isinstance(content, list):
                return Rows([(row, f"{path}[{n}]") for n, row in enumerate(content)])
            if isinstance(content, dict) and {"label", "dataset"} & set(content):
                return Rows([(content, f"{path}:1")])  # one line of JSON lines
            return Value(content)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append((json.loads(line), f"{path}:{number}"))
        except (ValueError, RecursionError):
            raise UserError(f"{path}:{number}: not JSON", "mend or remove the line") from None
    return Rows(rows)


def _table(text: str, path: Path) -> Table:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    header = lines[0].split("\t") if lines else []
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"{path}:{number}: {len(cells)} columns, the header has {len(header)}",
                "mend or remove the line",
            )
        rows.append((dict(zip(header, cells, strict=True)), cells, f"{path}:{number}"))
    return Table(header, rows, f"{path.parent.name}/{path.name}")


def _tree(data: bytes, path: Path) -> Tree:
    from xml.etree import ElementTree

    try:
        # expat neither fetches external entities nor expands them without bound (2.4.1 and later).
        return Tree(ElementTree.fromstring(data))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: not XML: {error}", "is it whole? get it again") from None
