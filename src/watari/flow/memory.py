"""How much memory is free, so that stages run side by side only when they fit."""

from __future__ import annotations

from pathlib import Path

DEFAULT = 1 << 30
"""Bytes that a stage is thought to need when it does not say."""

_RESERVE = 1 << 29


def available() -> int:
    """Return the bytes that can be allocated now: the machine's, or the control group's if that is less.

    Where neither can be read (not Linux), 4 GiB is assumed.
    """
    found = 4 << 30
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found = int(line.split()[1]) * 1024
    except OSError:
        return found
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
        if limit != "max":
            found = min(found, max(0, int(limit) - used))
    except (OSError, ValueError):
        pass
    return found


def fits(needed: int, running: int) -> bool:
    """Return whether a stage that needs `needed` bytes fits beside others that were said to need `running`.

    What the others have allocated already is counted twice (it is no longer available), which errs to the safe side.
    """
    return needed + _RESERVE <= available() - running // 2
