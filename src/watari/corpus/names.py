"""What documents are called: their own id, or the hash of where they stood; an id given twice stays with one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

KEY = np.dtype([("high", ">u8"), ("low", ">u8")])
"""A key as 16 bytes, big-endian: sorted as its 32 hex digits are."""


def keys_of(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.void]:
    """Return keys (32 hex digits each) as an array of `KEY`."""
    return np.frombuffer(bytes.fromhex("".join(column.to_pylist())), KEY)


def joined(parts: Iterable[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Return arrays of `KEY` as one; NumPy's own concatenation would turn them into the machine's byte order."""
    return np.frombuffer(b"".join(part.tobytes() for part in parts), KEY)


def id_hashes(ids: list[str | None]) -> npt.NDArray[np.uint64]:
    """Return the xxh3-64 of each id that is given; those that are not are left out."""
    return np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in ids if name is not None], np.uint64)


@dataclass(frozen=True)
class Repeated:
    """Ids that more than one row gives, by hash, each with the smallest key among those rows.

    Args:
        hashes: uint64, sorted.
        keys: `KEY`, in the same order.
    """

    hashes: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.void]

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64], keys: npt.NDArray[np.void]) -> Repeated:
        """Return the repeated ones among all rows that give an id; 24 bytes a row are held."""
        order = np.argsort(hashes, kind="stable")
        ranked = hashes[order]
        twin = np.zeros(len(ranked), bool)
        if len(ranked) > 1:
            same = ranked[1:] == ranked[:-1]
            twin[1:] |= same
            twin[:-1] |= same
        rows = order[twin]
        by_key = rows[np.lexsort((keys["low"][rows], keys["high"][rows], hashes[rows]))]
        unique, first = np.unique(hashes[by_key], return_index=True)
        return cls(unique, keys[by_key[first]].copy())

    def save(self, path: Path) -> None:
        """Write it as .npz."""
        temporary = path.with_name(f".{path.name}.writing")
        with temporary.open("wb") as handle:
            np.savez(handle, hashes=self.hashes, keys=self.keys.view(np.uint64))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Repeated:
        """Return what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(found["hashes"], found["keys"].view(KEY))

    def name(self, row_id: str | None, key: str) -> str:
        """Return what a row is called: its id where it gives one, else its key.

        Of the rows that give the same id, the one with the smallest key keeps it; each other gets `~` and the first 8
        digits of its key behind it.
        """
        if row_id is None:
            return key
        if len(self.hashes):
            wanted = xxhash.xxh3_64_intdigest(row_id.encode())
            place = int(np.searchsorted(self.hashes, np.uint64(wanted)))
            if place < len(self.hashes) and int(self.hashes[place]) == wanted:
                first = self.keys[place : place + 1].tobytes().hex()
                return row_id if first == key else f"{row_id}~{key[:8]}"
        return row_id

    def names(self, table: pa.Table) -> list[str]:
        """Return the names of all rows of a table with `id` and `key`."""
        pairs = zip(table.column("id").to_pylist(), table.column("key").to_pylist(), strict=True)
        if not len(self.hashes):
            return [key if row_id is None else row_id for row_id, key in pairs]
        return [self.name(row_id, key) for row_id, key in pairs]
