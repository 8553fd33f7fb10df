"""Token shards in Megatron's `.bin` / `.idx` form, with a sidecar that says which tokens came from which document.

`tokens.bin` holds every document's ids back to back (uint16 where the vocabulary allows it, else int32);
`tokens.idx` is Megatron-LM's MMapIndexedDataset index, version 1, one sequence a document; `documents.parquet` has a
row a document {doc_id, language, source, start, tokens, characters}; `tokens.json` says what the ids mean.
Layout of the index as read by Megatron-LM: 9 bytes magic, <Q version, <B dtype code, <Q sequences, <Q document
indices, int32 sizes, int64 byte pointers, int64 document indices.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
    """

    vocabulary: int
    tokenizer_digest: str
    bos: int | None
    eos: int | None
    documents: int = 0
    tokens: int = 0
    characters: int = 0


def dtype_for(vocabulary: int) -> np.dtype[np.generic]:
    """Return the narrowest type of the format that holds every id below `vocabulary`."""
    return np.dtype(np.uint16) if vocabulary <= 1 << 16 else np.dtype(np.int32)


class TokenWriter:
    """Write one shard, document by document, in the order given.

    Use as a context manager: nothing but `tokens.bin` exists until the block ends well.
    """

    def __init__(self, folder: Path, info: TokensInfo) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._info = info
        self._dtype = dtype_for(info.vocabulary)
        self._file = (folder / "tokens.bin").open("wb")
        self._sizes: list[int] = []
        self._rows: list[dict[str, object]] = []
        self._tokens = 0
        self._characters = 0

    def add(self, doc_id: str, ids: npt.ArrayLike, *, language: str, source: str, characters: int) -> None:
        """Append one document's ids (bos and eos already in place).

        Raises:
            ValueError: if an id lies outside the vocabulary.
        """
        array = np.asarray(ids, dtype=np.int64)
        if array.size and (array.min() < 0 or array.max() >= self._info.vocabulary):
            raise ValueError(f"document {doc_id}: token id outside 0…{self._info.vocabulary - 1}")
        self._file.write(array.astype(self._dtype).tobytes())
        self._rows.append(
            {
                "doc_id": doc_id,
                "language": language,
                "source": source,
                "start": self._tokens,
                "tokens": int(array.size),
                "characters": characters,
            }
        )
        self._sizes.append(int(array.size))
        self._tokens += int(array.size)
        self._characters += characters

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None:
            return
        sizes = np.asarray(self._sizes, dtype=np.int32)
        ends = np.cumsum(sizes, dtype=np.int64) * self._dtype.itemsize
        pointers = np.concatenate([np.zeros(min(1, len(ends)), dtype=np.int64), ends[:-1]])
        head = struct.pack("<QBQQ", 1, _CODES[self._dtype], len(sizes), len(sizes) + 1)
        indices = np.arange(len(sizes) + 1, dtype=np.int64)
        atomic.write_bytes(
            self._folder / "tokens.idx",
            _MAGIC + head + sizes.tobytes() + pointers.tobytes() + indices.tobytes(),
        )
        table = pa.Table.from_pylist(self._rows, schema=SIDECAR)
        pq.write_table(table, self._folder / "documents.parquet", compression="zstd")
        info = {
            **asdict(self._info),
            "documents": len(sizes),
            "tokens": self._tokens,
            "characters": self._characters,
        }
        atomic.write_json(self._folder / "tokens.json", info)


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

    def documents(self) -> list[dict[str, object]]:
        """Return the sidecar's rows."""
        return list(pq.read_table(self._folder / "documents.parquet").to_pylist())


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
