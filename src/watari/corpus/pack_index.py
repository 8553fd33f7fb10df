"""What waits on disk while documents are tokenised: their ids and their names; and the order in which they are packed."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.artifact.draws import draw_uint64
from watari.artifact.tokens import TokenWriter
from watari.corpus.pack_encoding import Encoded

_AT_ONCE = 4 << 20
"""Tokens gathered at a time."""

_NAMES = pa.schema(
    [
        ("doc_id", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("characters", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Pieces:
    """What is packed, in the order in which it is: whole documents, or parts of them.

    Args:
        document: int64, position in the order of reading.
        copy: int32, which copy of it: 0, 1, …
        start: int64, the first token, from the document's first.
        size: int64, tokens.
        part: int32, number of the part in its document.
        parts: int32, how many parts that has.
    """

    document: npt.NDArray[np.int64]
    copy: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    part: npt.NDArray[np.int32]
    parts: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.document)

    def take(self, order: npt.NDArray[np.int64]) -> Pieces:
        """Return them in another order."""
        return Pieces(
            *(getattr(self, field.name)[order] for field in fields(self)),
        )


@dataclass(frozen=True, order=True)
class Sample:
    """A document that is decoded again when all is packed; the smallest draws are kept."""

    rank: int
    document: int
    text: str


class Spool:
    """Documents in the order of reading: ids and names on disk, about 28 bytes a document and 12 a copy in memory.

    Args:
        folder: Where the two files are.
        dtype: Of the ids.
        seed, stage: Of the draws that order the documents.
        sample: How many documents to keep the text of, those that come first in the order.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any], *, seed: int, stage: str, sample: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ids_path, self._names_path = folder / "ids.bin", folder / "names.arrow"
        self._dtype, self._seed, self._stage, self._limit = dtype, seed, stage, sample
        self._ids = self._ids_path.open("wb")
        self._names = pa.ipc.new_file(str(self._names_path), _NAMES)
        self._sizes = array("q")
        self._draws = array("Q")
        self._documents = array("q")
        self._copies = array("i")
        self._heap: list[tuple[int, int, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ids.close()
        self._names.close()
        self._ids_path.unlink(missing_ok=True)
        self._names_path.unlink(missing_ok=True)

    def __len__(self) -> int:
        """Number of documents, each once."""
        return len(self._sizes)

    def add(self, batch: Encoded, characters: npt.NDArray[np.int64]) -> None:
        """Append documents; `characters` is int64[n]."""
        first = len(self._sizes)
        self._ids.write(batch.ids.data)
        self._sizes.frombytes(batch.sizes.astype(np.int64).tobytes())
        rows = batch.documents.rows
        ids = rows.column("id").cast(pa.string())
        columns = [ids, rows.column("language"), rows.column("source"), pa.array(characters, pa.int64())]
        self._names.write_table(pa.table(columns, schema=_NAMES))
        for place, (name, copies) in enumerate(
            zip(ids.to_pylist(), batch.documents.copies.tolist(), strict=True)
        ):
            for copy in range(copies):
                # The first copy as ever; another somewhere else, not beside it.
                keyed = f"{name}\x1f{copy}" if copy else name
                self._draws.append(draw_uint64(self._seed, self._stage, keyed))
                self._documents.append(first + place)
                self._copies.append(copy)
                if not copy:
                    self._keep(first + place, rows, place)

    def _keep(self, document: int, rows: pa.Table, place: int) -> None:
        rank = self._draws[-1]
        full = len(self._heap) >= self._limit
        if self._limit and (not full or -rank > self._heap[0][0]):
            entry = (-rank, -document, rows.column("text")[place].as_py())
            (heapq.heapreplace if full else heapq.heappush)(self._heap, entry)

    @property
    def samples(self) -> list[Sample]:
        """The documents kept, in the order in which they are packed."""
        return sorted(Sample(-rank, -document, text) for rank, document, text in self._heap)

    def close(self) -> None:
        """Make what was added readable; nothing more is added."""
        self._ids.close()
        self._names.close()

    def ordered(self) -> Pieces:
        """Return all documents, each as often as it is to be packed, by their draws.

        Ties go by id, then by the order of reading; a copy's draw is its own, so that copies do not stand together.
        """
        draws = np.frombuffer(self._draws, np.uint64)
        documents = np.frombuffer(self._documents, np.int64)
        order = np.argsort(draws, kind="stable")
        ranked = draws[order]
        tied = np.flatnonzero(ranked[1:] == ranked[:-1])
        if len(tied):
            names = self._names_table().column("doc_id")
            for run in np.split(tied, np.flatnonzero(np.diff(tied) > 1) + 1):
                rows = order[run[0] : run[-1] + 2]
                by_id = sorted((names[int(documents[row])].as_py(), int(row)) for row in rows)
                order[run[0] : run[-1] + 2] = [row for _, row in by_id]
        picked = documents[order]
        sizes = np.frombuffer(self._sizes, np.int64)[picked]
        none = np.zeros(len(order), np.int32)
        copies = np.frombuffer(self._copies, np.int32)[order]
        return Pieces(picked, copies, none.astype(np.int64), sizes, none, none + 1)

    def write(self, pieces: Pieces, writer: TokenWriter) -> Iterator[int]:
        """Write pieces in their order; yield how many are written from time to time."""
        names = self._names_table()
        sizes = np.frombuffer(self._sizes, np.int64)
        firsts = np.cumsum(sizes) - sizes
        total = int(sizes.sum())
        ids = np.memmap(self._ids_path, self._dtype, "r") if total else np.zeros(0, self._dtype)
        ends = np.cumsum(pieces.size)
        start = 0
        while start < len(pieces):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
            part = slice(start, stop)
            documents, lengths = pieces.document[part], pieces.size[part]
            begins = firsts[documents] + pieces.start[part]
            shifts = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
            rows = names.take(pa.array(documents))
            rows = rows.append_column("tokens", pa.array(lengths, pa.int64()))
            rows = rows.append_column("part", pa.array(pieces.part[part], pa.int32()))
            rows = rows.append_column("parts", pa.array(pieces.parts[part], pa.int32()))
            # A later part's characters stand with the first.
            characters = np.where(pieces.part[part] == 0, np.asarray(rows.column("characters")), 0)
            rows = rows.set_column(3, "characters", pa.array(characters, pa.int64()))
            writer.add_many(rows, ids[shifts + np.arange(len(shifts))])
            start = stop
            yield stop

    def _names_table(self) -> pa.Table:
        return pa.ipc.open_file(pa.memory_map(str(self._names_path))).read_all()
