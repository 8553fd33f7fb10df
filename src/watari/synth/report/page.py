"""Assembles the page of one stage: figures from its metrics, rows from its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.pages.numbers import percent, short, whole
from watari.pages.page import Template
from watari.pages.visible import visible
from watari.synth.report.rows import ShownRow, shown_rows
from watari.synth.report.words import LABELS

PAGE = "report.html"
STATES = ("dropped", "escalated", "repaired", "accepted")
_FAULTS = 4


@dataclass(frozen=True)
class RungFigures:
    """One rung of the ladder."""

    name: str
    model: str
    asked: int
    accepted: int
    faults: list[tuple[str, int]]


@dataclass(frozen=True)
class Fault:
    """How often a check found something."""

    code: str
    hard: int
    warn: int


def report(out: Path, metrics: Mapping[str, Any], *, stage: str, title: str = "") -> Path:
    """Write `report.html` into the folder of a stage's artifact, and return where it lies.

    Args:
        out: Where the stage wrote its rows and `samples.parquet`.
        metrics: The stage's metrics, as every stage of this room has them; what it lacks is not shown.
        stage: Its kind, `synth.translate`.
        title: Shown above everything; default: the page's own name.
    """
    path = out / PAGE
    atomic.write_text(path, page(out, metrics, stage=stage, title=title))
    return path


def page(folder: Path, metrics: Mapping[str, Any], *, stage: str, title: str = "") -> str:
    """Return the page. The same metrics and samples give the same text."""
    rows = shown_rows(folder)
    tokens = metrics.get("tokens") or {}
    read, kept = int(metrics.get("rows_in", 0)), int(metrics.get("kept", 0))
    return _TEMPLATE.render(
        title=visible(title, lines=False),
        stage=stage,
        read=read,
        kept=kept,
        dropped=int(metrics.get("dropped", 0)),
        repaired=int(metrics.get("repaired", 0)),
        escalated=int(metrics.get("escalated", 0)),
        cost=float(metrics.get("cost") or 0.0),
        prompt_tokens=int(tokens.get("prompt", 0)),
        completion_tokens=int(tokens.get("completion", 0)),
        rungs=[_rung(rung) for rung in metrics.get("rungs") or []],
        faults=_faults(metrics.get("findings") or {}),
        reasons=_counted(metrics.get("dropped_by_reason") or {}),
        routed=_counted(metrics.get("routed") or {}),
        rows=rows,
        states=[state for state in STATES if any(row.state == state for row in rows)],
        counts=_states(rows),
    )


def _rung(rung: Mapping[str, Any]) -> RungFigures:
    faults = _counted(rung.get("faults") or {})
    return RungFigures(
        name=str(rung.get("name", "")),
        model=str(rung.get("model", "")),
        asked=int(rung.get("asked", 0)),
        accepted=int(rung.get("accepted", 0)),
        faults=faults[:_FAULTS],
    )


def _faults(findings: Mapping[str, Mapping[str, int]]) -> list[Fault]:
    found = [
        Fault(code, int(counts.get("hard", 0)), int(counts.get("warn", 0)))
        for code, counts in findings.items()
    ]
    return sorted(found, key=lambda fault: (-fault.hard, -fault.warn, fault.code))


def _counted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((str(name), int(n)) for name, n in counts.items()), key=lambda item: (-item[1], item[0]))


def _states(rows: list[ShownRow]) -> dict[str, int]:
    return {state: sum(row.state == state for row in rows) for state in STATES}


_TEMPLATE = Template(
    "watari.synth.report",
    LABELS,
    {"whole": whole, "short": short, "percent": percent, "visible": visible},
)
