"""The corpus by source, host, language and licence; its clusters, contamination and masked personal data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watari.corpus.report.examples import document_heads
from watari.corpus.report.tables import HOST, Tables
from watari.corpus.report.terms import FIGURES

_ROWS = 200
"""Groups at most in a table; what is beyond is told as a number."""
_REASONS = 4
_HEAD = 160


@dataclass(frozen=True)
class Group:
    """One source (or host, language, licence): rows and bytes as read, and of those kept.

    `reasons` are those that cost it the most rows, with their rows. The name is empty where the rows give none.
    """

    name: str
    documents: int
    bytes: int
    kept: int
    kept_bytes: int
    reasons: list[tuple[str, int]]

    @property
    def share(self) -> float:
        """The share of documents that stays."""
        return self.kept / self.documents if self.documents else 0.0


@dataclass(frozen=True)
class Groups:
    """The largest groups by documents read, and how many there are in all."""

    groups: list[Group]
    total: int


@dataclass(frozen=True)
class Cluster:
    """A document that stands for others."""

    doc_id: str
    size: int
    source: str
    text: str


@dataclass(frozen=True)
class Clusters:
    """Clusters of duplicates: how many of each size, and the largest with their survivors.

    `sizes` are ranges (from, to, clusters, documents in them), a cluster of 1 first.
    """

    sizes: list[tuple[int, int, int, int]]
    largest: list[Cluster]


@dataclass(frozen=True)
class Task:
    """One evaluation set: the figures that the build wrote of it, and rows dropped for it."""

    name: str
    figures: dict[str, Any]
    dropped: int


def grouped(tables: Tables, column: str, limit: int = _ROWS) -> Groups:
    """Return the ledger grouped by `source`, `language`, `license` or `host`, the most documents first."""
    name = HOST if column == "host" else column
    where = "WHERE url IS NOT NULL" if column == "host" else ""
    # One pass over the ledger; there may be millions of hosts, and groups spill to disk where DISTINCT does not.
    tables.rows(
        "CREATE OR REPLACE TEMP TABLE counted AS"
        f" SELECT coalesce({name}, '') AS name, disposition = 'kept' AS kept, coalesce(reason, '') AS reason,"
        f" count(*) AS n, coalesce(sum(bytes), 0)::HUGEINT AS size FROM ledger {where} GROUP BY 1, 2, 3"
    )
    ((total,),) = tables.rows("SELECT count(*) FROM (SELECT 1 FROM counted GROUP BY name)")
    found = tables.rows(
        "SELECT name, sum(n)::BIGINT, sum(size), coalesce(sum(n) FILTER (kept), 0)::BIGINT,"
        " coalesce(sum(size) FILTER (kept), 0)::HUGEINT"
        f" FROM counted GROUP BY name ORDER BY 2 DESC, 1 LIMIT {int(limit)}"
    )
    reasons: dict[str, list[tuple[str, int]]] = {}
    for group, reason, count in tables.rows(
        "SELECT name, reason, n FROM counted WHERE NOT kept AND name IN (SELECT unnest(?::VARCHAR[]))"
        " ORDER BY name, n DESC, reason",
        [[row[0] for row in found]],
    ):
        reasons.setdefault(group, []).append((reason, count))
    tables.rows("DROP TABLE counted")
    groups = [
        Group(name, documents, int(size), stay, int(stay_size), reasons.get(name, [])[:_REASONS])
        for name, documents, size, stay, stay_size in found
    ]
    return Groups(groups, total)


def clusters_of(tables: Tables, count: int = 20) -> Clusters:
    """Return the clusters of duplicates."""
    counted = tables.record.clusters
    if counted is None:
        counted = dict(
            tables.rows("SELECT coalesce(cluster_size, 1), count(*) FROM documents GROUP BY 1 ORDER BY 1")
        )
    ids = tables.rows(
        "SELECT id, cluster_size, source FROM documents WHERE cluster_size > 1"
        f" ORDER BY cluster_size DESC, id LIMIT {int(count)}"
    )
    texts = document_heads(tables, [row[0] for row in ids], _HEAD)
    largest = [Cluster(name, size, source or "", texts.get(name) or "") for name, size, source in ids]
    return Clusters(_sizes(counted), largest)


def _sizes(counted: dict[int, int]) -> list[tuple[int, int, int, int]]:
    """Return clusters by size: 1, 2, 3, 4, 5-8, 9-16, … up to the largest."""
    ranges: list[tuple[int, int]] = [(size, size) for size in (1, 2, 3, 4)]
    while ranges[-1][1] < max(counted, default=0):
        last = ranges[-1][1]
        ranges.append((last + 1, last * 2))
    found = []
    for low, high in ranges:
        mine = [(size, count) for size, count in counted.items() if low <= size <= high]
        found.append((low, high, sum(count for _, count in mine), sum(size * count for size, count in mine)))
    while found and not found[-1][2]:
        found.pop()
    return found


def contamination_of(tables: Tables) -> list[Task]:
    """Return the evaluation sets that were looked for: the build's figures, and rows dropped for each by the ledger."""
    dropped: dict[str, int] = {}
    for detail, count in tables.rows(
        "SELECT coalesce(detail, ''), count(*) FROM ledger WHERE reason = 'contaminated' GROUP BY 1 ORDER BY 1 LIMIT 10000"
    ):
        for name in _tasks(detail):
            dropped[name] = dropped.get(name, 0) + count
    known = tables.record.contamination
    found = []
    for name in sorted({*known, *dropped}):
        figures = known.get(name, {})
        found.append(Task(name, _ordered(figures), dropped.get(name, 0)))
    return found


def _ordered(figures: dict[str, Any] | int) -> dict[str, Any]:
    """Return the figures of a task in the order in which the page shows them."""
    if not isinstance(figures, dict):
        return {"items": figures}
    known = [name for name in FIGURES if name in figures]
    return {name: figures[name] for name in [*known, *(name for name in figures if name not in FIGURES)]}


def _tasks(detail: str) -> Sequence[str]:
    return [name.strip() for name in detail.split(",") if name.strip()] or ["?"]


def masked_of(tables: Tables) -> list[tuple[str, int, int | None]]:
    """Return personal data masked in what was kept: (kind, places, documents), the most places first.

    Counted from the documents; a build's own count stands in only where no document says what was masked.
    """
    places: dict[str, int] = {}
    documents: dict[str, int] = {}
    for part in tables.batches("SELECT masked, count(*) FROM documents WHERE masked IS NOT NULL GROUP BY 1"):
        for said, count in part:
            for kind, number in json.loads(said).items():
                places[kind] = places.get(kind, 0) + int(number) * count
                documents[kind] = documents.get(kind, 0) + count
    if not places:
        counted = tables.record.masked or {}
        return sorted(((kind, n, None) for kind, n in counted.items()), key=lambda row: (-row[1], row[0]))
    return sorted(
        ((kind, n, documents[kind]) for kind, n in places.items()), key=lambda row: (-row[1], row[0])
    )
