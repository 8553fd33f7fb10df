"""Safetensors read and written in pieces: no tensor is in memory unless somebody asks for it.

The file form: 8 bytes with the header's length, a JSON header {name: {dtype, shape, data_offsets}}, the data without
gaps. Data is copied as bytes, so that types which torch does not know pass through untouched.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_CHUNK = 8 << 20
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Types of weights that can be computed with here."""


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: `size` bytes at `start` of `file`."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int

    def torch_dtype(self, name: str) -> torch.dtype:
        """Return its type in torch.

        Raises:
            UserError: if it is none of the floating-point types that rows can be made of (a quantised table).
        """
        import torch

        if self.dtype not in _DTYPES:
            raise UserError(
                f"{self.file.name}: {name} is of type {self.dtype}",
                f"tables of tokens are wanted in one of {', '.join(_DTYPES)}: take the unquantised model",
            )
        found: torch.dtype = getattr(torch, _DTYPES[self.dtype])
        return found


@dataclass(frozen=True)
class Growth:
    """How a table with a row a token is written: the first `keep` rows of the old one, then `rows`."""

    keep: int
    rows: Tensor


class TensorFiles:
    """The tensors of a model folder: their places are known, their data is read when asked for.

    Args:
        folder: A folder with `model.safetensors`, or an index and its shards.

    Raises:
        UserError: if files are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[str, Any] | None = None
        self.files = self._files()
        self.entries: dict[str, Entry] = {}
        for file in self.files:
            self.entries.update(read_header(file)[0])

    def _files(self) -> list[Path]:
        if (self.folder / SINGLE).is_file():
            return [self.folder / SINGLE]
        index = self.folder / INDEX
        if index.is_file():
            try:
                self.index = json.loads(index.read_text("utf-8"))
                names = sorted(set(self.index["weight_map"].values()))
            except (ValueError, KeyError, AttributeError, TypeError):
                raise UserError(f"{index}: not a readable index") from None
            for name in names:
                if Path(name).name != name or not (self.folder / name).is_file():
                    raise UserError(f"{self.folder}: {name} is missing, which {INDEX} names")
            return [self.folder / name for name in names]
        found = sorted(self.folder.glob("*.safetensors"))
        if len(found) != 1:
            raise UserError(
                f"{self.folder}: {len(found)} weight files and no {INDEX} that says what they hold"
            )
        return found

    def read(self, name: str) -> Tensor:
        """Return one tensor in memory of its own, in the type that it has in the file."""
        import torch

        entry = self.entries[name]
        dtype = entry.torch_dtype(name)
        data = torch.empty(entry.size, dtype=torch.uint8)
        with entry.file.open("rb", buffering=0) as handle:
            handle.seek(entry.start)
            _fill(handle, data.numpy().data)
        return data.view(dtype).reshape(entry.shape)

    def rows(self, name: str, ids: Sequence[int]) -> Tensor:
        """Return some rows of a matrix, in the order of `ids`, in the type that it has in the file."""
        import torch

        entry = self.entries[name]
        dtype = entry.torch_dtype(name)
        step = entry.size // entry.shape[0]
        data = torch.empty((len(ids), step), dtype=torch.uint8)
        bytes_of = data.numpy()
        with entry.file.open("rb", buffering=0) as handle:
            for place, row in enumerate(ids):
                handle.seek(entry.start + row * step)
                _fill(handle, bytes_of[place].data)
        return data.view(dtype)


def read_header(file: Path) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Return the tensors of one file by name, in the order of its header, and its `__metadata__`.

    Raises:
        UserError: if it is cut off or no safetensors file.
    """
    mend = "fetch it again"
    try:
        size = file.stat().st_size
        with file.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > size - 8:
                raise UserError(f"{file}: not a whole safetensors file", mend)
            header = json.loads(handle.read(length))
        metadata = header.pop("__metadata__", None) or {}
        found = {}
        for name, item in header.items():
            first, last = item["data_offsets"]
            found[name] = Entry(file, item["dtype"], tuple(item["shape"]), 8 + length + first, last - first)
    except (struct.error, ValueError, KeyError, AttributeError, TypeError):
        raise UserError(f"{file}: not a safetensors file", mend) from None
    end = max((entry.start + entry.size for entry in found.values()), default=8 + length)
    if end != size:
        raise UserError(f"{file}: {size:,} bytes where its header says {end:,}", mend)
    return found, metadata


