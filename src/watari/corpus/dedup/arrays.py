"""What deduplication keeps of every document, in plain arrays on disk: some 700 bytes each, none of them in
memory.

A piece's folder holds, row by row: `keys` (2 x uint64), `exact` (xxh128 of the text, 2 x uint64), `signature`
(uint32 words), `source` (uint32, numbers in `piece.json`); and sorted, so that a range of them is one read:
`exact.sorted` with `exact.rows`, and for each band in turn `bands.sorted` with `bands.rows`. Rows without a
shingle have no bands.
"""

from __future__ import annotations

import itertools
import json
import mmap
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from watari.artifact.atomic import write_json
from watari.corpus.dedup.params import DedupParams
from watari.kernels import lsh, minhash
from watari.kernels.texts import Texts

Words32 = npt.NDArray[np.uint32]
Words64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def piece_folder(folder: Path, piece: int) -> Path:
    """Return where the arrays of a piece lie."""
    return folder / f"{piece:05d}"


def signatures(table: pa.Table, params: DedupParams) -> tuple[Words64, Words32]:
    """Return (exact uint64[n, 2], signature uint32[n, words]) of the column `text`.

    `exact` is the xxh128 of the text's UTF-8; a null counts as an empty text. A text shorter than a shingle
    has an empty signature (all words `minhash.EMPTY`), and is like no other. With `near: false` there are 0
    words.
    """
    column = table.column("text")
    if not params.near:
        return _hashed(column), np.zeros((table.num_rows, 0), np.uint32)
    texts = Texts.from_arrow(column)
    if not params.shingles:
        return _hashed(column), minhash.signatures(texts, length=params.shingle, count=params.words)
    languages = table.column("language").to_pylist()
    lengths = np.array([params.shingles.get(name or "", params.shingle) for name in languages], np.int64)
    signature = np.empty((table.num_rows, params.words), np.uint32)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        signature[rows] = minhash.signatures(texts.take(rows), length=length, count=params.words)
    return _hashed(column), signature


def _hashed(column: pa.ChunkedArray) -> Words64:
    digest = xxhash.xxh3_128_digest
    parts = []
    for chunk in column.fill_null("").cast(pa.large_string()).chunks:
        _, ends, data = chunk.buffers()
        if not len(chunk):
            continue
        places = np.frombuffer(ends, np.int64, count=len(chunk) + 1, offset=8 * chunk.offset).tolist()
        view = memoryview(data) if data is not None else memoryview(b"")
        parts += [digest(view[start:stop]) for start, stop in itertools.pairwise(places)]
    return _words(b"".join(parts))


def keys_of(table: pa.Table) -> Words64:
    """Return uint64[n, 2]: the column `key` (32 hex digits), which sorts as the digits do."""
    return _words(bytes.fromhex("".join(table.column("key").to_pylist())))


def _words(digests: bytes) -> Words64:
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)


def hex_of(keys: Words64) -> list[str]:
    """Return keys (uint64[n, 2]) as 32 hex digits each."""
    digits = keys.astype(">u8").tobytes().hex()
    return [digits[place : place + 32] for place in range(0, len(digits), 32)]


def by_key(keys: Words64, *before: npt.NDArray[Any]) -> Rows:
    """Return the order of rows by the columns `before`, the first one first, then by key."""
    order: Rows = np.lexsort((keys[:, 1], keys[:, 0], *reversed(before)))
    return order


class ArraysWriter:
    """Writes the arrays of a piece, batch by batch; whole once closed without an error.

    Args:
        folder: Of all pieces; the piece's own is made below it, and files that an interrupted try left there
            are written anew.
        piece: Its number.
        params: What is to be kept.
    """

    def __init__(self, folder: Path, piece: int, params: DedupParams) -> None:
        self._folder = piece_folder(folder, piece)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._params = params
        self._rows = 0
        self._signed = 0
        self._sources: dict[str, int] = {}
        self._files: dict[str, BinaryIO] = {}
        for name in ("keys", "exact", "signature", "source", "shingled"):
            self._open(name)
        for band in range(params.bands if params.near else 0):
            self._open(f"band-{band:03d}")

    def _open(self, name: str) -> None:
        self._files[name] = (self._folder / name).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if error is None:
            self._sort()

    def add(self, table: pa.Table) -> None:
        """Take the next rows: `key`, `source`, `text` are read, and `language` for `shingles`."""
        if not table.num_rows:
            return
        exact, signature = signatures(table, self._params)
        names = table.column("source").to_pylist()
        sources = [self._sources.setdefault(name or "", len(self._sources)) for name in names]
        self._write("keys", keys_of(table))
        self._write("exact", exact)
        self._write("signature", signature)
        self._write("source", np.array(sources, np.uint32))
        if self._params.near:
            shingled = np.flatnonzero((signature != minhash.EMPTY).any(axis=1))
            self._write("shingled", (shingled + self._rows).astype(np.uint32))
            for band, keys in enumerate(
                lsh.band_keys(signature[shingled], self._params.bands, self._params.rows)
            ):
                self._write(f"band-{band:03d}", keys)
            self._signed += len(shingled)
        self._rows += table.num_rows

    def _write(self, name: str, values: npt.NDArray[Any]) -> None:
        self._files[name].write(np.ascontiguousarray(values).tobytes())

    def _sort(self) -> None:
        exact = np.fromfile(self._folder / "exact", np.uint64).reshape(-1, 2)[:, 0]
        order = np.argsort(exact, kind="stable")
        exact[order].tofile(self._folder / "exact.sorted")
        order.astype(np.uint32).tofile(self._folder / "exact.rows")
        del exact, order
        rows = np.fromfile(self._folder / "shingled", np.uint32)
        with (
            (self._folder / "bands.sorted").open("wb") as keys_file,
            (self._folder / "bands.rows").open("wb") as rows_file,
        ):
            for path in sorted(self._folder.glob("band-*")):
                keys = np.fromfile(path, np.uint64)
                order = np.argsort(keys, kind="stable")
                keys_file.write(keys[order].tobytes())
                rows_file.write(rows[order].tobytes())
                path.unlink()
        (self._folder / "shingled").unlink()
        told = {"rows": self._rows, "signed": self._signed, "sources": list(self._sources)}
        write_json(self._folder / "piece.json", told)


