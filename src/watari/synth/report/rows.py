"""The rows of `samples.parquet` as the page shows them: turns side by side, with what a check is about marked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup

from watari.pages.visible import visible
from watari.synth.samples import FILE

_LONGEST = 6_000
"""Characters of a turn that are shown: a page is to be looked at, the data is in the files."""


@dataclass(frozen=True)
class ShownFinding:
    """One finding as the page shows it."""

    code: str
    severity: str
    message: str


@dataclass(frozen=True)
class ShownAttempt:
    """One attempt: who was asked for what, and which checks its answer failed."""

    endpoint: str
    purpose: str
    codes: list[str]
    finish_reason: str


@dataclass(frozen=True)
class ShownTurn:
    """A turn of source and target side by side; a side that has no such turn is None."""

    role: str
    source: Markup | None
    target: Markup | None


@dataclass(frozen=True)
class ShownRow:
    """One row of the page."""

    id: str
    state: str
    reason: str
    turns: list[ShownTurn]
    findings: list[ShownFinding]
    attempts: list[ShownAttempt] = field(default_factory=list)


def shown_rows(folder: Path) -> list[ShownRow]:
    """Return the rows of an artifact's samples in their order; none if it has no samples."""
    path = folder / FILE
    return [_shown(row) for row in pq.read_table(path).to_pylist()] if path.is_file() else []


def _shown(row: Mapping[str, Any]) -> ShownRow:
    findings = [item for item in _list(row.get("findings")) if isinstance(item, dict)]
    source, target = row.get("source") or [], row.get("target") or []
    sides = list(zip_longest(enumerate(source), enumerate(target)))
    if any(left and right and left[1]["role"] != right[1]["role"] for left, right in sides):
        # Two answers to one prompt: they stand below it, not beside its turns.
        sides = [*((turn, None) for turn in enumerate(source)), *((None, turn) for turn in enumerate(target))]
    turns = [
        ShownTurn(
            role=str((left or right)[1].get("role", "")),
            source=_marked(left, findings, "source"),
            target=_marked(right, findings, "target"),
        )
        for left, right in sides
    ]
    return ShownRow(
        id=str(row.get("id", "")),
        state=str(row.get("state", "")),
        reason=str(row.get("reason") or ""),
        turns=turns,
        findings=[
            ShownFinding(str(f.get("code", "")), str(f.get("severity", "")), str(f.get("message", "")))
            for f in findings
        ],
        attempts=[
            ShownAttempt(
                endpoint=str(a.get("endpoint") or a.get("model", "")),
                purpose=str(a.get("purpose", "")),
                codes=[str(code) for code in a.get("codes") or []],
                finish_reason=str(a.get("finish_reason", "")),
            )
            for a in _list(row.get("attempts"))
            if isinstance(a, dict)
        ],
    )


def _marked(
    placed: tuple[int, Mapping[str, str]] | None, findings: Sequence[Mapping[str, Any]], side: str
) -> Markup | None:
    """Return a turn's text, escaped, with the places that findings name inside `<mark>`."""
    if placed is None:
        return None
    place, turn = placed
    text = str(turn.get("content", ""))
    shown = text[:_LONGEST]
    spans = []
    for finding in findings:
        span = finding.get("span")
        if isinstance(span, dict) and span.get("turn") == place and span.get("side", "target") == side:
            start, stop = int(span.get("start", 0)), int(span.get("stop", 0))
            if 0 <= start < min(stop, len(shown)):
                spans.append((start, min(stop, len(shown)), str(finding.get("code", ""))))
    parts: list[Markup] = []
    at = 0
    for start, stop, code in _apart(spans):
        parts += [
            Markup.escape(visible(shown[at:start])),
            Markup('<mark title="{}">{}</mark>').format(code, visible(shown[start:stop])),
        ]
        at = stop
    parts.append(Markup.escape(visible(shown[at:])))
    if len(shown) < len(text):
        parts.append(Markup('<span class="quiet"> … {:,}</span>').format(len(text)))
    return Markup("").join(parts)


def _apart(spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the spans in order, those that overlap joined."""
    found: list[tuple[int, int, str]] = []
    for start, stop, code in sorted(spans):
        if found and start < found[-1][1]:
            first, last, codes = found[-1]
            joined = codes if code in codes.split(", ") else f"{codes}, {code}"
            found[-1] = (first, max(last, stop), joined)
        else:
            found.append((start, stop, code))
    return found


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = json.loads(value or "[]")
    return value if isinstance(value, list) else []
