"""A PostgreSQL server on this machine, for tests: its own folder, its own port, only 127.0.0.1, gone afterwards.

The server refuses to run as root; then it runs as the user `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
USER = "watari"


def binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, or None."""
    for place in _PLACES:
        if (Path(place) / "initdb").exists():
            return Path(place)
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def missing() -> list[str]:
    """Return what is not installed."""
    lacking = [] if binaries() else ["PostgreSQL's initdb"]
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            lacking.append("a user `postgres`")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        lacking.append("psycopg")
    return lacking


@contextmanager
def running() -> Iterator[str]:
    """Start a server, give the address of an empty base, and stop it in the end."""
    found = binaries()
    assert found is not None
    root = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(root, entry.pw_uid, entry.pw_gid)
        as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def call(*command: str, check: bool = True) -> None:
        with (root / "calls.log").open("ab") as log:
            subprocess.run(
                command,
                check=check,
                cwd="/",
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                timeout=60,
                **as_user,
            )  # type: ignore[call-overload]

    try:
        data = root / "data"
        call(
            str(found / "initdb"),
            "-D",
            str(data),
            "-U",
            USER,
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -k {root} -c fsync=off -c shared_buffers=16MB"
        call(str(found / "pg_ctl"), "-D", str(data), "-l", str(data / "log"), "-o", settings, "-w", "start")
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            call(str(found / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop", check=False)
    finally:
        shutil.rmtree(root, ignore_errors=True)