def write_arrays(folder: Path, piece: int, tables: Iterable[pa.Table], params: DedupParams) -> None:
    """Write the arrays of a piece whose rows come in batches."""
    with ArraysWriter(folder, piece, params) as writer:
        for table in tables:
            writer.add(table)


class Arrays:
    """The arrays of all pieces, read as one; a document's number is its piece's first number plus its row.

    Files are open only while they are read, so that thousands of pieces are no more than one.

    Args:
        folder: Where the pieces lie.
        rows: Rows of each piece.
        signed: Rows with bands of each piece.
        words: Words of a signature.
    """

    def __init__(self, folder: Path, rows: list[int], signed: list[int], words: int) -> None:
        self.folder = folder
        self.rows = rows
        self.signed = signed
        self.words = words
        self.starts = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])

    @staticmethod
    def of(folder: Path, pieces: int, params: DedupParams) -> Arrays:
        """Return the arrays of the finished pieces 0 … `pieces` - 1."""
        told = [
            json.loads((piece_folder(folder, piece) / "piece.json").read_bytes()) for piece in range(pieces)
        ]
        return Arrays(folder, [one["rows"] for one in told], [one["signed"] for one in told], params.words)

    def __len__(self) -> int:
        """Documents."""
        return int(self.starts[-1])

    def sources(self, piece: int) -> tuple[list[str], Words32]:
        """Return (names, uint32[rows] that number them) of a piece."""
        folder = piece_folder(self.folder, piece)
        names = json.loads((folder / "piece.json").read_bytes())["sources"]
        return names, np.fromfile(folder / "source", np.uint32)

    def keys(self, documents: Rows) -> Words64:
        """Return uint64[n, 2]: the keys of documents, by their numbers."""
        return self._take("keys", documents, np.uint64, 2)

    def exact(self, documents: Rows) -> Words64:
        """Return uint64[n, 2]: the hashes of documents' texts."""
        return self._take("exact", documents, np.uint64, 2)

    def signature(self, documents: Rows) -> Words32:
        """Return uint32[n, words]."""
        return self._take("signature", documents, np.uint32, self.words)

    def _take(self, name: str, documents: Rows, kind: type[Any], width: int) -> npt.NDArray[Any]:
        found = np.empty((len(documents), width), kind)
        order = np.argsort(documents, kind="stable")
        ordered = documents[order]
        cuts = np.searchsorted(ordered, self.starts)
        for piece in np.flatnonzero(np.diff(cuts)).tolist():
            part = slice(cuts[piece], cuts[piece + 1])
            mapped = _mapped(piece_folder(self.folder, piece) / name, kind).reshape(-1, width)
            found[order[part]] = mapped[ordered[part] - self.starts[piece]]
            del mapped
        return found

    def agreement(self, left: Rows, right: Rows, block: int = 1 << 16) -> npt.NDArray[np.uint16]:
        """Return uint16[pairs]: words in which two documents' signatures agree, `block` pairs at a time."""
        same = np.empty(len(left), np.uint16)
        for start in range(0, len(left), block):
            part = slice(start, start + block)
            involved, places = np.unique(np.concatenate([left[part], right[part]]), return_inverse=True)
            one, other = np.split(places.astype(np.int64), 2)
            same[part] = minhash.agreement(self.signature(involved), one, other)
        return same

    def exact_range(self, first: int, last: int) -> tuple[Words64, Rows]:
        """Return (first words of exact hashes in [first, last], documents), unsorted."""
        return self._range("exact", self.rows, 0, first, last)

    def band_range(self, band: int, first: int, last: int) -> tuple[Words64, Rows]:
        """Return (keys of a band in [first, last], documents), unsorted."""
        return self._range("bands", self.signed, band, first, last)

    def _range(self, name: str, sizes: list[int], band: int, first: int, last: int) -> tuple[Words64, Rows]:
        keys, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for piece, size in enumerate(sizes):
            if not size:
                continue
            folder = piece_folder(self.folder, piece)
            here = slice(band * size, (band + 1) * size)
            mapped = _mapped(folder / f"{name}.sorted", np.uint64)[here]
            start = int(np.searchsorted(mapped, np.uint64(first), side="left"))
            stop = int(np.searchsorted(mapped, np.uint64(last), side="right"))
            if start == stop:
                continue
            keys.append(np.array(mapped[start:stop]))
            numbers = _mapped(folder / f"{name}.rows", np.uint32)[here]
            documents.append(numbers[start:stop] + self.starts[piece])
            del mapped, numbers
        return np.concatenate(keys), np.concatenate(documents)


def _mapped(path: Path, kind: type[Any]) -> npt.NDArray[Any]:
    """Return a file as an array, read where it is used (`np.memmap` takes ten times as long to open one)."""
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), kind)
