"""Weights read and written a chunk at a time: what averaging needs of safetensors files.

The form is `watari.model.stream`'s; here the data is computed, and the types may change on the way.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from watari.artifact import atomic
from watari.errors import UserError
from watari.model.stream import INDEX, SINGLE, TensorFiles

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CHUNK = 1 << 20
"""Numbers that are in memory at once of each model."""
SHARD = 5 * 10**9
"""Bytes of a weight file, as transformers divides them."""
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Types that can be averaged."""


class Reader:
    """A model's tensors in chunks; one of its files is open at a time.

    Args:
        files: The tensors.
    """

    def __init__(self, files: TensorFiles) -> None:
        self.files = files
        self._open: tuple[Path, IO[bytes]] | None = None

    def numbers(self, name: str, start: int, count: int) -> Tensor:
        """Return `count` numbers of a tensor of floats from `start` on, flat, in fp64."""
        import torch

        entry = self.files.entries[name]
        dtype: torch.dtype = getattr(torch, FLOATS[entry.dtype])
        width = dtype.itemsize
        data = self.bytes(name, start * width, count * width)
        return torch.frombuffer(data, dtype=dtype).double()

    def bytes(self, name: str, start: int, count: int) -> bytearray:
        """Return `count` bytes of a tensor from byte `start` on."""
        entry = self.files.entries[name]
        if self._open is None or self._open[0] != entry.file:
            self.close()
            self._open = (entry.file, entry.file.open("rb"))
        handle = self._open[1]
        handle.seek(entry.start + start)
        data = bytearray(handle.read(count))
        if len(data) != count:
            raise UserError(f"{entry.file}: ends in the middle of {name}", "fetch it again")
        return data

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


@dataclass(frozen=True)
class Form:
    """How a tensor is written.

    Args:
        dtype: In the words of safetensors: F32, BF16, ...
        shape: Its shape.
        size: Its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int


@contextmanager
def closing(readers: list[Reader]) -> Iterator[list[Reader]]:
    """Close the readers' files at the end."""
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


def write_tensors(out: Path, forms: Mapping[str, Form], data: Callable[[str], Iterator[bytes]]) -> None:
    """Write weight files as transformers names them: one, or several of at most `SHARD` bytes with an index.

    Args:
        out: The folder.
        forms: Every tensor in the order in which it is written.
        data: Returns a tensor's bytes in chunks.
    """
    shards: list[list[str]] = [[]]
    filled = 0
    for name, form in forms.items():
        if shards[-1] and filled + form.size > SHARD:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += form.size
    names = [f"model-{place:05d}-of-{len(shards):05d}.safetensors" for place in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = [SINGLE]
    for file, members in zip(names, shards, strict=True):
        with (out / file).open("wb") as handle:
            handle.write(_header({name: forms[name] for name in members}))
            for name in members:
                for chunk in data(name):
                    handle.write(chunk)
    if len(shards) > 1:
        metadata = {
            "total_size": sum(form.size for form in forms.values()),
            "total_parameters": sum(math.prod(form.shape) for form in forms.values()),
        }
        places = {name: file for file, members in zip(names, shards, strict=True) for name in members}
        atomic.write_json(out / INDEX, {"metadata": metadata, "weight_map": dict(sorted(places.items()))})


def _header(forms: Mapping[str, Form]) -> bytes:
    layout: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, form in forms.items():
        layout[name] = {
            "dtype": form.dtype,
            "shape": list(form.shape),
            "data_offsets": [offset, offset + form.size],
        }
        offset += form.size
    text = json.dumps(layout, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    # The data begins at a multiple of 8, as safetensors itself writes it.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
