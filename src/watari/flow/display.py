"""What a run shows: a live line for each running stage on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

from watari.flow.worker import Update

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_EVERY = 15.0
_LONGEST_NAME = 28
_BESIDE = 30
"""Columns of a live line beside its name and note: spinner, bar, clock, blanks."""


class Display(Protocol):
    """Shows the run to a person."""

    def start(self, name: str, uses: str) -> None:
        """A stage begins."""

    def update(self, name: str, update: Update) -> None:
        """A stage is so far."""

    def end(self, name: str, outcome: str, detail: str = "") -> None:
        """A stage ended: `outcome` is done, cached, failed or stopped."""

    def say(self, text: str) -> None:
        """A line of text."""

    def close(self) -> None:
        """The run is over."""


_MARKS = {"done": "✓", "cached": "·", "failed": "✗", "stopped": "■"}


def duration(seconds: float) -> str:
    """Return 4.2 s, 1 min 05 s, 2 h 10 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Return a number of bytes as 812 B, 1.4 kB, 30.2 MB, 5.0 TB."""
    if count < 1000:
        return f"{count:.0f} B"
    scaled, unit = _scaled(count, ("B", "kB", "MB", "GB", "TB"))
    return f"{scaled:.1f} {unit}"


def amount(count: float) -> str:
    """Return 950, 12.3k, 4.5M, 1.2B, 15T."""
    scaled, unit = _scaled(count, ("", "k", "M", "B", "T"))
    return f"{scaled:.1f}".removesuffix(".0") + unit


def _scaled(count: float, units: tuple[str, ...]) -> tuple[float, str]:
    for unit in units[:-1]:
        # Rounded first, so that 999,960 is 1.0 M and never 1000.0 k.
        if round(abs(count), 1) < 1000:
            return count, unit
        count /= 1000
    return count, units[-1]


@dataclass
class Plain:
    """Plain lines, for pipes and logs: one when a stage begins, one when it ends, one every 15 s between."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _shown: dict[str, float] = field(default_factory=dict)

    def start(self, name: str, uses: str) -> None:
        """Write that a stage begins."""
        self._shown[name] = time.monotonic()
        self.say(f"> {name} ({uses})")

    def update(self, name: str, update: Update) -> None:
        """Write how far a stage is, not more often than every 15 s."""
        moment = time.monotonic()
        if moment - self._shown.get(name, 0.0) < _PLAIN_EVERY:
            return
        self._shown[name] = moment
        total = f" of {amount(update.total)}" if update.total is not None else ""
        self.say(f"  {name}: {amount(update.done)}{total} {update.unit} {update.note}".rstrip())

    def end(self, name: str, outcome: str, detail: str = "") -> None:
        """Write how a stage ended."""
        self.say(f"{_MARKS[outcome]} {name} {outcome}{' ' + detail if detail else ''}")

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing to do."""


class Live:
    """rich: finished stages as lines, a bar for each running one."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def start(self, name: str, uses: str) -> None:
        """Show a bar that pulses until the stage says how much there is to do."""
        shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self._tasks[name] = self._progress.add_task(shown, total=None, note=uses)

    def update(self, name: str, update: Update) -> None:
        """Move the bar."""
        total = f"/{amount(update.total)}" if update.total is not None else ""
        note = f"{amount(update.done)}{total} {update.unit} {update.note}".rstrip()
        longest = max(len(task.description) for task in self._progress.tasks)
        room = max(10, self._console.width - _BESIDE - longest)
        self._progress.update(self._tasks[name], completed=update.done, total=update.total, note=note[:room])

    def end(self, name: str, outcome: str, detail: str = "") -> None:
        """Replace the bar by a line."""
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        colour = {"done": "green", "cached": "dim", "failed": "red", "stopped": "yellow"}[outcome]
        from rich.text import Text

        line = Text(f"{_MARKS[outcome]} ", style=colour)
        line.append(name, style="bold" if outcome == "done" else colour)
        words = outcome if outcome in ("cached", "stopped") else ""
        line.append(f"  {words}{detail}".rstrip(), style="dim" if outcome != "failed" else "")
        self._console.print(line, soft_wrap=True)

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()


def make_display(*, quiet: bool = False) -> Display:
    """Return the live display on a terminal, plain lines otherwise, nothing at all when `quiet`."""
    if quiet:
        return Plain(stream=open(os.devnull, "w"))
    return Live() if sys.stderr.isatty() else Plain()
