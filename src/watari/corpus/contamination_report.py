"""What decontamination found, by task: counts of tables added up, and set against what the index holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from watari.kernels.contamination_index import ContaminationIndex

OVERLAP = "overlap"
"""The column that `screen` adds: JSON of what was found in a row, or null."""


class TaskFindings(BaseModel):
    """What was found of one task in a corpus.

    Counts are of documents. `items` are ids of the items found; `examples` are the first few by the documents' keys.
    """

    model_config = ConfigDict(extra="forbid")
    split: str
    documents: int = 0
    dropped: int = 0
    cut: int = 0
    flagged: int = 0
    items: list[str] = Field(default_factory=list)
    examples: list[dict[str, str]] = Field(default_factory=list)


Findings = dict[str, TaskFindings]
"""By label of the task."""
_EXAMPLES = 5


def findings(table: pa.Table) -> Findings:
    """Return what `screen` found in a table, by task; `merged` puts those of several tables together."""
    found: Findings = {}
    if OVERLAP not in table.column_names:
        return found
    for key, text in zip(table.column("key").to_pylist(), table.column(OVERLAP).to_pylist(), strict=True):
        if text is None:
            continue
        note = json.loads(text)
        for task, part in note["tasks"].items():
            one = TaskFindings(
                split=part["split"],
                documents=1,
                dropped=int(note["action"] == "drop"),
                cut=int(note["action"] == "cut"),
                flagged=int(note["action"] == "flag"),
                items=part["items"],
                examples=[{"key": key or "", "text": note["example"], "item": part["items"][0]}],
            )
            found = merged([found, {task: one}])
    return found


def merged(parts: Iterable[Findings]) -> Findings:
    """Return the findings of several tables together; the same whatever their order."""
    total: Findings = {}
    for part in parts:
        for task, new in part.items():
            old = total.setdefault(task, TaskFindings(split=new.split))
            examples = sorted(
                [*old.examples, *new.examples], key=lambda example: (example["key"], example["item"])
            )
            total[task] = TaskFindings(
                split=new.split,
                documents=old.documents + new.documents,
                dropped=old.dropped + new.dropped,
                cut=old.cut + new.cut,
                flagged=old.flagged + new.flagged,
                items=sorted({*old.items, *new.items}),
                examples=examples[:_EXAMPLES],
            )
    return dict(sorted(total.items()))


def report(index: ContaminationIndex, found: Findings) -> list[dict[str, Any]]:
    """Return a row for each task of the index, sorted by name: what was looked for and what was found.

    Keys: task, split, items, texts, whole (texts looked for whole), too_short (items not looked for), documents, dropped, cut, flagged, items_found, examples.
    """
    rows = []
    for task in index.tasks:
        seen = found.get(task.label, TaskFindings(split=task.split))
        counts = seen.model_dump(include={"documents", "dropped", "cut", "flagged", "examples"})
        rows.append({**vars(task), **counts, "items_found": len(seen.items)})
    return rows
