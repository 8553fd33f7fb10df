"""Progress of a command that is no run: one live line on a terminal, plain lines elsewhere, all on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

_EVERY = 0.1
_PLAIN_EVERY = 15.0


class LineProgress:
    """A `Progress` of one line. Ctrl-C is left to Python: these commands have nothing to save."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._last = 0.0 if self._live else time.monotonic()
        self._shown = 0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Show how far the work is, at most ten times a second (every 15 s where nobody watches)."""
        now = time.monotonic()
        if self._quiet or now - self._last < (_EVERY if self._live else _PLAIN_EVERY):
            return
        self._last = now
        of = f" of {total:,.0f}" if total else ""
        amount = f"{done:,.0f}{of} {unit}".strip() if done or total else ""
        self._write(" · ".join(part for part in (note, amount) if part))

    def log(self, message: str, **fields: Any) -> None:
        """Show a line that stays."""
        if not self._quiet:
            self.clear()
            print(message, file=sys.stderr)

    def stop_requested(self) -> bool:
        """Never."""
        return False

    def clear(self) -> None:
        """Take the live line away."""
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0

    def _write(self, line: str) -> None:
        if not self._live:
            print(line, file=sys.stderr, flush=True)
            return
        self.clear()
        line = line[:78]
        sys.stderr.write(line)
        sys.stderr.flush()
        self._shown = len(line)
