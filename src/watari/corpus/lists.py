"""Lists of hosts, URLs, licences and opt-outs: documents that must not be in the corpus whatever they say.

Lists are plain text, one entry a line, packed or not (.gz, .zst); `#` starts a comment. They are compiled once into
one sorted array of hashes (4.6 M domains of UT1's adult list: 46 MB), which workers load and ask.

    host lists   `example.com`: the host and all below it. UT1's `domains`, hosts files (`0.0.0.0 example.com`), adblock
                 domains (`||example.com^`), `*.example.com` and whole URLs (of which the host counts) are read too.
    URL lists    `example.com/page`: this URL; `example.com/folder/`: everything below it; `*`: any characters.
                 A scheme, credentials, a port, `www.`, the case of the host and %-escapes do not count.
    opt-outs     any of these, or the id or key of a document; a bare host stands for all of it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.files import RowFile, lines, row_files_of
from watari.artifact.params import OneOrMore, OutsidePath
from watari.artifact.records import Fault
from watari.corpus.addresses import SCHEME, split_url
from watari.corpus.licenses import LicenseRule
from watari.corpus.table import dropped
from watari.errors import UserError

LISTED_HOST, LISTED_URL, LICENSE, OPTED_OUT = "listed host", "listed URL", "licence", "opted out"
_FORM = 1
_HOSTS_FILE = re.compile(r"^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(?=\S)")

Paths = Annotated[list[OutsidePath], OneOrMore]


class ListParams(BaseModel):
    """Which documents are not to be used, by where they come from and under which licence."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hosts: Paths = Field(
        default_factory=list,
        description="files or folders of host lists, one domain a line (UT1's `domains`)",
    )
    urls: Paths = Field(default_factory=list, description="files of URLs, folders (`…/`) and patterns (`*`)")
    opt_out: Paths = Field(
        default_factory=list,
        description="files of URLs, hosts and document ids or keys whose owners have opted out or asked for a"
        " takedown; the corpus is built again without them",
    )
    licenses_allowed: Annotated[list[str], OneOrMore] = Field(
        default_factory=list,
        description="licences to keep, e.g. [CC0-1.0, CC-BY, apache-2.0]; without a version any version, `*` any"
        " characters. Default: all that are not denied",
    )
    licenses_denied: Annotated[list[str], OneOrMore] = Field(
        default_factory=list, description="licences to drop, written in the same way, e.g. [`*-nc*`, `*-nd*`]"
    )
    license_missing: Literal["keep", "drop"] = Field(
        default="keep", description="what becomes of documents that say no licence"
    )


