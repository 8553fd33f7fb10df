"""Files that can be read but once: `-`, and pipes of the shell. They are put into a file first, for the time of a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_GZIP = b"\x1f\x8b"


@contextmanager
def readable(files: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the paths of some files; of `-` (standard input) and of pipes a copy that may be read more than once."""
    with TemporaryDirectory(prefix="watari-") as folder:
        yield [_path(name, Path(folder) / str(number)) for number, name in enumerate(files)]


def _path(name: str, folder: Path) -> Path:
    path = Path(name)
    if name != "-" and not path.is_fifo():
        return path
    data = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
    folder.mkdir()
    copy = folder / ("stdin.jsonl.gz" if data.startswith(_GZIP) else "stdin.jsonl")
    copy.write_bytes(data)
    return copy
