"""Rows from Arrow columns: parquet, `datasets`, stages. Texts go from file to table without becoming Python objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watari.artifact.records import first_line, meta_of, plain
from watari.corpus.ingest.piece import Piece
from watari.corpus.ingest.rows import (
    BATCH_BYTES,
    BATCH_ROWS,
    BRITISH,
    KNOWN,
    OWN,
    finished,
    id_of,
    word_of,
)


def columns_read(piece: Piece, schema: pa.Schema) -> list[str]:
    """Return the names of the columns that have to be read: the known ones, and those that go into `meta`."""
    form = piece.form
    wanted = {*KNOWN, form.text, form.id, "meta"} if form.keep is None else {*KNOWN, form.text, form.id}
    if form.keep is not None:
        wanted |= {"meta", *form.keep}
        return [name for name in schema.names if name in wanted]
    return [
        field.name for field in schema if field.name in wanted or not pa.types.is_nested(_value(field.type))
    ]


def tables_of(piece: Piece, batch: pa.RecordBatch, places: list[str]) -> Iterator[pa.Table]:
    """Yield the working tables of a batch.

    Args:
        piece: Where it was read.
        batch: Its rows, with the columns of `columns_read`.
        places: Of each row.
    """
    texts, characters, reason, detail = _texts(batch, piece.form.text)
    sizes = np.asarray(pc.fill_null(pc.binary_length(texts), 0))
    columns = {name: _own(batch, name, piece) for name in OWN}
    columns["id"] = _ids(batch, piece)
    for name, (values, wrong, said) in columns.items():
        if wrong.any():
            news = wrong & np.asarray(pc.is_null(reason))
            reason = pc.if_else(pa.array(news), "not an id" if name == "id" else "not a text", reason)
            detail = pc.if_else(pa.array(news), said, detail)
        columns[name] = values
    columns |= {"meta": _meta(batch, piece), "reason": reason, "detail": detail}
    for start, stop in slices(sizes):
        part = slice(start, stop)
        yield finished(
            piece,
            texts[part],
            places[part],
            {name: values[part] for name, values in columns.items()},
            characters=characters[part],
        )


def slices(sizes: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of runs of rows that make a table each.

    Args:
        sizes: Bytes of each text.
    """
    start = held = 0
    for at, size in enumerate(sizes.tolist()):
        if at > start and (at - start >= BATCH_ROWS or held + size > BATCH_BYTES):
            yield start, at
            start, held = at, 0
        held += size
    if start < len(sizes):
        yield start, len(sizes)


