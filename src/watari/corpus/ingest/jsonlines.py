"""JSON lines by the block: orjson for every line, and the careful reader of the ground floor where that fails."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any, cast

import orjson
import pyarrow as pa

from watari.artifact.files import DAMAGED, RowFile, open_unpacked
from watari.artifact.reading import parsed_line
from watari.artifact.records import first_line
from watari.corpus.ingest.piece import Piece
from watari.corpus.ingest.rows import Rows

_BLOCK = 4 << 20


def read_lines(piece: Piece, found: RowFile) -> Iterator[pa.Table]:
    """Yield the working tables of a .jsonl file, or of the lines of one between two bytes.

    Blank lines are no rows. Where the file breaks off, one row says so.
    """
    rows = Rows(piece)
    number = piece.line - 1
    loads = orjson.loads
    add = rows.row
    for item in _blocks(piece, found):
        if isinstance(item, str):
            rows.broken(f"line {number + 1}", "damaged file", item)
            continue
        for line in item:
            number += 1
            try:
                value: Any = loads(line)
            except orjson.JSONDecodeError:
                if line.strip():
                    rows.add(parsed_line(found, f"line {number}", line))
            else:
                if type(value) is dict:
                    add(f"line {number}", value)
                else:
                    rows.add(parsed_line(found, f"line {number}", line))
            if rows.full:
                yield rows.take()
    if rows.texts:
        yield rows.take()


_PACKED_BLOCK = 256 << 10
"""Of streams that cannot give what they have (zstd): what a damaged place takes with it at most."""


def _blocks(piece: Piece, found: RowFile) -> Iterator[list[bytes] | str]:
    """Yield lists of whole lines without their ends; last of all, what the matter is where the file breaks off."""
    left = None if piece.stop is None else piece.stop - piece.start
    rest: list[bytes] = []
    start = piece.start == 0
    with closing(open_unpacked(found)) as stream:
        if piece.start:
            stream.seek(piece.start)
        while True:
            try:
                block = _read(stream, _BLOCK if left is None else min(_BLOCK, left))
            except DAMAGED as error:
                # The line that breaks off is part of what is lost.
                yield first_line(error)
                return
            if start:
                block = block.removeprefix(codecs.BOM_UTF8)
                start = False
            if left is not None:
                left -= len(block)
            if not block:
                break
            end = block.rfind(b"\n")
            if end < 0:
                rest.append(block)
                continue
            lines = b"".join([*rest, block[:end]]).split(b"\n")
            rest = [block[end + 1 :]]
            yield lines
    if last := b"".join(rest):
        yield [last]


def _read(stream: IO[bytes], size: int) -> bytes:
    if not size:
        return b""
    # A packed file that breaks off has given what could be unpacked by then; a full read would lose it with the error.
    read1 = getattr(stream, "read1", None)
    return cast(bytes, read1(size)) if read1 is not None else stream.read(min(size, _PACKED_BLOCK))
