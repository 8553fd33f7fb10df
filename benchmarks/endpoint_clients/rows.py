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
_WORDS = (
    "the river carries little boats past a market where people from the hills sell apples bread and lamp oil while their"
    " children count the bridges and write letters to cousins who left for the harbour before the first snow of winter"
).split()


def prompt(number: int) -> str:
    """Return the text of a row: 1.3 KB, other words for every number."""
    words, size, at = [f"Row {number}."], 10, number
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
    """Wall time and processor time, of this process and of the children that have ended."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = _cpu()

    def tell(self, rows: int, lost: int, **more: object) -> None:
        """Print what was done, as the one line that the benchmark reads."""
        seconds, cpu = time.monotonic() - self._wall, _cpu() - self._cpu
        told = {"rows": rows, "lost": lost, "seconds": seconds, "cpu": cpu, **more}
        os.write(1, (json.dumps(told) + "\n").encode())


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
