"""A hub on loopback: as much of the Hugging Face hub's API as its library needs to look up, list and fetch repositories.

    hub.push("datasets/org/name", folder)         a commit of what lies in the folder; `main` points to it
    hub.push("models/org/tiny", folder, tag="v1")
    hub.repositories["datasets/org/name"].private = True
    hub.fault("/resolve/", status=503)            every request whose path holds this text is answered so
    hub.fault("a.jsonl", cut=100, times=1)        the first answer breaks off after 100 bytes of the body

The library reads its settings when it is imported: what talks to this hub runs in a process of its own, with `hub.settings`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_standin0000000000000000000000000"
_API = re.compile(
    r"/api/(?P<id>(?:models|datasets)/[^/]+/[^/]+)(?:/(?P<what>revision|tree|paths-info|refs)/?(?P<rest>.*))?"
)
_RESOLVE = re.compile(r"/(?P<id>(?:datasets/)?[^/]+/[^/]+)/resolve/(?P<rest>.+)")
_MISSING = {
    "RepoNotFound": "Repository not found",
    "RevisionNotFound": "Invalid rev id",
    "EntryNotFound": "Entry not found",
}


@dataclass
class Repository:
    """One repository: files by commit, names of commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False


@dataclass
class Fault:
    """What happens to requests whose path holds `within`: a status, or a body that breaks off; `times` is None for ever."""

    within: str
    status: int | None = None
    cut: int | None = None
    times: int | None = None


class HubStandIn:
    """The hub, while it is served.

    Args:
        url: Where.
        asked: (method, path) of every request, in the order in which they came.
        tokens: Every `Authorization` that came.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.repositories: dict[str, Repository] = {}
        self._faults: list[Fault] = []

    def push(self, name: str, files: Path | Mapping[str, bytes], *, tag: str | None = None) -> str:
        """Add a commit; return its hash, which follows from the files."""
        if isinstance(files, Path):
            found = [path for path in sorted(files.rglob("*")) if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        held = dict(sorted(files.items()))
        commit = hashlib.sha1(repr((name, held)).encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[commit] = held
        repository.refs["main"] = commit
        if tag is not None:
            repository.refs[tag] = commit
        return commit

    def fault(
        self, within: str, *, status: int | None = None, cut: int | None = None, times: int | None = None
    ) -> None:
        self._faults.append(Fault(within, status, cut, times))

    def mend(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def fault_of(self, path: str) -> Fault | None:
        for one in self._faults:
            if one.within in path and one.times != 0:
                if one.times is not None:
                    one.times -= 1
                return one
        return None

    def fetched(self) -> list[str]:
        """Return the names of files whose bytes were asked for, in order."""
        return [
            path.rsplit("/", 1)[1] for method, path in self.asked if method == "GET" and "/resolve/" in path
        ]

    def settings(self, home: Path, *, offline: bool = False, token: str | None = None) -> dict[str, str]:
        """Return the environment of a process that talks to this hub and keeps its cache in `home`."""
        return settings(self.url, home, offline=offline, token=token)


def settings(url: str, home: Path, *, offline: bool = False, token: str | None = None) -> dict[str, str]:
    """Return the environment of a process whose hub is at `url`, with nothing of the tester's own hub."""
    import watari

    own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {
        **own,
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(Path(watari.__file__).parents[1]),
        **({"HF_TOKEN": token} if token else {}),
    }


