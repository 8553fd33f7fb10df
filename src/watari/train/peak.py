"""How much memory this process has held at most."""

from __future__ import annotations

import resource
import sys


def peak_memory() -> int:
    """Return the most bytes that this process has held in memory so far (its resident set)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
