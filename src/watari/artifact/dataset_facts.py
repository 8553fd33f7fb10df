"""`dataset.json`: what a dataset card says of a made dataset, beside its rows. Figures only; the words are the card's.

It is content, so nothing of a clock, a machine or an address stands in it: the same inputs and the same ledger give the
same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.artifact.rows import Row
from watari.errors import UserError

FILE = "dataset.json"
"""Its name in an artifact."""
UNKNOWN = "unknown"
"""Under what rows are counted that do not state their language, licence or source."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelFact(_Facts):
    """A model that took part."""

    model: str = Field(description="as its server or its folder names it")
    role: str = Field(description="what it did: translator, teacher, chosen, rejected, judge")
    rows: int | None = Field(default=None, description="rows that it wrote; null: not counted")


class FindingCount(_Facts):
    """How often a check told a code."""

    hard: int = 0
    warn: int = 0


class DatasetFacts(_Facts):
    """What is known of a dataset.

    Counts by a name are over the rows that are in it, unless the field says otherwise.
    """

    form: Literal[1] = 1
    stage: str = Field(description="the stage kind that made it")
    rows: int = Field(default=0, ge=0)
    rows_in: int = Field(default=0, ge=0, description="rows that the stage was given")
    dropped: dict[str, int] = Field(default_factory=dict, description="reason: rows")
    turns: int = Field(default=0, ge=0, description="messages in all rows; the answers of a preference count")
    characters: int = Field(default=0, ge=0, description="in all messages")
    languages: dict[str, int] = Field(default_factory=dict)
    licenses: dict[str, int] = Field(default_factory=dict)
    sources: dict[str, int] = Field(default_factory=dict)
    categories: dict[str, int] = Field(default_factory=dict, description="of rows whose meta has a category")
    models: list[ModelFact] = Field(default_factory=list)
    prompts: dict[str, str] = Field(default_factory=dict, description="prompt: version (hash of its words)")
    checks: str = Field(default="", description="version of the checks; empty: none ran")
    findings: dict[str, FindingCount] = Field(
        default_factory=dict, description="code: attempts that had it, those that were not used too"
    )
    rungs: list[dict[str, Any]] = Field(default_factory=list, description="as in the stage's metrics")
    routed: dict[str, int] = Field(default_factory=dict, description="reason not to translate: rows")
    tokens: dict[str, int] = Field(
        default_factory=dict, description="prompt and completion, of every answer used or not"
    )
    cost: float | None = Field(
        default=None, description="of every answer, in the currency of the prices; null: no price"
    )
    benchmark_sources: list[str] = Field(
        default_factory=list, description="benchmarks of which splits are among the rows"
    )
    more: dict[str, Any] = Field(default_factory=dict, description="what only one kind of stage has to say")


class RowCounts:
    """Counts what `DatasetFacts` says of rows, row by row."""

    def __init__(self) -> None:
        self.rows = 0
        self.turns = 0
        self.characters = 0
        self._benchmarks: set[str] = set()
        self._by: dict[str, dict[str, int]] = {
            "languages": {},
            "licenses": {},
            "sources": {},
            "categories": {},
        }

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of conversations or preferences, as it is written."""
        self.rows += 1
        texts = [turn["content"] for turn in row.get("messages") or row.get("prompt") or ()]
        texts += [row[side] for side in ("chosen", "rejected") if isinstance(row.get(side), str)]
        self.turns += len(texts)
        self.characters += sum(map(len, texts))
        for kind, column in (("languages", "language"), ("licenses", "license"), ("sources", "source")):
            name = row.get(column) or UNKNOWN
            self._by[kind][name] = self._by[kind].get(name, 0) + 1
        meta = meta_fields(row)
        mark = meta.get("benchmark")
        if mark:
            self._benchmarks.add(mark if isinstance(mark, str) else row.get("source") or UNKNOWN)
        category = meta.get("category")
        if isinstance(category, str) and category:
            self._by["categories"][category] = self._by["categories"].get(category, 0) + 1

    def facts(self) -> dict[str, Any]:
        """Return the counts as fields of `DatasetFacts`, names sorted."""
        counted = {kind: dict(sorted(names.items())) for kind, names in self._by.items()}
        return {
            "rows": self.rows,
            "turns": self.turns,
            "characters": self.characters,
            "benchmark_sources": sorted(self._benchmarks),
            **counted,
        }


def meta_fields(row: Mapping[str, Any]) -> Row:
    """Return a row's `meta` as a mapping; an empty one if it is missing or no JSON object."""
    meta = row.get("meta")
    if isinstance(meta, str) and meta.startswith("{"):
        try:
            found = json.loads(meta)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return dict(meta) if isinstance(meta, Mapping) else {}


def write_facts(folder: Path, facts: DatasetFacts) -> None:
    """Write `dataset.json` into an artifact's folder."""
    text = json.dumps(facts.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n", "utf-8")


def read_facts(folder: Path) -> DatasetFacts | None:
    """Return what an artifact's `dataset.json` says, or None if it has none.

    Raises:
        UserError: if it is there and no such file.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return DatasetFacts.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where}: {first['msg']}", "run the stage that made it again") from None
