"""Arrows of import run one way: cli → flow → rooms → ground floor; rooms never import each other (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import watari

SRC = Path(watari.__file__).parent
TOP = {"cli", "flow", "__main__"}
ROOMS = {
    "chat", "corpus", "data", "evals", "leakage", "model", "recipe", "report", "synth", "tokenizer", "train",
}  # fmt: skip
GROUND = {
    "artifact", "demo", "endpoint", "errors", "generate", "judge", "kernels", "languages", "pages", "peak", "pretrained",
    "recipes", "stats", "text",
}  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the rooms that a module imports from, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("watari."))


def test_every_folder_has_its_floor() -> None:
    found = {room_of(path) for path in SRC.rglob("*.py")} - {"__init__"}
    assert found == TOP | ROOMS | GROUND


@pytest.mark.parametrize("floor", ["rooms", "ground"])
def test_no_arrow_runs_sideways_or_up(floor: str) -> None:
    mine = ROOMS if floor == "rooms" else GROUND
    wrong = [
        f"{path.relative_to(SRC)} imports {other}"
        for path in sorted(SRC.rglob("*.py"))
        if (room := room_of(path)) in mine
        for other in imported(path)
        if other in TOP or (other in ROOMS and other != room)
    ]
    assert wrong == []
