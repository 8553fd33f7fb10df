"""Files of an evaluation folder read as dataclasses: JSON, JSON lines, parquet; what is broken is told in one line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from watari.errors import UserError

T = TypeVar("T")
_NULLABLE = ("rating", "judge", "text", "bos", "bos_count")


def json_of(path: Path) -> Any:
    """Return a JSON file of an evaluation folder.

    Raises:
        UserError: if it is missing or broken; names it.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent}: no evaluation: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def lines_of(path: Path) -> Iterable[tuple[Any, str]]:
    """Yield the values of a file of JSON lines, each with its place.

    Raises:
        UserError: if it is missing or broken; names file and line.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # splitlines would also break at U+2028
    except FileNotFoundError:
        raise UserError(f"{path.parent}: its {path.name} is missing", "run the evaluation again") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line), f"{path}:{number}"
        except ValueError as error:
            raise UserError(f"{path}:{number}: not JSON: {error}") from None


def rows_of(model: type[T], path: Path) -> Iterable[T]:
    """Yield the rows of a parquet file as dataclasses.

    Raises:
        UserError: if it is missing or broken; names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError(f"{path.parent}: its {path.name} is missing", "run the evaluation again")
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=2048):
            for row in batch.to_pylist():
                yield made(model, row, path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def made(model: type[T], row: Any, place: Path | str) -> T:
    """Return a row as its dataclass: unknown columns are passed over, lists become tuples, null stays only where it may."""
    if not isinstance(row, dict):
        raise UserError(f"{place}: not an object: {row!r:.60}")
    known = {one.name for one in fields(model)}  # type: ignore[arg-type]
    given = {
        name: _tuples(value)
        for name, value in row.items()
        if name in known and (value is not None or name in _NULLABLE)
    }
    try:
        return model(**given)
    except TypeError as error:
        raise UserError(f"{place}: {str(error).split('__init__() ')[-1]}") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
