"""What the parts of the endpoint benchmark share: the scripted server, clients in processes of their own, peers' environments."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.endpoint.replay import serving

HERE = Path(__file__).resolve().parent
CLIENTS = HERE / "endpoint_clients"
SERVER = "latency=200&sd=50"
FAULTS = "rate_429=0.01&rate_500=0.01"
ANSWER_BYTES = 1700


@dataclass(frozen=True)
class Peer:
    """A client of others.

    Args:
        name: As claims say it.
        script: In `endpoint_clients`.
        environment: The virtual environment's name; "" for the one that this runs in.
        packages: To be installed in it.
        shown: The package whose version is told.
        arguments: More for the script.
    """

    name: str
    script: str
    environment: str = ""
    packages: tuple[str, ...] = ()
    shown: str = ""
    arguments: tuple[str, ...] = ()


OURS = Peer("ours", "ours.py")
AIOHTTP = Peer("plain aiohttp, no ledger", "plain_aiohttp.py", shown="aiohttp")
PEERS = (
    AIOHTTP,
    Peer("AsyncOpenAI", "openai_python.py", "openai", ("openai[aiohttp]",), "openai"),
    Peer(
        "AsyncOpenAI with DefaultAioHttpClient",
        "openai_python.py",
        "openai",
        ("openai[aiohttp]",),
        "openai",
        ("--aiohttp",),
    ),
    Peer("litellm.acompletion", "litellm_client.py", "litellm", ("litellm",), "litellm"),
    # distilabel needs requests and does not ask for it.
    Peer(
        "distilabel", "distilabel_client.py", "distilabel", ("distilabel[openai]", "requests"), "distilabel"
    ),
    Peer("curator", "curator_client.py", "curator", ("bespokelabs-curator",), "bespokelabs-curator"),
)


def say(text: str) -> None:
    """Write a line for people to stderr."""
    print(text, file=sys.stderr, flush=True)


def peers_folder() -> Path:
    """Return the folder of the peers' virtual environments."""
    return Path(os.environ.get("WATARI_PEERS", Path(tempfile.gettempdir()) / "watari-peers"))


def python_of(peer: Peer) -> str | None:
    """Return the interpreter that has a peer, which is installed if it is not there; None if it cannot be."""
    if not peer.environment:
        return sys.executable
    folder = peers_folder() / peer.environment
    python = folder / "bin" / "python"
    if _version(str(python), peer.shown):
        return str(python)
    say(f"installing {' '.join(peer.packages)} into {folder} ...")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *peer.packages]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        told = getattr(error, "stderr", None) or b""
        say(f"{peer.name} is left out: {(told.decode().strip().splitlines() or [str(error)])[-1]}")
        return None
    return str(python) if _version(str(python), peer.shown) else None


def _version(python: str, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, encoding="utf-8", check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def told_version(peer: Peer) -> str:
    """Return `litellm 1.80.1`, or the peer's name with its package's version where they differ."""
    python = python_of(peer)
    version = f"{peer.shown} {_version(python, peer.shown)}" if python and peer.shown else ""
    return version if peer.name.startswith(peer.shown) else f"{peer.name}, {version}".strip(", ")


@contextmanager
def server(script: str = "filler", settings: str = f"{SERVER}&{FAULTS}") -> Iterator[str]:
    """Serve a script in a process of its own; yields the address, up to and including /v1."""
    with serving(f"replay://{script}?{settings}") as base:
        yield base


def stats(base: str, *, again: bool = False) -> dict[str, Any]:
    """Return the server's counters; with `again`, they begin anew."""
    url = f"{base.removesuffix('/v1')}/stats"
    with urllib.request.urlopen(urllib.request.Request(url, b"" if again else None), timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@dataclass(frozen=True)
class Ran:
    """What a client did.

    Args:
        rows: Answered, as the client says; as the server says where it did not end.
        lost: Rows that it gave up.
        seconds: Of wall time, from its first row to its last; the limit where it did not end.
        cpu: Seconds of processor time of the client and its processes over the same time; 0 where it did not end.
        finished: False if it was stopped at the limit, or failed.
        more: What else it tells.
        why: The last line of its complaint, if it failed.
        started: When its process was started, by the clock on the wall.
    """

    rows: int
    lost: int
    seconds: float
    cpu: float
    finished: bool
    more: dict[str, Any]
    why: str = ""
    started: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time a row."""
        return 1000 * self.cpu / self.rows if self.rows else 0.0


def run_client(
    peer: Peer,
    base: str,
    rows: int,
    concurrency: int,
    *,
    limit: float,
    more: tuple[str, ...] = (),
    folder: Path | None = None,
) -> Ran | None:
    """Run a client until it is done or `limit` seconds are over; None if it cannot be installed.

    Args:
        peer: Which.
        base: The server's address.
        rows, concurrency: The work.
        limit: In seconds; the process and all of its children are killed then.
        more: Further arguments.
        folder: Where it may write; default: one of its own, removed afterwards.
    """
    python = python_of(peer)
    if python is None:
        return None
    own = Path(tempfile.mkdtemp(prefix="watari-endpoint-")) if folder is None else folder
    command = [
        *(python, str(CLIENTS / peer.script), "--url", base, "--rows", str(rows)),
        *("--concurrency", str(concurrency), "--folder", str(own), *peer.arguments, *more),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(CLIENTS)])
        if not peer.environment
        else str(CLIENTS),
        "OPENAI_API_KEY": "none",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HOME": str(own),
        "no_proxy": "127.0.0.1",
    }
    began, started = time.monotonic(), time.time()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
        cwd=own,
        start_new_session=True,
    )
    try:
        out, complaint = child.communicate(timeout=limit)
        ended = True
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, complaint = child.communicate()
        ended = False
    finally:
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)
    lines = [line for line in out.splitlines() if line.startswith('{"rows"')]
    if not lines:
        why = f"not finished in {limit:g} s" if not ended else (complaint.strip().splitlines() or ["?"])[-1]
        answered = int(stats(base)["bodies_answered"])
        return Ran(answered, 0, time.monotonic() - began, 0.0, False, {}, why[:200], started)
    told = json.loads(lines[-1])
    known = {name: told.pop(name) for name in ("rows", "lost", "seconds", "cpu")}
    return Ran(**known, finished=True, more=told, started=started)


def sizes(text: str) -> str:
    """Return what a claim says of its sizes, with the cores."""
    return f"{text}; {os.cpu_count()} cores"


def load() -> str:
    """Return the load of the machine, for whoever reads a log of figures."""
    return f"load {os.getloadavg()[0]:.1f}, {platform.node()}"
