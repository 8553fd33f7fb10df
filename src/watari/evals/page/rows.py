"""Rows of JSON files, packed or not: one object a line, or one document."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from watari.errors import UserError

Row = dict[str, Any]
_BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the objects of a file: of each line, or of a `.json` document (an array's, or the one that it is).

    Raises:
        UserError: for a file that cannot be read, or a line that is no JSON object; names it.
    """
    packed = path.suffix == ".gz"
    suffix = Path(path.stem).suffix if packed else path.suffix
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")
        ) as file:
            if suffix == ".json":
                yield from _document(path, file.read())
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _object(path, number, line)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", "check the path") from None
    except _BROKEN as error:
        raise UserError(f"{path}: cannot be read: {error}", "is it whole?") from None


def _document(path: Path, content: str) -> Iterator[Row]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        for number, line in enumerate(content.split("\n"), 1):
            if line.strip():
                yield _object(path, number, line)
        return
    yield from (row for row in (found if isinstance(found, list) else [found]) if isinstance(row, dict))


def _object(path: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"{path}:{number}: not JSON", "mend or remove the line") from None
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number}: not an object", "mend or remove the line")
    return row
