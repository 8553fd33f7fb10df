"""What every client here shares: the rows, the arguments, the clock. Imports the standard library only."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

PROMPT_BYTES = 1300
ATTEMPTS = 8
"""Sendings of a row before it is given up, for every client that lets this be said."""
TIMEOUT = 120.0
_WORDS = [
    "the",
    "river",
    "carries",
    "little",
    "boats",
    "past",
    "a",
    "market",
    "where",
    "people",
    "from",
    "the",
    "hills",
    "sell",
    "apples",
    "bread",
    "and",
    "lamp",
    "oil",
    "while",
    "their",
    "children",
    "count",
    "the",
    "bridges",
    "and",
    "write",
    "letters",
    "to",
    "cousins",
    "who",
    "left",
    "for",
    "the",
    "harbour",
    "before",
    "the",
    "first",
    "snow",
    "of",
    "winter",
]


def prompt(number: int) -> str:
    """Return the text of a row: 1.3 KB, other words for every number."""
    words, at = [f"Row {number}."], number
    size = len(words[0])
    while size < PROMPT_BYTES:
        word = _WORDS[at % len(_WORDS)]
        words.append(word)
        size += len(word) + 1
        at = at * 31 + 7
    return " ".join(words)[:PROMPT_BYTES]


def prompts(count: int) -> Iterator[str]:
    """Yield the texts of so many rows."""
    return map(prompt, range(count))


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of what every client is given."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return parser


class Clock:
    """Wall time, and the processor time of every process of this session: the client's own, and those that work for it."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = _cpu()
        self._took: tuple[float, float] | None = None

    def stop(self) -> None:
        """The work is done; what comes after does not count. To be called while those that worked for it still run."""
        self._took = time.monotonic() - self._wall, _cpu() - self._cpu

    def tell(self, rows: int, lost: int, **more: object) -> None:
        """Print what was done, as the one line that the benchmark reads."""
        if self._took is None:
            self.stop()
        assert self._took is not None
        seconds, cpu = self._took
        told = {"rows": rows, "lost": lost, "seconds": seconds, "cpu": cpu, **more}
        os.write(1, (json.dumps(told) + "\n").encode())


def _cpu() -> float:
    """Return the seconds of this process, of its children that were waited for, and of all others in this session."""
    own, waited = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # Counted from the state, which is the first behind the name: session, then utime, stime, cutime, cstime.
            if int(fields[3]) == os.getsid(0):
                ticks += sum(map(int, fields[11:15]))
    used = own.ru_utime + own.ru_stime + waited.ru_utime + waited.ru_stime
    return used + ticks / os.sysconf("SC_CLK_TCK")
