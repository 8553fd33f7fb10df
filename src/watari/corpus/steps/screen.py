"""Step `screen`, a task per piece: duplicates out, the split, decontamination, masking; what a selection or mixture needs.

`Screening` is the work itself; where everything that passes goes in, step `write` runs it and this step is left out.
Files: `rows.parquet`, `ledger.parquet`, `texts.parquet`, and `counts.npz` (n-grams, for a selection).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watari.artifact.draws import draw_uniform
from watari.corpus import dedup, personal, selection
from watari.corpus.contamination import screen
from watari.corpus.contamination_report import Findings, findings, merged
from watari.corpus.ledger import DROPPED, LEDGER, TableWriter, Tally, Totals, entries
from watari.corpus.params import Split
from watari.corpus.plan import Plan, load_plan
from watari.corpus.samples import TextHeads, write_small
from watari.corpus.steps import CLEAN, SCREEN
from watari.corpus.steps.edges import FOLDER
from watari.corpus.table import ROW, dropped, parted, undecided
from watari.corpus.work import Work
from watari.kernels.contamination_index import ContaminationIndex

INDEX = "contamination.npz"
SCREENED = pa.schema(
    [
        *ROW,
        pa.field("cluster_size", pa.int32()),
        pa.field("masked", pa.string()),
        pa.field("overlap", pa.string()),
    ]
)
"""Rows that passed."""

DUPLICATES = "duplicates"
SPLIT = "split"
CONTAMINATION = "contamination"
PERSONAL = "personal"
NAMES = (DUPLICATES, SPLIT, CONTAMINATION, PERSONAL)

Lose = Callable[[pa.Table, str], None]


class Screening:
    """The rows of a piece that pass, and what was found on the way."""

    def __init__(self, work: Work, number: int, plan: Plan) -> None:
        self._work, self._number, self._plan = work, number, plan
        self.passed = {name: Totals() for name in NAMES}
        self.findings: Findings = {}

    def tables(self, lose: Lose) -> Iterator[pa.Table]:
        """Yield the rows that pass, a row group at a time; `lose` is told of the others and the step that dropped them."""
        params = self._plan.params
        decisions = dedup.load_decisions(self._work.root / FOLDER, self._number)
        index = load_index(self._work) if params.decontaminate else None
        masking = self._plan.masking
        start = 0
        with pq.ParquetFile(self._work.file(CLEAN, self._number, "rows.parquet")) as file:
            for group in range(file.num_row_groups):
                table = undecided(file.read_row_group(group))
                rows = table.num_rows
                judged = dedup.apply(table, decisions.of(start, start + rows), params.duplicates)
                start += rows
                table = self._settle(judged, DUPLICATES, lose)
                if params.split is not None:
                    table = self._settle(parted_off(table, params.split, params.seed), SPLIT, lose)
                if index is not None:
                    judged = screen(table, index, params.contamination)
                    self.findings = merged([self.findings, findings(judged)])
                    table = self._settle(judged, CONTAMINATION, lose)
                if masking is not None:
                    table = self._settle(personal.mask(table, masking), PERSONAL, lose)
                if table.num_rows:
                    yield table

    def _settle(self, table: pa.Table, name: str, lose: Lose) -> pa.Table:
        kept, gone = parted(table)
        if gone.num_rows:
            lose(gone, name)
        self.passed[name].add(kept)
        return kept

    def counted(self) -> dict[str, Any]:
        """Return what was found, for the mark."""
        return {
            "passed": {name: totals.plain() for name, totals in self.passed.items()},
            "contamination": {task: found.model_dump() for task, found in self.findings.items()},
        }


def run(work: Work, number: int) -> None:
    """Screen one piece for a selection or a mixture."""
    plan = load_plan(work)
    params = plan.params
    screening = Screening(work, number, plan)
    texts = TextHeads(plan.examples, params.seed, by="reason")
    heads = TextHeads(max(5, 2000 // len(plan.groups)), params.seed, by="language")
    lost = Tally()
    parts: list[selection.Counts] = []
    rows = TableWriter(work.file(SCREEN, number, "rows.parquet"), SCREENED, compression="lz4", rows=4096)
    ledger = TableWriter(work.file(SCREEN, number, "ledger.parquet"), LEDGER, compression="lz4")

    def lose(gone: pa.Table, name: str) -> None:
        ledger.write(entries(gone, DROPPED, name))
        texts.add(gone)
        lost.add(gone, "reason")

    with rows, ledger:
        for table in screening.tables(lose):
            rows.write(table)
            heads.add(table)
            if params.select is not None:
                # One sum at a time: a task's batches are many, its languages few.
                parts = [selection.merged([*parts, selection.counts(table, params.select)])]
    write_small(work.file(SCREEN, number, "texts.parquet"), texts.table())
    write_small(work.file(SCREEN, number, "heads.parquet"), heads.table())
    if params.select is not None:
        found = parts[0] if parts else selection.merged([])
        found.save(work.file(SCREEN, number, "counts.npz"))
    work.mark(SCREEN, number, screening.counted() | {"lost": lost.plain(), "kept": rows.count})


def load_index(work: Work) -> ContaminationIndex:
    """Return the index of evaluation texts; read once a process."""
    path = work.root / INDEX
    return _load_index(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load_index(path: str, changed: int) -> ContaminationIndex:
    from pathlib import Path

    return ContaminationIndex.load(Path(path))


def part_of(name: str, split: Split, seed: int) -> str:
    """Return the part of the split that a document falls into, by its own id, or its key where it has none."""
    return "test" if draw_uniform(seed, "corpus.build/split", name) < split.test_share else "train"


def parted_off(table: pa.Table, split: Split, seed: int) -> pa.Table:
    """Return the table with a verdict on the rows of the other part."""
    names = pc.coalesce(table.column("id"), table.column("key")).to_pylist()
    rows = [row for row, name in enumerate(names) if part_of(name, split, seed) != split.part]
    return dropped(table, np.array(rows, np.int64), "other part of the split")
