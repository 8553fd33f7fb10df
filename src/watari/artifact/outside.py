"""Things outside the store that a recipe names: local paths, the demo world, the Hugging Face hub, object stores."""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import suppress
from pathlib import Path

import watari
from watari.artifact.hashing import hash_path, hash_text
from watari.artifact.hub import HUB, hub_commit
from watari.errors import UserError

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_PACKAGE = "package://"
_PACKAGED = {
    "mistral-v1": ("mistral_common", "data/tokenizer.model.v1"),
    "mistral-v3": ("mistral_common", "data/mistral_instruct_tokenizer_240323.model.v3"),
    "tekken": ("mistral_common", "data/tekken_240718.json"),
}
"""Files that travel inside a library: the tokenizers of Mistral 7B v0.1 and v0.3 and of Nemo 12B (Apache-2.0)."""
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")
"""A file's suffix starts with a letter; what stands behind the dot of `org/Model-7B-v0.1` is a version."""


def is_url(location: str) -> bool:
    """True for `scheme://…`."""
    return bool(_SCHEME.match(location))


def is_hub_id(location: str) -> bool:
    """True for `org/name` where no such local path exists."""
    return bool(_HUB_ID.match(location)) and not Path(location).exists()


def looks_like_repository(location: str) -> bool:
    """True for `org/name` that is no local path and has no file's suffix."""
    return is_hub_id(location) and not _FILE_SUFFIX.search(location)


def dataset_location(location: str) -> str:
    """Return a location as it is read and hashed: `org/name` and `hf://org/name` mean a dataset of the hub."""
    if location.startswith(HUB) and location.split("/")[2] not in ("datasets", "spaces", "buckets"):
        return f"{HUB}datasets/{location.removeprefix(HUB)}"
    if looks_like_repository(location):
        return f"{HUB}datasets/{location}"
    return location


def locate(location: str, folder: Path) -> str:
    """Return `location` as it should stand in a validated recipe: relative paths become absolute.

    Args:
        location: As written: `data/x.jsonl`, `~/x`, `demo://…`, `hf://org/name`, `org/name`.
        folder: The folder of the recipe file in which it was written.
    """
    if is_url(location):
        return location
    # Links are not followed: a file of the hub's cache is a link to a blob whose name says nothing of its format.
    written = Path(location)
    with suppress(RuntimeError):
        # A `~name` of nobody stays as it is, and is then told as a file that is not there.
        written = written.expanduser()
    local = Path(os.path.normpath(folder.absolute() / written))
    if not local.exists() and _HUB_ID.match(location) and not _FILE_SUFFIX.search(location):
        return location
    return str(local)


def fingerprint(location: str, revision: str | None = None) -> str:
    """Return what stands for the content of `location` in a key.

    A local file gives the xxh128 of its bytes and of its suffix (which says how it is read), a folder that of every
    file below it with its name, a glob that of every file that it matches, `demo://` the code that generates it,
    `package://` the hash of the file that it names, a hub repository the commit that `revision` (default: main)
    points to. Where a local file lies does not count.

    Raises:
        UserError: if it does not exist or cannot be reached.
    """
    if location.startswith("demo://"):
        world = Path(watari.__file__).parent / "demo"
        code = "".join(hash_text(path.read_text("utf-8")) for path in sorted(world.glob("*.py")))
        return hash_text(f"{code} {location}")
    if location.startswith(_PACKAGE):
        return hash_path(packaged_file(location))
    if (location.startswith(HUB) and not location.startswith(f"{HUB}buckets/")) or is_hub_id(location):
        return hub_commit(location.removeprefix(HUB), revision)
    if is_url(location):
        return _remote_fingerprint(location)
    path = Path(location)
    try:
        if path.is_file():
            return hash_text(f"{_reading_suffix(path)} {hash_path(path)}")
        if path.is_dir():
            return hash_path(path)
        if not any(mark in location for mark in "*?["):
            raise UserError(f"{location}: no such file or folder")
        matches = local_files(location)
        root = os.path.commonpath([str(Path(match).parent) for match in matches])
        return hash_text(
            "\n".join(f"{os.path.relpath(match, root)} {hash_path(Path(match))}" for match in matches)
        )
    except OSError as error:
        raise UserError(f"{error.filename or location}: cannot be read: {error.strerror}") from None


def _reading_suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] in ([".gz"], [".zst"]) else suffixes[-1:])


def packaged_file(location: str) -> Path:
    """Return the file that a `package://NAME` stands for: a data file inside an installed library.

    Raises:
        UserError: if no such name is known, or the library is not installed.
    """
    name = location.removeprefix(_PACKAGE)
    if name not in _PACKAGED:
        raise UserError(
            f"{location}: no such packaged file", f"known: {', '.join(_PACKAGE + n for n in _PACKAGED)}"
        )
    library, path = _PACKAGED[name]
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        raise UserError(f"{location}: needs the Python package {library.replace('_', '-')}", "pip install it")
    return Path(spec.origin).parent / path


def local_files(location: str) -> list[str]:
    """Return the files that a path, folder or glob stands for, sorted.

    Raises:
        UserError: if there are none.
    """
    import glob

    path = Path(location)
    if path.is_dir():
        found = sorted(str(p) for p in path.rglob("*") if p.is_file())
    elif path.is_file():
        found = [str(path)]
    else:
        found = sorted(p for p in glob.glob(location, recursive=True) if Path(p).is_file())
    if not found:
        raise UserError(f"{location}: no such file", "check the path; it is relative to the recipe file")
    return found


def _remote_fingerprint(location: str) -> str:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(location)
        listed = sorted(system.glob(path)) if any(mark in path for mark in "*?[") else [path]
        parts = [f"{name} {system.checksum(name)}" for name in listed]
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{location}: cannot be read: {reason}") from None
    return hash_text("\n".join(parts))
