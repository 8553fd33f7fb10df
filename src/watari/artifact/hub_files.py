"""Files of a repository of the Hugging Face hub: their list, and their bytes.

- Files of up to `KEPT` bytes come through the hub's own cache, so that they are whole (a cut connection is taken up again)
  and can be read again without a network. Larger ones, a corpus' shards, are streamed and fill no disk.
- A list of files is kept beside the cache: without a network it tells a whole dataset from half of one.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO

from watari.artifact.hub import HUB, HubPlace, cache_folder, hub_place, note, refusal, remember, resolved
from watari.artifact.records import first_line
from watari.errors import UserError

_MARKS = "*?["
KEPT = 128 * 2**20
"""Bytes. Evaluation sets and most instruction sets are smaller, shards of web corpora are larger."""


def hub_files(location: str) -> list[str]:
    """Return the files of a place on the hub, sorted, named as the location is.

    Raises:
        UserError: if there are none, or the list cannot be had.
    """
    place = _place_of(location)
    root = f"{place.shown}/"
    found = _files(place)
    if not found:
        held = _files(replace(place, path="")) if place.path else ()
        more = f" and {len(held) - 8} more" if len(held) > 8 else ""
        raise UserError(
            f"{location}: no such file in this repository",
            f"it has {', '.join(held[:8])}{more}" if held else "it is empty",
        )
    return [root + name for name in found]


def open_hub_file(location: str) -> IO[bytes] | None:
    """Return the bytes of one file of the hub out of its cache, fetched if need be; None if it is to be streamed.

    Raises:
        UserError: if it cannot be had.
    """
    place = _place_of(location)
    commit, online = resolved(place)
    return None if online and _size(place, commit) > KEPT else open(hub_copy(location), "rb")


def hub_copy(location: str) -> Path:
    """Return where one file of the hub lies in its cache; it is fetched if need be, however large it is.

    Raises:
        UserError: if it cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    place = _place_of(location)
    commit, online = resolved(place)
    disable_progress_bars()
    try:
        local = hf_hub_download(
            place.name, place.path, repo_type=place.kind, revision=commit, local_files_only=not online
        )
    except LocalEntryNotFoundError as error:
        if online:
            raise UserError(
                f"{location}: cannot be fetched: {first_line(error.__cause__ or error)}", "run again"
            ) from None
        raise UserError(
            f"{location}: not in the hub's cache, and there is no network", "read it once with a network"
        ) from None
    except Exception as error:
        raise refusal(location, place, error) from None
    if online:
        remember(place, commit)
    return Path(local)


def streamed_path(location: str) -> str:
    """Return a location with its revision made a commit, as fsspec opens it."""
    place = _place_of(location)
    commit, _ = resolved(place)
    return f"{HUB}{place.kind}s/{place.name}@{commit}/{place.path}"


def _place_of(location: str) -> HubPlace:
    place = hub_place(location)
    if place is None:
        raise UserError(f"{location}: not a place on the hub", "write hf://datasets/org/name/path")
    return place


@lru_cache(maxsize=256)
def _files(place: HubPlace) -> tuple[str, ...]:
    """Return the paths of a place's files in its repository, sorted."""
    commit, online = resolved(place)
    if not online:
        return _cached_files(place, commit)
    try:
        found = tuple(sorted(_listed(place, commit)))
    except Exception as error:
        raise refusal(place.shown, place, error) from None
    note(_list_file(place, commit), json.dumps(found))
    return found


def _cached_files(place: HubPlace, commit: str) -> tuple[str, ...]:
    """Return what `_files` did when there was a network."""
    for known in (place, replace(place, path="")):
        with suppress(OSError, ValueError):
            found = tuple(map(str, json.loads(_list_file(known, commit).read_text("utf-8"))))
            if known == place:
                return found
            return tuple(name for name in found if _within(name, place.path))
    if place.path and (cache_folder(place) / "snapshots" / commit / place.path).is_file():
        return (place.path,)
    raise UserError(
        f"{place.shown}: the list of its files is not in the hub's cache, and there is no network",
        "read it once with a network",
    )


def _within(name: str, path: str) -> bool:
    """True if a file is what a path names, lies below it, or is matched by it."""
    from fsspec.utils import glob_translate

    if any(mark in path for mark in _MARKS):
        return re.fullmatch(glob_translate(path), name) is not None
    return name == path or name.startswith(f"{path}/")


def _listed(place: HubPlace, commit: str) -> list[str]:
    from huggingface_hub import HfFileSystem
    from huggingface_hub.errors import EntryNotFoundError

    system = HfFileSystem()
    root = f"{place.kind}s/{place.name}@{commit}"
    whole = f"{root}/{place.path}" if place.path else root
    if any(mark in place.path for mark in _MARKS):
        names = [name for name in map(str, system.glob(whole)) if system.info(name)["type"] == "file"]
    else:
        try:
            folder = system.info(whole)["type"] == "directory"
            names = list(map(str, system.find(whole))) if folder else [whole]
        except FileNotFoundError as error:
            # The library says this of everything that it could not look up.
            if isinstance(error.__cause__, EntryNotFoundError | FileNotFoundError | None):
                return []
            raise error.__cause__ from None
    return [name.removeprefix(f"{root}/") for name in names]


def _size(place: HubPlace, commit: str) -> int:
    """Return the bytes of a file; 0 where it cannot be told, and fetching it will say why."""
    from huggingface_hub import HfFileSystem

    with suppress(Exception):
        return int(HfFileSystem().info(f"{place.kind}s/{place.name}@{commit}/{place.path}")["size"] or 0)
    return 0


def _list_file(place: HubPlace, commit: str) -> Path:
    from huggingface_hub import cached_assets_path

    from watari.artifact.hashing import hash_text

    name = hash_text(f"{place.kind} {place.name} {place.path}")
    # The library makes the folder where it can.
    with suppress(OSError):
        return Path(cached_assets_path("watari", namespace="lists", subfolder=commit)) / f"{name}.json"
    return Path(name)
