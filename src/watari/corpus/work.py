"""The work folder of a build: what each task writes, and the mark that says that it is done.

plan.json                 pieces and parameters; what every task reads
<step>/00012.json         the mark of task 12: written last, with what it counted
<step>/00012.<name>       its files
<global step>.json, …     what the driver wrote between two steps
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from watari.artifact import atomic

PLAN = "plan.json"


@dataclass(frozen=True)
class Work:
    """A work folder."""

    root: Path

    def file(self, step: str, task: int, name: str) -> Path:
        """Return where a task of a step writes one of its files."""
        return self.root / step / f"{task:05d}.{name}"

    def mark_path(self, step: str, task: int) -> Path:
        """Return the mark of a task."""
        return self.file(step, task, "json")

    def mark(self, step: str, task: int, counted: Mapping[str, Any]) -> None:
        """Say that a task is done, and what it counted. Its files must be whole by now."""
        atomic.write_json(self.mark_path(step, task), dict(counted), indent=None)

    def marked(self, step: str, task: int) -> dict[str, Any] | None:
        """Return what a task counted, or None if it is not done."""
        path = self.mark_path(step, task)
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found

    def save(self, step: str, task: int, name: str, array: npt.NDArray[Any]) -> None:
        """Write an array as `<name>.npy`."""
        path = self.file(step, task, f"{name}.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.writing")
        with temporary.open("wb") as handle:
            np.save(handle, array, allow_pickle=False)
        temporary.replace(path)

    def load(self, step: str, task: int, name: str) -> npt.NDArray[Any]:
        """Return an array, mapped into memory."""
        path = self.file(step, task, f"{name}.npy")
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        except ValueError:
            # A file without a single element cannot be mapped.
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Any:
    return json.loads(path.read_text("utf-8"))


def read_json(path: Path) -> Any:
    """Return a JSON file of the work folder; read once a process while it does not change."""
    return _read(path, path.stat().st_mtime_ns)
