"""The parallel steps of a build. A task is a pure function of the work folder and its number, so that any engine may run it."""

from __future__ import annotations

import importlib
from pathlib import Path

CLEAN = "clean"
EDGES = "edges"
SCREEN = "screen"
SCORE = "score"
WRITE = "write"

_HOMES = {
    CLEAN: "watari.corpus.steps.clean",
    EDGES: "watari.corpus.steps.edges",
    SCREEN: "watari.corpus.steps.screen",
    SCORE: "watari.corpus.steps.score",
    WRITE: "watari.corpus.steps.write",
}


def run_task(work: Path, step: str, number: int) -> None:
    """Do one task of a step and write its mark; a task that has its mark is not done again."""
    from watari.corpus.work import Work

    folder = Work(work)
    if folder.marked(step, number) is None:
        importlib.import_module(_HOMES[step]).run(folder, number)


def warm() -> None:
    """Import what tasks need and make the tables that they look things up in: what a worker may do before its first."""
    import pyarrow as pa

    from watari.text.normalise import normal_forms

    for step in (CLEAN, EDGES, WRITE):
        importlib.import_module(_HOMES[step])
    normal_forms(pa.array(["渡り"]))
