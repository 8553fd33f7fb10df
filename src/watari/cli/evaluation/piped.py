"""What a command is given to read: files, places on the hub, and what can be read but once.

`-` (standard input) and pipes of the shell are put into a file first, for the time of a command.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from watari.artifact.outside import is_url
from watari.errors import UserError

_GZIP = b"\x1f\x8b"


@contextmanager
def located(files: Sequence[str]) -> Iterator[list[str]]:
    """Yield the locations of some files; of `-` (standard input) and of pipes a copy that may be read more than once.

    What is wrong with a copy is told of what it is a copy of.
    """
    with TemporaryDirectory(prefix="watari-") as folder:
        found = [_location(name, Path(folder) / str(number)) for number, name in enumerate(files)]
        try:
            yield found
        except UserError as error:
            told = error.message
            for name, location in zip(files, found, strict=True):
                if location.startswith(folder):
                    told = told.replace(location, "standard input" if name == "-" else name)
            if told == error.message:
                raise
            raise UserError(told, error.mend) from None


@contextmanager
def readable(files: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the paths of some files, as `located`; files of the hub are fetched into its cache.

    Raises:
        UserError: for what the hub does not give, and for other addresses.
    """
    with located(files) as locations:
        yield [path for location in locations for path in _local(location)]


def _location(name: str, folder: Path) -> str:
    if is_url(name):
        return name  # a `Path` would take one of its slashes
    path = Path(name)
    if name != "-" and not path.is_fifo():
        return str(path)
    data = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
    folder.mkdir()
    copy = folder / ("stdin.jsonl.gz" if data.startswith(_GZIP) else "stdin.jsonl")
    copy.write_bytes(data)
    return str(copy)


def _local(location: str) -> list[Path]:
    if not is_url(location):
        return [Path(location)]
    from watari.artifact.files import row_files_of
    from watari.artifact.hub import hub_place
    from watari.artifact.hub_files import hub_copy
    from watari.artifact.outside import dataset_location

    place = dataset_location(location)
    if hub_place(place) is None:
        raise UserError(
            f"{location}: is neither a file nor on the hub", "download it first, and name the file"
        )
    return [hub_copy(found.path) for found in row_files_of(place, "auto")]