def _value(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    at = batch.schema.get_field_index(name)
    if at < 0:
        return None
    column = batch.column(at)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _texts(batch: pa.RecordBatch, name: str) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """Return (texts as large_string, characters, reasons, details) of a batch."""
    column = _column(batch, name)
    count = batch.num_rows
    none = pa.nulls(count, pa.string())
    if column is None:
        detail = f"no field '{name}'; it has {', '.join(sorted(batch.schema.names)) or 'none'}"
        return pa.nulls(count, pa.large_string()), _zeros(count), _all("no text", count), _all(detail, count)
    kind = column.type
    absent = pc.is_null(column)
    wrong = pa.nulls(count, pa.bool_()).fill_null(False)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_type
        if _is_text(inner):
            # A null among the sentences makes the whole text null.
            column = pc.binary_join(column.cast(pa.list_(pa.string())), "\n")
            wrong = pc.and_(pc.is_null(column), pc.invert(absent))
        else:
            wrong, column = pc.invert(absent), pa.nulls(count, pa.large_string())
    elif not (_is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        wrong, column = pc.invert(absent), pa.nulls(count, pa.large_string())
    texts, broken = _valid(column)
    reason = pc.if_else(absent, "no text", none)
    detail = pc.if_else(absent, f"field '{name}' is null", none)
    reason = pc.if_else(wrong, "not a text", reason)
    detail = pc.if_else(wrong, f"field '{name}' is a column of {kind}", detail)
    if broken:
        bad = np.zeros(count, bool)
        bad[list(broken)] = True
        said = pa.array([broken.get(at) for at in range(count)], pa.string())
        reason, detail = pc.if_else(bad, "not UTF-8", reason), pc.if_else(bad, said, detail)
    characters = pc.fill_null(pc.utf8_length(texts).cast(pa.int64()), 0)
    blank = pc.or_(pc.equal(characters, 0), pc.utf8_is_space(texts))
    reason = pc.if_else(pc.fill_null(blank, False), "empty", reason)
    return texts, characters, reason, detail


def _valid(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return a column as large_string, and {row: what is wrong} of those that are not UTF-8, which become null."""
    raw = column.cast(pa.large_binary()) if not pa.types.is_large_binary(column.type) else column
    texts = raw.view(pa.large_string()) if hasattr(raw, "view") else raw.cast(pa.large_string(), safe=False)
    try:
        texts.validate(full=True)
        return texts, {}
    except pa.ArrowInvalid:
        broken = {}
        values: list[str | None] = []
        for at, value in enumerate(raw.to_pylist()):
            try:
                values.append(None if value is None else value.decode("utf-8"))
            except UnicodeDecodeError as error:
                values.append(None)
                broken[at] = f"byte 0x{value[error.start]:02x} at byte {error.start + 1}"
        return pa.array(values, pa.large_string()), broken


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _own(batch: pa.RecordBatch, name: str, piece: Piece) -> tuple[pa.Array, npt.NDArray[np.bool_], str]:
    """Return (values as text, which of them cannot be one, what is said of those) of a column."""
    column = None if name == piece.form.text else _column(batch, name)
    if column is None and name == "license":
        column = _column(batch, BRITISH)
    return _words(column, batch.num_rows, name, word_of)


def _ids(batch: pa.RecordBatch, piece: Piece) -> tuple[pa.Array, npt.NDArray[np.bool_], str]:
    name = piece.form.id
    return _words(_column(batch, name), batch.num_rows, name, id_of)


def _words(
    column: pa.Array | None, count: int, name: str, as_text: Any
) -> tuple[pa.Array, npt.NDArray[np.bool_], str]:
    fine = np.zeros(count, bool)
    if column is None or pa.types.is_null(column.type):
        return pa.nulls(count, pa.string()), fine, ""
    said = f"field '{name}' is a column of {column.type}"
    if _is_text(column.type):
        values = column.cast(pa.string())
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            return pa.nulls(count, pa.string()), np.ones(count, bool), f"field '{name}': {first_line(error)}"
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values), fine, said
    if pa.types.is_integer(column.type):
        return column.cast(pa.string()), fine, said
    found = [(None, False) if value is None else as_text(value) for value in column.to_pylist()]
    return (
        pa.array([value for value, _ in found], pa.string()),
        np.array([wrong for _, wrong in found], bool),
        said,
    )


def _meta(batch: pa.RecordBatch, piece: Piece) -> pa.Array:
    """Return the `meta` JSON of each row: its own, and every kept column beside the known ones."""
    form = piece.form
    used = {*KNOWN, form.text, form.id}
    if form.keep is not None:
        names = [name for name in batch.schema.names if name == "meta" or name in form.keep]
    else:
        names = [
            field.name
            for field in batch.schema
            if field.name == "meta" or (field.name not in used and not pa.types.is_nested(_value(field.type)))
        ]
    if not names:
        return pa.nulls(batch.num_rows, pa.string())
    if names == ["meta"] and piece.artifact and _is_text(batch.schema.field("meta").type):
        # A stage's own rows have it in its one form already.
        return _column(batch, "meta").cast(pa.string())  # type: ignore[union-attr]
    rows = batch.select(names).to_pylist()
    return pa.array([meta_of(plain(row), used) for row in rows], pa.string())


def _zeros(count: int) -> pa.Array:
    return pa.array(np.zeros(count, np.int64))


def _all(text: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), count)