def write_grown(files: TensorFiles, out: Path, growth: Mapping[str, Growth]) -> None:
    """Write the weight files of `files` to `out`, with some tables grown and everything else bit for bit as it was.

    A file without a grown table is hard-linked, or copied where that cannot be. The others are rewritten in chunks
    of 8 MiB: the old table's rows are streamed, the new rows follow them.
    """
    for file in files.files:
        entries, metadata = read_header(file)
        here = {name: growth[name] for name in entries if name in growth}
        if here:
            _rewrite(file, out / file.name, entries, metadata, here)
        else:
            _link_or_copy(file, out / file.name)
    if files.index is not None:
        _write_index(files, out, growth)


def _rewrite(
    source: Path, target: Path, entries: dict[str, Entry], metadata: dict[str, Any], growth: dict[str, Growth]
) -> None:
    layout: dict[str, dict[str, Any]] = {}
    offset = 0
    for name, entry in entries.items():
        shape, size = list(entry.shape), entry.size
        if name in growth:
            shape[0], size = _grown(entry, growth[name])
        layout[name] = {"dtype": entry.dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    header |= layout
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    # The data begins at a multiple of 8, as safetensors itself writes it.
    text += b" " * (-len(text) % 8)
    with source.open("rb", buffering=0) as old, target.open("wb") as new:
        new.write(struct.pack("<Q", len(text)) + text)
        for name, entry in entries.items():
            old.seek(entry.start)
            if name not in growth:
                _copy(old, new, entry.size)
                continue
            _copy(old, new, entry.size // entry.shape[0] * growth[name].keep)
            _write_tensor(growth[name].rows, new)


def _grown(entry: Entry, growth: Growth) -> tuple[int, int]:
    """Return the rows and the bytes of the grown table."""
    added = growth.rows
    if added.dtype != entry.torch_dtype("the table") or tuple(added.shape[1:]) != entry.shape[1:]:
        raise ValueError(
            f"rows {tuple(added.shape)} of {added.dtype} do not fit {entry.shape} of {entry.dtype}"
        )
    rows = growth.keep + len(added)
    return rows, entry.size // entry.shape[0] * rows


def _write_tensor(tensor: Tensor, new: IO[bytes]) -> None:
    import torch

    data = tensor.contiguous().view(torch.uint8).reshape(-1).numpy()
    for start in range(0, len(data), _CHUNK):
        new.write(data[start : start + _CHUNK].data)


def _copy(old: IO[bytes], new: IO[bytes], size: int) -> None:
    buffer = memoryview(bytearray(min(size, _CHUNK)))
    while size:
        part = buffer[: min(size, _CHUNK)]
        _fill(old, part)
        new.write(part)
        size -= len(part)


def _fill(handle: IO[bytes], view: memoryview) -> None:
    # An unbuffered file reads at most 2 GiB at a time.
    done = 0
    while done < len(view):
        got = handle.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise UserError(f"{handle.name}: ends in the middle of a tensor", "fetch it again")
        done += got


def _write_index(files: TensorFiles, out: Path, growth: Mapping[str, Growth]) -> None:
    index = dict(files.index or {})
    more_bytes = more_numbers = 0
    for name, grown in growth.items():
        entry = files.entries[name]
        rows, size = _grown(entry, grown)
        more_bytes += size - entry.size
        more_numbers += (rows - entry.shape[0]) * (entry.shape[1] if len(entry.shape) > 1 else 1)
    metadata = dict(index.get("metadata") or {})
    for key, more in (("total_size", more_bytes), ("total_parameters", more_numbers)):
        if isinstance(metadata.get(key), int | float):
            metadata[key] = int(metadata[key]) + more
    if metadata:
        index["metadata"] = metadata
    atomic.write_json(out / INDEX, index)


def _link_or_copy(source: Path, target: Path) -> None:
    # The hub's cache holds links to blobs: a hard link must be to the blob itself.
    real = source.resolve()
    try:
        os.link(real, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(real, target)
