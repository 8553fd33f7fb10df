"""Which process holds something, and whether it still lives.

On one machine a process is known by its number and the time it was started, so a number that was given to another
process since is told apart. Of another machine only the heartbeat is seen.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

HEARTBEAT = 5.0
"""Seconds between two signs of life."""

_SILENT = 60.0
"""Seconds after which a process on another machine is taken for dead."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process (one open ledger of it) that may hold something.

    Args:
        name: Unlike any other's.
        host: The machine, since when it runs, and the name space of its process numbers.
        pid: The process's number.
        started: When it was started, in the kernel's ticks; 0: not known.
    """

    name: str
    host: str
    pid: int
    started: int


def this_process() -> Holder:
    """Return a new holder of this process."""
    pid = os.getpid()
    return Holder(f"{pid}-{secrets.token_hex(6)}", _host(), pid, _started(pid) or 0)


def alive(host: str, pid: int, started: int, beat: float) -> bool:
    """Return whether the process that wrote this may still be at work.

    Args:
        host, pid, started: As in `Holder`.
        beat: The last sign of life, in seconds since 1970.
    """
    if host != _host() or not _proc():
        return time.time() - beat < _SILENT
    return _started(pid) == started


def _proc() -> bool:
    return Path("/proc/self/stat").exists()


def _host() -> str:
    def read(path: str) -> str:
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError:
            return ""

    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{platform.node()} {read('/proc/sys/kernel/random/boot_id')} {space}".strip()


def _started(pid: int) -> int | None:
    """Return when the process was started; None if there is none, or only what its parent has not collected yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The name, in brackets, may hold blanks and brackets itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
