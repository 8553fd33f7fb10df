"""Mistakes in a recipe, each told with its file, line and field."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watari.errors import UserError

Path_ = tuple[str | int, ...]
"""A place inside a recipe, e.g. ("stages", "sft", "data", 0)."""

_SHOWN = 20


@dataclass(frozen=True)
class Place:
    """Where a value was written.

    Args:
        file: As shown to the user: the path as given, or `--set`.
        line: 1-based, or 0 where there are no lines.
        folder: What relative paths in the value are relative to.
    """

    file: str
    line: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One mistake."""

    place: Place | None
    path: Path_
    message: str

    def __str__(self) -> str:
        parts = [str(self.place) if self.place else "", dotted(self.path), self.message]
        return ": ".join(part for part in parts if part)


class RecipeError(UserError):
    """A recipe that cannot be used; `problems` holds every mistake found, the message one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        lines = [str(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"... and {len(self.problems) - _SHOWN} more mistakes")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[RecipeError], tuple[list[Problem]]]:  # type: ignore[override]
        return (RecipeError, (self.problems,))


def dotted(path: Path_) -> str:
    """Return ("stages", "sft", "data", 0) as `stages.sft.data[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)`, or a list of what is known if nothing is near and the list is short."""
    names = list(dict.fromkeys(name for name in known if name != word))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f" (did you mean '{near[0]}'?)"
    if 0 < len(names) <= 12:
        return f" (there are: {', '.join(names)})"
    return ""
