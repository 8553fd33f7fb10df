"""Token shards in Megatron's `.bin` / `.idx` form, with a sidecar that says which tokens came from which document.

`tokens.bin` holds every document's ids back to back (uint16 where the vocabulary allows it, else int32);
`tokens.idx` is Megatron-LM's MMapIndexedDataset index, version 1, one sequence a document; `documents.parquet` has a
row a sequence {doc_id, language, source, start, tokens, characters}; `tokens.json` says what the ids mean.
Where documents were packed into windows (best-fit), a sequence is a document or a part of one, `documents.parquet` has
the part's number and how many there are as well, and `windows.npy` (int64) the first sequence of each window, and the number of all behind them.
Layout of the index as read by Megatron-LM: 9 bytes magic, <Q version, <B dtype code, <Q sequences, <Q document
indices, int32 sizes, int64 byte pointers, int64 document indices.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact import atomic
from watari.errors import UserError

_MAGIC = b"MMIDIDX\x00\x00"
_HEAD = 34
"""Bytes before the sizes."""
_CODES: dict[np.dtype[Any], int] = {np.dtype(np.uint16): 8, np.dtype(np.int32): 4}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}

SIDECAR = pa.schema(
    [
        ("doc_id", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("start", pa.int64()),
        ("tokens", pa.int64()),
        ("characters", pa.int64()),
    ]
)
"""`start` and `tokens` count in tokens.bin, bos and eos included; `characters` are those of the document's text."""
PARTS = pa.schema([*SIDECAR, ("part", pa.int32()), ("parts", pa.int32())])
"""The same where documents may be cut: the number of the part from 0 and of all parts; `characters` stand with part 0."""

_ROWS = 1 << 16


@dataclass(frozen=True)
class TokensInfo:
    """`tokens.json`: what the ids of a shard mean.

    Args:
        vocabulary: Number of ids of the tokenizer, added tokens included.
        tokenizer_digest: Digest of the tokenizer's (or model's) artifact.
        bos: Id that starts every document, or None if it is not written.
        eos: Id that ends every document, or None.
        documents: Documents packed.
        tokens: Tokens, bos and eos included.
        characters: Unicode code points of their text.
        sequence: Tokens that a window holds at most, where documents were packed into windows; else None.
        windows: How many there are.
    """

    vocabulary: int
    tokenizer_digest: str
    bos: int | None
    eos: int | None
    documents: int = 0
    tokens: int = 0
    characters: int = 0
    sequence: int | None = None
    windows: int | None = None


def dtype_for(vocabulary: int) -> np.dtype[np.generic]:
    """Return the narrowest type of the format that holds every id below `vocabulary`."""
    return np.dtype(np.uint16) if vocabulary <= 1 << 16 else np.dtype(np.int32)


