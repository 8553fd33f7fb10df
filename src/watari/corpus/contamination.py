"""Decontamination: documents that hold items of an evaluation set are dropped, cut or flagged, and told of by task.

What counts as holding an item stands in `kernels.contamination_index`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from watari.corpus.contamination_report import OVERLAP
from watari.corpus.table import dropped, with_column
from watari.corpus.texts import with_texts
from watari.errors import UserError
from watari.kernels.contamination import Run, runs
from watari.kernels.contamination_index import ContaminationIndex, ContaminationParams

REASON = "contaminated"
_END = re.compile(r"(?:[。．！？!?]+[」』）)\]”\"']*|\.(?=\s)|\n)")


def screen(table: pa.Table, index: ContaminationIndex, params: ContaminationParams | None = None) -> pa.Table:
    """Return the table with contaminated documents dropped, cut or flagged.

    A dropped row gets the reason `contaminated`, as value the share of its characters that runs cover, as threshold
    `share`, as detail the tasks. Every row with a run above the thresholds gets `overlap`, JSON of
    {"action": drop | cut | flag, "share", "cut": characters cut off, "tasks": {task: {"split", "items", "ngrams"}},
    "example": the longest run's text}; in other rows it is null.
    """
    params = params or ContaminationParams()
    if (index.ngram, index.short, index.passage) != (params.ngram, params.short, params.passage):
        raise UserError(
            f"the contamination index was built with ngram={index.ngram}, short={index.short},"
            f" passage={index.passage}",
            "build it with the parameters it is used with",
        )
    column = table.column("text")
    texts: dict[int, str] = {}
    notes: dict[int, str] = {}
    lost: list[tuple[int, float, str]] = []
    for row, listed in runs(column, index).items():
        text = column[row].as_py()
        finding = _decide(text, listed, index, params)
        if finding is None:
            continue
        if finding.action == "cut":
            rest = _cut(text, finding.runs, index, params)
            if rest is None:
                finding.action = "drop"
            else:
                finding.cut = len(text) - len(rest)
                texts[row] = rest
        if finding.action == "drop":
            lost.append((row, finding.share, ", ".join(sorted(finding.tasks))))
        notes[row] = finding.json(text)
    table = with_texts(table, texts)
    overlap = pa.array([notes.get(row) for row in range(table.num_rows)], pa.string())
    table = with_column(table, OVERLAP, overlap)
    if not lost:
        return table
    return dropped(
        table,
        np.array([row for row, _, _ in lost], np.int64),
        REASON,
        value=np.array([share for _, share, _ in lost]),
        threshold=params.share,
        detail=[tasks for _, _, tasks in lost],
    )


@dataclass
class _Finding:
    action: str
    share: float
    runs: list[Run]
    tasks: dict[str, dict[str, Any]]
    cut: int = 0

    def json(self, text: str) -> str:
        longest = max(self.runs, key=lambda run: (run.size, -run.start))
        note = {
            "action": self.action,
            "share": round(self.share, 6),
            "cut": self.cut,
            "tasks": self.tasks,
            "example": text[longest.start : longest.stop][:120],
        }
        return json.dumps(note, ensure_ascii=False, sort_keys=True)


_STRICT = ("flag", "cut", "drop")


def _decide(
    text: str, listed: Sequence[Run], index: ContaminationIndex, params: ContaminationParams
) -> _Finding | None:
    """Return what is done about a document's runs, and about which of them; None if they are below the thresholds."""
    parts: dict[str, list[Run]] = {"test": [], "train": []}
    for run in listed:
        for split in {index.split(owner) for owner in run.owners}:
            parts[split].append(run)
    wanted = {"test": params.action, "train": params.train}
    passing = {
        split: part
        for split, part in parts.items()
        if part
        and sum(run.ngrams for run in part) >= params.min_ngrams
        and _share(text, part) >= params.share
    }
    chosen = [run for run in listed if any(index.split(owner) in passing for owner in run.owners)]
    if not chosen:
        return None
    action = max((wanted[split] for split in passing), key=_STRICT.index)
    acted = [run for split, part in passing.items() if wanted[split] == action for run in part]
    tasks: dict[str, dict[str, Any]] = {}
    for run in chosen:
        for owner in run.owners:
            task = index.tasks[index.items[owner][0]]
            note = tasks.setdefault(index.label(owner), {"split": task.split, "items": set(), "ngrams": 0})
            note["items"].add(index.items[owner][1])
        for name in {index.label(owner) for owner in run.owners}:
            tasks[name]["ngrams"] += run.ngrams
    for note in tasks.values():
        note["items"] = sorted(note["items"])
    return _Finding(action, _share(text, chosen), acted, tasks)


def _share(text: str, listed: Sequence[Run]) -> float:
    covered = np.zeros(len(text), bool)
    for run in listed:
        covered[run.start : run.stop] = True
    return float(covered.sum()) / len(text)


def _cut(
    text: str, listed: Sequence[Run], index: ContaminationIndex, params: ContaminationParams
) -> str | None:
    """Return the text without the sentences that hold the runs; None if too little is left.

    What stood apart may make a new run once it is together, so the rest is searched again until it holds none.
    """
    while listed:
        ends = [0, *(match.end() for match in _END.finditer(text)), len(text)]
        gone = np.zeros(len(text), bool)
        for run in listed:
            first = ends[int(np.searchsorted(ends, run.start, side="right")) - 1]
            last = ends[int(np.searchsorted(ends, run.stop, side="left"))]
            # Of a line that goes, its end goes too.
            whole_line = text[last : last + 1] == "\n" and text[first - 1 : first] in ("", "\n")
            gone[first : last + whole_line] = True
        text = "".join(np.array(list(text), dtype=object)[~gone]).strip()
        if len(text) < params.keep_characters:
            return None
        again = runs(pa.array([text], pa.large_string()), index).get(0, [])
        splits = {"test": params.action, "train": params.train}
        listed = [run for run in again if any(splits[index.split(owner)] == "cut" for owner in run.owners)]
    return text
