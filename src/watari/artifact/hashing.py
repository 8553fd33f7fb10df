"""xxh128 over bytes, files, folders and canonical JSON.

xxh128 is an integrity hash, not a signature: it finds damage and change, not an attacker.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

_CHUNK = 1 << 20


def hash_bytes(data: bytes) -> str:
    """Return the xxh128 of `data` as 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def hash_text(text: str) -> str:
    """Return the xxh128 of the UTF-8 form of `text`; lone surrogates are kept apart, not refused."""
    return hash_bytes(text.encode("utf-8", "surrogatepass"))


def hash_file(path: Path) -> str:
    """Return the xxh128 of a file's bytes, read in 1 MiB blocks."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK):
            digest.update(block)
    return str(digest.hexdigest())


def canonical_json(value: Any) -> str:
    """Return the one JSON form of `value`: keys sorted, no blanks, UTF-8 kept, floats by `repr`.

    Raises:
        ValueError: for NaN or infinity, which JSON cannot carry and which would compare unequal to themselves.
    """
    _refuse_non_finite(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def hash_json(value: Any) -> str:
    """Return the xxh128 of the canonical JSON of `value`."""
    return hash_text(canonical_json(value))


def hash_files(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a set of content files, given as (relative POSIX path, xxh128).

    The order in which they are given does not matter: the pairs are sorted by path.
    """
    return hash_json(sorted([path, digest] for path, digest in files))


def hash_path(path: Path) -> str:
    """Return the hash of an outside file, or of every file below an outside folder (names included)."""
    if path.is_dir():
        below = sorted(p for p in path.rglob("*") if p.is_file())
        return hash_files((p.relative_to(path).as_posix(), hash_file(p)) for p in below)
    return hash_file(path)


def _refuse_non_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"not a finite number: {value!r}")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_non_finite(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_non_finite(item)