class TokenWriter:
    """Write one shard, sequence by sequence, in the order given; 4 bytes a sequence are held.

    Use as a context manager: there is no index until the block ends well.
    """

    def __init__(self, folder: Path, info: TokensInfo) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._info = info
        self._dtype = dtype_for(info.vocabulary)
        self._file = (folder / "tokens.bin").open("wb")
        self._schema = SIDECAR if info.sequence is None else PARTS
        self._sizes: list[npt.NDArray[np.int32]] = []
        self._rows: list[dict[str, object]] = []
        self._sidecar: pq.ParquetWriter | None = None
        self._tokens = 0
        self._characters = 0
        self._documents = 0

    def add(self, doc_id: str, ids: npt.ArrayLike, *, language: str, source: str, characters: int) -> None:
        """Append one document's ids (bos and eos already in place).

        Raises:
            ValueError: if an id lies outside the vocabulary.
        """
        array = np.asarray(ids, dtype=np.int64)
        self._check(array, f"document {doc_id}")
        self._rows.append(
            {
                "doc_id": doc_id,
                "language": language,
                "source": source,
                "start": self._tokens,
                "tokens": int(array.size),
                "characters": characters,
                "part": 0,
                "parts": 1,
            }
        )
        self._append(array, np.array([array.size], np.int32), characters, 1)
        if len(self._rows) >= _ROWS:
            self._flush()

    def add_many(self, rows: pa.Table, ids: npt.NDArray[Any]) -> None:
        """Append many sequences at once.

        Args:
            rows: Columns of the sidecar but `start`, a row a sequence; `part` and `parts` where there are windows.
            ids: Their ids back to back.

        Raises:
            ValueError: if an id lies outside the vocabulary.
        """
        self._check(ids, "documents")
        self._flush()
        sizes = np.asarray(rows.column("tokens").combine_chunks(), np.int64)
        starts = self._tokens + np.cumsum(sizes) - sizes
        self._write_rows(rows.append_column("start", pa.array(starts, pa.int64())))
        characters = int(np.asarray(rows.column("characters").combine_chunks(), np.int64).sum())
        first = rows.num_rows
        if "part" in rows.column_names:
            first = int((np.asarray(rows.column("part").combine_chunks()) == 0).sum())
        self._append(ids, sizes.astype(np.int32), characters, first)

    def _check(self, ids: npt.NDArray[Any], what: str) -> None:
        if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= self._info.vocabulary):
            raise ValueError(f"{what}: token id outside 0…{self._info.vocabulary - 1}")

    def _append(
        self, ids: npt.NDArray[Any], sizes: npt.NDArray[np.int32], characters: int, documents: int
    ) -> None:
        self._file.write(np.ascontiguousarray(ids, dtype=self._dtype).data)
        self._sizes.append(sizes)
        self._tokens += int(ids.size)
        self._characters += characters
        self._documents += documents

    def _flush(self) -> None:
        if self._rows:
            self._write_rows(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _write_rows(self, rows: pa.Table) -> None:
        if self._sidecar is None:
            path = self._folder / "documents.parquet"
            self._sidecar = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._sidecar.write_table(rows.select(self._schema.names).cast(self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            self._flush()
            if self._sidecar is None:
                self._write_rows(pa.Table.from_pylist([], schema=self._schema))
        if self._sidecar is not None:
            self._sidecar.close()
        if error is not None:
            return
        sizes = np.concatenate([np.zeros(0, np.int32), *self._sizes])
        index = self._folder / "tokens.idx"
        temporary = index.with_name(f".{index.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as handle:
            _write_index(handle, self._dtype, sizes)
        temporary.replace(index)
        info = {
            **asdict(self._info),
            "documents": self._documents,
            "tokens": self._tokens,
            "characters": self._characters,
        }
        if self._info.sequence is None:
            del info["sequence"], info["windows"]
        atomic.write_json(self._folder / "tokens.json", info)


def _write_index(handle: IO[bytes], dtype: np.dtype[Any], sizes: npt.NDArray[np.int32]) -> None:
    handle.write(_MAGIC + struct.pack("<QBQQ", 1, _CODES[dtype], len(sizes), len(sizes) + 1))
    handle.write(sizes.tobytes())
    end = 0
    for start in range(0, len(sizes), _ROWS):
        ends = end + np.cumsum(sizes[start : start + _ROWS], dtype=np.int64) * dtype.itemsize
        handle.write(np.concatenate([[end], ends[:-1]]).astype(np.int64).tobytes())
        end = int(ends[-1])
    for start in range(0, len(sizes) + 1, _ROWS):
        handle.write(np.arange(start, min(start + _ROWS, len(sizes) + 1), dtype=np.int64).tobytes())


class TokenReader:
    """A shard mapped into memory: `tokens` (1-D ids) and `offsets` (document i is tokens[offsets[i]:offsets[i+1]]).

    Raises:
        UserError: if the files are not whole or do not agree with each other.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index = (folder / "tokens.idx").read_bytes()
            info = (folder / "tokens.json").read_text("utf-8")
            actual = (folder / "tokens.bin").stat().st_size
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{folder}: not a whole shard of tokens: {error}") from None
        code, sizes = _read_index(index, folder / "tokens.idx")
        try:
            self.info = TokensInfo(**json.loads(info))
        except (ValueError, TypeError) as error:
            raise UserError(f"{folder / 'tokens.json'}: cannot be read: {error}") from None
        self.offsets: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        path = folder / "tokens.bin"
        expected = int(self.offsets[-1]) * _DTYPES[code].itemsize
        if actual != expected:
            raise UserError(f"{path}: {actual:,} bytes where the index says {expected:,}")
        self.tokens: npt.NDArray[np.generic] = (
            np.memmap(path, dtype=_DTYPES[code], mode="r") if expected else np.zeros(0, _DTYPES[code])
        )
        self._folder = folder

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1

    def document(self, index: int) -> npt.NDArray[np.int64]:
        """Return the ids of one document, bos and eos included."""
        return np.asarray(self.tokens[self.offsets[index] : self.offsets[index + 1]], dtype=np.int64)

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield the sidecar's rows, in the order of the shard."""
        with pq.ParquetFile(self._folder / "documents.parquet") as sidecar:
            for batch in sidecar.iter_batches(batch_size=8192):
                yield from batch.to_pylist()

    def documents(self) -> list[dict[str, object]]:
        """Return the sidecar's rows."""
        return list(self.rows())

    def uncut(self) -> npt.NDArray[np.bool_]:
        """Return bool[n]: True for each sequence that is a whole document."""
        if self.info.sequence is None:
            return np.ones(len(self), np.bool_)
        parts = pq.read_table(self._folder / "documents.parquet", columns=["parts"]).column("parts")
        return np.equal(np.asarray(parts, np.int32), 1)

    def windows(self) -> npt.NDArray[np.int64] | None:
        """Return int64[windows + 1]: window i holds sequences [i] to [i + 1] - 1; None if there are no windows.

        Raises:
            UserError: if the windows do not agree with the index.
        """
        if self.info.sequence is None:
            return None
        path = self._folder / "windows.npy"
        try:
            bounds: npt.NDArray[np.int64] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        if bounds.ndim != 1 or not len(bounds) or int(bounds[-1]) != len(self) or int(bounds[0]) != 0:
            raise UserError(f"{path}: its windows are not those of the index")
        return bounds


def _read_index(index: bytes, path: Path) -> tuple[int, npt.NDArray[np.int32]]:
    """Return the dtype code and the size of every sequence."""
    if index[:9] != _MAGIC:
        raise UserError(f"{path}: not a Megatron index")
    if len(index) < _HEAD:
        raise UserError(f"{path}: breaks off after {len(index)} bytes")
    version, code, sequences, documents = struct.unpack_from("<QBQQ", index, 9)
    if version != 1 or code not in _DTYPES:
        raise UserError(f"{path}: version {version}, dtype code {code} are not understood")
    expected = _HEAD + 12 * sequences + 8 * documents
    if len(index) != expected:
        raise UserError(f"{path}: {len(index):,} bytes where its head says {expected:,}")
    return code, np.frombuffer(index, dtype=np.int32, count=sequences, offset=_HEAD)
