"""Repositories of the Hugging Face hub: what a location names, the commit that it stands for, and why there is none.

- Within a process a name stands for one commit, whatever is pushed meanwhile: what is read is what the key names.
- Without a network (or with HF_HUB_OFFLINE=1) the cache says what a name stood for when it was last read.
- The library hides behind "no such file" that a token is missing or a server down, so the hub is asked for the commit first,
  once and without retries: that answer says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from watari.errors import UserError

HUB = "hf://"
_TIMEOUT = 10.0
_LOCATION = re.compile(
    r"^hf://(?P<kind>datasets|spaces)/(?P<name>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?$"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")

RepoKind = Literal["model", "dataset", "space"]
_PINNED: dict[tuple[RepoKind, str, str], str] = {}


@dataclass(frozen=True)
class HubPlace:
    """A place in a repository.

    Args:
        kind: Of the repository.
        name: `org/name`.
        revision: Branch, tag or commit.
        path: Below the repository; "" is all of it; may be a glob.
    """

    kind: RepoKind
    name: str
    revision: str = "main"
    path: str = ""

    @property
    def shown(self) -> str:
        """The repository as a person would name it."""
        plain = re.fullmatch(r"refs/(?:convert|pr)/[^/]+", self.revision)
        at = (
            "" if self.revision == "main" else f"@{self.revision if plain else quote(self.revision, safe='')}"
        )
        return self.name + at if self.kind == "model" else f"{HUB}{self.kind}s/{self.name}{at}"


def hub_place(location: str) -> HubPlace | None:
    """Return the place that `hf://datasets/org/name[@revision][/path]` names; None for anything else."""
    found = _LOCATION.match(location)
    if found is None:
        return None
    kind: RepoKind = "dataset" if found["kind"] == "datasets" else "space"
    return HubPlace(
        kind, found["name"], unquote(found["revision"] or "main"), (found["path"] or "").strip("/")
    )


def model_place(repository: str, revision: str | None = None) -> HubPlace:
    """Return the place of a model: `org/name`, with `@revision` if it says one; `revision` goes before that."""
    name, _, at = repository.partition("@")
    return HubPlace("model", "/".join(name.split("/")[:2]), revision or at or "main")


def hub_commit(repository: str, revision: str | None = None) -> str:
    """Return the commit of a repository: `org/name` (a model) or `datasets/org/name`, with `@revision` if it says one.

    Offline, the commit that the local cache holds is taken.

    Raises:
        UserError: if the hub refuses, or does not answer and the cache does not hold it.
    """
    place = hub_place(f"{HUB}{repository}") or model_place(repository)
    return resolved(place if revision is None else replace(place, revision=revision)).commit


def pin(outside: Mapping[str, str]) -> None:
    """Make datasets stand for the commits that a key names, in this process, whatever was pushed since.

    Args:
        outside: Location → fingerprint, as a manifest has them; what is no dataset of the hub is passed over.
    """
    for location, commit in outside.items():
        place = hub_place(location)
        if place is not None:
            _PINNED[place.kind, place.name, place.revision] = commit


class Resolved(NamedTuple):
    """What a name stands for.

    Args:
        commit: Its hash.
        online: Whether the hub said so, or else its cache.
    """

    commit: str
    online: bool


def resolved(place: HubPlace) -> Resolved:
    """Return what a repository's revision stands for; the same answer throughout the process.

    Raises:
        UserError: as `hub_commit`.
    """
    pinned = _PINNED.get((place.kind, place.name, place.revision), place.revision)
    return _asked(place.kind, place.name, pinned)


@cache
def _asked(kind: RepoKind, name: str, revision: str) -> Resolved:
    from huggingface_hub import HfApi

    place = HubPlace(kind, name, revision)
    try:
        sha = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=_TIMEOUT).sha
    except Exception as error:
        told = refusal(place.shown, place, error)
        if not _refuses(error):
            with suppress(OSError):
                return Resolved((cache_folder(place) / "refs" / revision).read_text("utf-8").strip(), False)
            if _COMMIT.fullmatch(revision) and (cache_folder(place) / "snapshots" / revision).is_dir():
                return Resolved(revision, False)
        raise told from None
    return Resolved(str(sha), True)


def _refuses(error: Exception) -> bool:
    """True if the hub did answer, and what it said will not change by waiting."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code < 500 and error.response.status_code != 429
    return isinstance(error, HFValidationError)


def refusal(location: str, place: HubPlace, error: Exception) -> UserError:
    """Return what is wrong in one line; a token is never in it."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # `org/name` alone is how a local folder may be meant.
    here = f"{location}: not a local path, and" if place.kind == "model" else f"{location}:"
    if isinstance(error, OfflineModeIsEnabled):
        return UserError(
            f"{here} HF_HUB_OFFLINE is set and the hub's cache does not hold it",
            "read it once with a network",
        )
    if isinstance(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{'' if place.kind == 'model' else place.kind + 's/'}{place.name}"
        return UserError(
            f"{here} the hub gives it only to those who accepted its terms",
            f"accept them at {page}, and put a token into HF_TOKEN",
        )
    answer = error.response if isinstance(error, HfHubHTTPError) else None
    status = answer.status_code if answer is not None else 0
    if answer is not None and "Invalid credentials" in answer.headers.get("X-Error-Message", ""):
        return UserError(f"{here} the hub does not take the token in HF_TOKEN", "give another, or none")
    # 401 is also what it says to nobody in particular of what it does not have.
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        mend = (
            "check the name, and whether the token in HF_TOKEN may read it"
            if get_token()
            else "check the name; for a private one put a token into HF_TOKEN"
        )
        return UserError(f"{here} the hub has no such {place.kind}, or a private one", mend)
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"{here} no revision '{place.revision}' on the hub", "give a branch, tag or commit of it"
        )
    if isinstance(error, EntryNotFoundError):
        return UserError(f"{location}: no such file on the hub", "check the path")
    if status:
        mend = "check the token in HF_TOKEN" if status == 403 else "run again later, or give a local path"
        return UserError(f"{here} the hub answers with HTTP status {status}", mend)
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return UserError(
        f"{here} the hub does not answer: {reason[0]}",
        "check the name, or give a local path; with no network, download it first",
    )


def cache_folder(place: HubPlace) -> Path:
    """Return the repository's folder in the hub's cache: refs/, snapshots/, blobs/."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=place.name, repo_type=place.kind)


def remember(place: HubPlace, commit: str) -> None:
    """Write into the hub's cache what a name stands for, once its files are there, as the library does for a branch."""
    if place.revision != commit:
        note(cache_folder(place) / "refs" / place.revision, commit)


def note(path: Path, text: str) -> None:
    """Write a small file for later; a cache that cannot be written is only no cache."""
    from watari.artifact import atomic

    with suppress(OSError, UserError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, text)