def run_python(
    arguments: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment to its end."""
    return subprocess.run(
        [sys.executable, *arguments], env=dict(environment), cwd=cwd, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@contextmanager
def serving() -> Iterator[HubStandIn]:
    """Serve an empty hub on a free port."""
    handler = type("ThisHub", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.hub = hub = HubStandIn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.hub.asked.append((self.command, path))
        if given := self.headers.get("Authorization"):
            self.hub.tokens.add(given)
        fault = self.hub.fault_of(path)
        if fault is not None and fault.status is not None:
            self._send(b'{"error": "a fault"}', {"Content-Type": "application/json"}, fault.status)
        elif found := _API.fullmatch(path):
            self._api(found["id"], found["what"] or "", found["rest"] or "", parse_qs(address.query))
        elif found := _RESOLVE.fullmatch(path):
            name = found["id"] if found["id"].startswith("datasets/") else f"models/{found['id']}"
            self._file(name, found["rest"], fault.cut if fault else None)
        else:
            self._refuse("EntryNotFound")

    do_HEAD = do_POST = do_GET

    def _api(self, name: str, what: str, rest: str, query: Mapping[str, list[str]]) -> None:
        repository = self._open(name)
        if repository is None:
            return
        if what == "refs":
            branches = [
                {"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in repository.refs.items()
            ]
            self._json({"branches": branches, "tags": [], "converts": []})
            return
        commit, inside = self._commit(repository, rest or "main")
        if commit is None:
            self._refuse("RevisionNotFound")
            return
        files = repository.commits[commit]
        if what == "tree":
            entries = _entries(files, inside, recursive=query.get("recursive", [""])[0].lower() == "true")
            if inside and not entries:
                self._refuse("EntryNotFound")
            else:
                self._json(entries)
        elif what == "paths-info":
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            wanted = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body).get("paths", [])
            everything = _entries(files, "", recursive=True)
            self._json([entry for entry in everything if entry["path"] in wanted])
        else:
            siblings = [{"rfilename": file} for file in files]
            about = {
                "id": name.partition("/")[2],
                "sha": commit,
                "siblings": siblings,
                "private": repository.private,
            }
            self._json({**about, "gated": repository.gated, "tags": [], "downloads": 0, "likes": 0})

    def _file(self, name: str, rest: str, cut: int | None) -> None:
        repository = self._open(name)
        if repository is None:
            return
        commit, inside = self._commit(repository, rest)
        if commit is None:
            self._refuse("RevisionNotFound")
            return
        if inside not in repository.commits[commit]:
            self._refuse("EntryNotFound", {"X-Repo-Commit": commit})
            return
        body = repository.commits[commit][inside]
        headers = {
            "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        status = 200
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(asked[1]), int(asked[2]) if asked[2] else len(body) - 1
            headers["Content-Range"] = f"bytes {start}-{min(end, len(body) - 1)}/{len(body)}"
            body, status = body[start : end + 1], 206
        self._send(body, headers, status, cut)

    def _open(self, name: str) -> Repository | None:
        """Return a repository that whoever asks may read; else refuse, as the hub does: with 401 without a token."""
        repository = self.hub.repositories.get(name)
        given = self.headers.get("Authorization")
        if given is not None and given != f"Bearer {TOKEN}":
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._send(b'{"error": "Invalid credentials"}', message, 401)
            return None
        if repository is None or (repository.private and given is None):
            if given is None:
                message = "Invalid username or password."
                self._send(json.dumps({"error": message}).encode(), {"X-Error-Message": message}, 401)
            else:
                self._refuse("RepoNotFound")
            return None
        if repository.gated and "/resolve/" in self.path and given is None:
            self._send(
                b"{}",
                {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted"},
                401,
            )
            return None
        return repository

    def _commit(self, repository: Repository, rest: str) -> tuple[str | None, str]:
        """Return (commit, path inside) of `revision/path`; a revision may hold a slash."""
        for name, commit in {**repository.refs, **{known: known for known in repository.commits}}.items():
            if rest == name or rest.startswith(f"{name}/"):
                return commit, rest[len(name) + 1 :]
        return None, ""

    def _refuse(self, code: str, headers: Mapping[str, str] | None = None) -> None:
        says = {"X-Error-Code": code, "X-Error-Message": _MISSING[code], **(headers or {})}
        self._send(json.dumps({"error": _MISSING[code]}).encode(), says, 404)

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self, body: bytes, headers: Mapping[str, str], status: int = 200, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])


def _entries(files: Mapping[str, bytes], inside: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Return what the hub says of the files and folders below a folder."""
    root = f"{inside}/" if inside else ""
    found: dict[str, dict[str, Any]] = {}
    for path, body in files.items():
        if not path.startswith(root):
            continue
        parts = path[len(root) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            folder = root + "/".join(parts[:depth])
            found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
        if recursive or len(parts) == 1:
            found[path] = {
                "type": "file",
                "path": path,
                "size": len(body),
                "oid": hashlib.sha1(body).hexdigest(),
            }
    return list(found.values())
