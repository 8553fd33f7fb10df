"""`samples.parquet`: up to 400 rows of a stage for people to look at: source, target, findings, attempts side by side.

Which rows is a draw keyed by seed, stage and id, so that a second run shows the same ones. What went wrong comes first
(dropped, escalated, repaired, then accepted), but every state and, within it, every kind of fault has its part. Rows come
one by one and only those that may still be shown are kept, so a million rows cost no more memory than a thousand.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from watari.artifact.draws import draw_uint64
from watari.artifact.rows import RowWriter
from watari.synth.checks.finding import Finding

FILE = "samples.parquet"
LIMIT = 400
_SHARE = 8
"""A state has at least one part in so many of the rows, if it has as many."""
_PER_KIND = 25
"""Rows of one kind of fault that are kept in sight."""

_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("source", _TURNS),
        ("target", _TURNS),
        ("findings", pa.string()),
        ("attempts", pa.string()),
        ("meta", pa.string()),
    ]
)
"""`findings`, `attempts` and `meta` are JSON; `reason` says why a row was dropped or where it was sent."""


class State(StrEnum):
    """What became of a row; in the order in which people want to see them."""

    DROPPED = "dropped"
    ESCALATED = "escalated"
    REPAIRED = "repaired"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row as it is shown.

    Args:
        id: Of the row.
        state: What became of it.
        source: Its turns as they came in.
        target: The turns that were made; of a dropped row the last attempt, or none.
        findings: Of the target, as findings or as plain data (`Finding.as_json`).
        attempts: One entry an attempt: plain data, e.g. {attempt, rung, endpoint, purpose, codes, finish_reason}.
        reason: Why it was dropped, in the words of the ledger.
        meta: Whatever else shall be shown.
    """

    id: str
    state: State
    source: Sequence[Mapping[str, str]]
    target: Sequence[Mapping[str, str]] = ()
    findings: Sequence[Finding | Mapping[str, Any]] = ()
    attempts: Sequence[Mapping[str, Any]] = ()
    reason: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


_Held = tuple[int, str, bytes]


class Samples:
    """Chooses rows as they come.

    Args:
        seed: Of the draw.
        stage: The stage's kind, part of the draw's key.
        limit: Rows at most.
    """

    def __init__(self, seed: int, stage: str, *, limit: int = LIMIT) -> None:
        self._seed = seed
        self._stage = stage
        self._limit = limit
        self._states: dict[State, list[_Held]] = {state: [] for state in State}
        self._kinds: dict[State, dict[str, list[_Held]]] = {state: {} for state in State}

    def offer(self, sample: Sample) -> None:
        """Look at one row; it is kept while it is among those that may be shown."""
        # The order of a heap is by its smallest item; the largest draw is what goes first.
        draw = -draw_uint64(self._seed, f"{self._stage} samples", sample.id)
        state = State(sample.state)
        kinds = self._kinds[state].setdefault(_kind(sample), [])
        heaps = [(self._states[state], self._limit), (kinds, min(_PER_KIND, self._limit))]
        if all(len(heap) >= size and draw < heap[0][0] for heap, size in heaps if size):
            return
        held = (draw, sample.id, _packed(sample))
        for heap, size in heaps:
            heapq.heappush(heap, held)
            if len(heap) > size:
                heapq.heappop(heap)

    def chosen(self) -> list[dict[str, Any]]:
        """Return the rows that are shown: states in their order, in a state by draw."""
        ways = {state: self._in_turn(state) for state in State}
        counts = {state: min(len(way), self._limit // _SHARE) for state, way in ways.items()}
        left = self._limit - sum(counts.values())
        for state, way in ways.items():
            more = min(left, len(way) - counts[state])
            counts[state] += more
            left -= more
        rows = []
        for state, way in ways.items():
            for _, _, packed in sorted(way[: counts[state]], reverse=True):
                rows.append(orjson.loads(packed))
        return rows

    def write(self, out: Path) -> int:
        """Write `samples.parquet` into `out`; return the number of its rows."""
        with RowWriter(out / FILE, SCHEMA, batch=100) as writer:
            for row in self.chosen():
                writer.write(row)
        return writer.count

    def _in_turn(self, state: State) -> list[_Held]:
        """Return what is held of a state: one of every kind of fault in turn, then the rest by draw."""
        queues = [sorted(heap, reverse=True) for _, heap in sorted(self._kinds[state].items())]
        found: dict[_Held, None] = {}
        for place in range(_PER_KIND):
            for queue in queues:
                if place < len(queue):
                    found[queue[place]] = None
        found.update(dict.fromkeys(sorted(self._states[state], reverse=True)))
        return list(found)


def write_samples(out: Path, samples: Iterable[Sample], *, seed: int, stage: str, limit: int = LIMIT) -> int:
    """Write `samples.parquet` from all rows of a stage; return the number of rows chosen."""
    chooser = Samples(seed, stage, limit=limit)
    for sample in samples:
        chooser.offer(sample)
    return chooser.write(out)


def _kind(sample: Sample) -> str:
    if sample.reason:
        return sample.reason
    codes = [
        finding.code if isinstance(finding, Finding) else str(finding.get("code", ""))
        for finding in sample.findings
    ]
    if codes:
        return codes[0]
    failed = [code for attempt in sample.attempts for code in attempt.get("codes", ())]
    return failed[0] if failed else ""


def _packed(sample: Sample) -> bytes:
    findings = [
        finding.as_json() if isinstance(finding, Finding) else dict(finding) for finding in sample.findings
    ]
    return orjson.dumps(
        {
            "id": sample.id,
            "state": str(sample.state),
            "reason": sample.reason,
            "source": [{"role": turn["role"], "content": turn["content"]} for turn in sample.source],
            "target": [{"role": turn["role"], "content": turn["content"]} for turn in sample.target],
            "findings": _json(findings),
            "attempts": _json([dict(attempt) for attempt in sample.attempts]),
            "meta": _json(dict(sample.meta)),
        }
    )


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
