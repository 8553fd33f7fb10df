"""Step `edges`, a task per range of hashes: which documents are duplicates of which."""

from __future__ import annotations

from watari.corpus import dedup
from watari.corpus.plan import load_plan
from watari.corpus.steps import EDGES
from watari.corpus.work import Work

FOLDER = "dedup"
"""Below the work folder: the arrays of all pieces."""


def run(work: Work, number: int) -> None:
    """Find the pairs of one range."""
    dedup.find_edges(work.root / FOLDER, number, load_plan(work).params.duplicates)
    work.mark(EDGES, number, {})
