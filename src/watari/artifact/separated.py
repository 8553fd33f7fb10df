"""Rows of .csv and .tsv files, packed or not; the first line names the fields."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing

from watari.artifact.files import DAMAGED, RowFile, open_unpacked
from watari.artifact.records import Record, first_line
from watari.errors import UserError


def is_separated(path: str) -> bool:
    """True if a file's name says that it is one."""
    return _unpacked(path).endswith((".csv", ".tsv"))


def separated_rows(found: RowFile) -> Iterator[Record]:
    """Yield the rows of one file, in order.

    A .csv file may quote its cells, and break lines in them; a .tsv file does neither.

    Raises:
        UserError: if it is damaged or not UTF-8.
    """
    try:
        with closing(open_unpacked(found)) as stream:
            text = stream.read().decode("utf-8-sig")
    except DAMAGED as error:
        raise UserError(f"{found.path}: damaged file: {first_line(error)}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{found.path}: not UTF-8: byte 0x{error.object[error.start]:02x}") from None
    csv.field_size_limit(1 << 30)
    source = io.StringIO(text, newline="")
    if _unpacked(found.path).endswith(".tsv"):
        rows = csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.DictReader(source)
    try:
        for number, row in enumerate(rows, 1):
            yield found.record(f"row {number}", {str(name): value for name, value in row.items() if name})
    except csv.Error as error:
        raise UserError(f"{found.path}: line {rows.line_num}: {first_line(error)}") from None


def _unpacked(path: str) -> str:
    return re.sub(r"\.(?:gz|zst)$", "", path.lower())