@dataclass(frozen=True)
class Lists:
    """Compiled lists. The same files give the same arrays.

    Args:
        names: Of the lists, opt-outs first; in details of verdicts.
        reasons: Of each list's matches.
        hashes: uint64, sorted: xxh3-64 of entries, the kind before each (`h:` host, `u:` URL, `p:` folder, `i:` id).
        owners: uint16: the first list with that entry.
        patterns: (list's number, regular expression) of URLs with `*`.
        licenses: What licences may be.
    """

    names: tuple[str, ...]
    reasons: tuple[str, ...]
    hashes: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.uint16]
    patterns: tuple[tuple[int, re.Pattern[str]], ...]
    licenses: LicenseRule

    def save(self, path: Path) -> None:
        """Write them as .npz, without pickles; the same lists give the same bytes."""
        head = {
            "form": _FORM,
            "names": self.names,
            "reasons": self.reasons,
            "patterns": [(number, pattern.pattern) for number, pattern in self.patterns],
            "licenses": vars(self.licenses),
        }
        text = json.dumps(head, ensure_ascii=False, sort_keys=True).encode()
        with path.open("wb") as file:
            np.savez(file, head=np.frombuffer(text, np.uint8), hashes=self.hashes, owners=self.owners)

    @staticmethod
    def load(path: Path) -> Lists:
        """Return saved lists.

        Raises:
            UserError: if the file is none.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                head = json.loads(file["head"].tobytes())
                hashes, owners = file["hashes"], file["owners"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise UserError(f"{path}: not compiled lists: {error}", "compile them again") from None
        if head.get("form") != _FORM:
            raise UserError(f"{path}: lists compiled by another version", "compile them again")
        rule = head["licenses"]
        return Lists(
            tuple(head["names"]),
            tuple(head["reasons"]),
            hashes,
            owners,
            tuple((number, re.compile(pattern)) for number, pattern in head["patterns"]),
            LicenseRule(tuple(rule["allowed"]), tuple(rule["denied"]), rule["keep_missing"]),
        )


def compile_lists(params: ListParams) -> Lists:
    """Return the lists that `params` names.

    Raises:
        UserError: if a file cannot be read, or holds a line that is no entry of such a list.
    """
    names: list[str] = []
    reasons: list[str] = []
    hashes, owners = array("Q"), array("H")
    patterns: list[tuple[int, str]] = []
    for locations, reason in (
        (params.opt_out, OPTED_OUT),
        (params.hosts, LISTED_HOST),
        (params.urls, LISTED_URL),
    ):
        for location in sorted(locations):
            for name, entries in _list_files(location):
                for where, entry in entries:
                    for item in _entries(entry, reason, where):
                        if item.startswith("*:"):
                            patterns.append((len(names), item[2:]))
                        else:
                            hashes.append(_hash(item))
                            owners.append(len(names))
                names.append(name)
                reasons.append(reason)
                if len(names) > np.iinfo(np.uint16).max:
                    raise UserError(f"{location}: more than {len(names) - 1:,} lists", "put them together")
    entries_found = np.frombuffer(hashes, np.uint64) if hashes else np.zeros(0, np.uint64)
    unique, first = np.unique(entries_found, return_index=True)
    whose = np.frombuffer(owners, np.uint16)[first] if owners else np.zeros(0, np.uint16)
    return Lists(
        tuple(names),
        tuple(reasons),
        unique,
        whose,
        tuple((number, re.compile(pattern)) for number, pattern in sorted(set(patterns))),
        LicenseRule.of(
            params.licenses_allowed, params.licenses_denied, keep_missing=params.license_missing == "keep"
        ),
    )


def _list_files(location: str) -> Iterator[tuple[str, Iterator[tuple[str, str]]]]:
    """Yield (name, its lines as (where it stands, text)) of each file of a location."""
    for found in row_files_of(location, "txt"):
        yield found.name or PurePosixPath(found.path).name, _lines_of(found)


def _lines_of(found: RowFile) -> Iterator[tuple[str, str]]:
    for item in lines(found):
        if isinstance(item, Fault):
            raise UserError(str(item))
        number, raw = item
        text = re.sub(r"(?:^|\s)#.*$", "", raw.decode("utf-8", "replace").strip()).strip()
        if text:
            yield f"{found.path}: line {number}", text


def _entries(text: str, reason: str, where: str) -> Iterator[str]:
    """Yield what one line of a list stands for, each with its kind before it."""
    if reason == LISTED_HOST:
        text = _HOSTS_FILE.sub("", text).split()[0]
        text = text.removeprefix("||").removesuffix("^").removeprefix("*.")
        address = split_url(text)
        if address is None:
            raise UserError(f"{where}: '{text}' is not a host", "one domain a line")
        yield f"h:{address.host}"
        return
    kind, _, named = text.partition(":")
    if reason == OPTED_OUT:
        if kind in ("id", "key") and named.strip():
            yield f"i:{named.strip()}"
            return
        yield f"i:{text}"
    if "*" in text:
        yield "*:" + _pattern(text)
        return
    address = split_url(text)
    if address is None:
        if reason == LISTED_URL:
            raise UserError(f"{where}: '{text}' is not a URL", "one URL a line")
        return
    bare = not SCHEME.match(text) and not any(mark in text for mark in "/?#")
    if bare and reason == OPTED_OUT:
        if "." in address.host:
            yield f"h:{address.host}"
    elif text.endswith("/") or bare:
        yield f"p:{address.site}{address.path.rstrip('/')}/"
    else:
        yield f"u:{address.site}{address.path}"


def _pattern(text: str) -> str:
    bare = SCHEME.sub("", unicodedata.normalize("NFC", unquote(text)).strip())
    head, slash, rest = bare.partition("/")
    head = re.sub(r":\d*$", "", head.rpartition("@")[2]).lower().removeprefix("www.")
    return "".join(
        ".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", head + slash + rest)
    )


def _hash(entry: str) -> int:
    return int(xxhash.xxh3_64_intdigest(entry.encode("utf-8", "surrogatepass")))


def apply(table: pa.Table, lists: Lists) -> pa.Table:
    """Return the table with verdicts `opted out`, `listed host`, `listed URL` and `licence`, in this order.

    The detail names the entry and its list, or the licence. A row without a URL can only be opted out by id or key,
    or dropped for its licence.
    """
    verdicts: dict[int, tuple[str, str]] = {}
    licenses = table.column("license").to_pylist()
    for row, license in enumerate(licenses):
        if (fault := lists.licenses.fault(license)) is not None:
            verdicts[row] = (LICENSE, fault)
    if lists.names:
        verdicts |= _listed(table, lists)
    rows = sorted(verdicts)
    return dropped(
        table,
        np.array(rows, np.int64),
        [verdicts[row][0] for row in rows],
        detail=[verdicts[row][1] for row in rows],
    )


def _listed(table: pa.Table, lists: Lists) -> dict[int, tuple[str, str]]:
    names = [table.column(name).to_pylist() for name in ("key", "id", "url")]
    asked: list[str] = []
    rows: list[int] = []
    best: dict[int, tuple[int, str]] = {}
    for row, (key, own, url) in enumerate(zip(*names, strict=True)):
        keys = [f"i:{name}" for name in (key, own, url) if name]
        address = split_url(url) if url else None
        if address is not None:
            keys += [f"h:{domain}" for domain in address.domains]
            keys.append(f"u:{address.site}{address.path}")
            if address.path.endswith("/") and address.path != "/":
                keys.append(f"u:{address.site}{address.path.rstrip('/')}")
            keys += [f"p:{folder}" for folder in address.folders]
            for number, pattern in lists.patterns:
                if pattern.fullmatch(address.site + address.path):
                    best[row] = min(best.get(row, (number, url)), (number, url))
        asked += keys
        rows += [row] * len(keys)
    if len(lists.hashes) and asked:
        hashes = np.array([_hash(entry) for entry in asked], np.uint64)
        places = np.searchsorted(lists.hashes, hashes)
        places[places == len(lists.hashes)] = 0
        for index in np.flatnonzero(lists.hashes[places] == hashes).tolist():
            found = (int(lists.owners[places[index]]), asked[index][2:])
            row = rows[index]
            if row not in best or found[0] < best[row][0]:
                best[row] = found
    return {
        row: (lists.reasons[number], f"{entry} in {lists.names[number]}")
        for row, (number, entry) in best.items()
    }
