"""What a sweep found, as one value: read back from its folder it gives the same tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from watari.artifact.hashing import hash_json
from watari.leakage.sweep.figures import LEAKING, METRICS, Figures
from watari.leakage.sweep.front import Against, Front
from watari.leakage.sweep.plan import Plan
from watari.leakage.sweep.recommendation import Recommendation, beyond_the_file
from watari.leakage.sweep.responses import Response
from watari.leakage.sweep.verdicts import Check
from watari.pages.noted import Note, japanese_of
from watari.stats.intervals import Estimate
from watari.stats.proportions import intraclass
from watari.stats.resampling import Floats

WORST = 10
_AROUND = 30


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Args:
        plan: What was asked.
        model: As provenance calls it.
        engine: Who answered.
        checks: Of the canary.
        responses: Every answer, looked at, in the order of the cells.
        missing: Answers that there are not, by cell's name and reason.
        figures, front, recommendation: What they come to.
        judge: Who rated; None without.
        judge_problems: Judgments without a rating, by reason.
        notes: What a reader must be told.
    """

    plan: Plan
    model: str
    engine: str
    checks: tuple[Check, ...]
    responses: tuple[Response, ...]
    missing: dict[str, dict[str, int]]
    figures: Figures
    front: Front
    recommendation: Recommendation
    judge: str | None = None
    judge_problems: dict[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return everything but the responses, as plain data."""
        grid = self.plan.grid
        languages = self._languages()
        return {
            "model": self.model,
            "engine": self.engine,
            "grid": {"name": grid.name, "digest": grid.digest, "varied": list(grid.varied)},
            "prompts": {"count": len(self.plan.prompts), "digest": prompts_digest(self.plan)},
            "size": self.plan.size.as_json(),
            "judge": self.judge,
            "judge_problems": self.judge_problems,
            "metrics": {one.name: one.what for one in METRICS if one.name in self.figures.sums},
            "canary": [check.as_json() for check in self.checks],
            "objectives": {"low": self.front.leakage, "high": self.front.quality},
            "best": {
                self.front.leakage: self.front.best_leakage,
                self.front.quality: self.front.best_quality,
            },
            "not_told_apart_from_best": list(self.front.not_apart),
            "default": grid.default.name if grid.default else None,
            "cells": [self._cell(place, languages) for place in range(len(grid.cells))],
            "alike": self._alike(),
            "recommended": {
                **self.recommendation.as_json(),
                "not_in_the_file": beyond_the_file(self.recommendation.cell),
                "request": self.plan.engine.settings(
                    self.recommendation.cell.sampler, self.recommendation.cell.extra
                ),
            },
            "worst": worst(self.responses),
            "notes": list(self.notes),
            "in_japanese": self._in_japanese(),
        }

    def _in_japanese(self) -> dict[str, str]:
        """Return the sentences above, for those who read Japanese: each by its English form."""
        said = [*self.notes, *self.recommendation.reason, *(check.claim for check in self.checks)]
        return {str(one): japanese_of(one) for one in said if japanese_of(one) != one}

    def _cell(self, place: int, languages: dict[str, dict[str, int]]) -> dict[str, Any]:
        cell = self.plan.grid.cells[place]
        standing = self.front.standings.get(cell.name)
        found: dict[str, Any] = {
            "name": cell.name,
            "settings": cell.settings,
            "marks": list(cell.marks),
            "missing": self.missing.get(cell.name, {}),
            "figures": {
                name: _estimate(one) for name, one in self.figures.estimates.get(cell.name, {}).items()
            },
            "languages": languages.get(cell.name, {}),
        }
        if standing is not None:
            found |= {
                "on_front": standing.on_front,
                "front_share": round(standing.front_share, 4),
                "leakage_against_best": _against(standing.leakage),
                "quality_against_best": _against(standing.quality),
                "leakage_against_default": _against(standing.from_default),
            }
        return found

    def _languages(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for one in self.responses:
            own = found.setdefault(one.asked.cell.name, {})
            for event in one.events:
                own[event.language] = own.get(event.language, 0) + 1
        return {cell: dict(sorted(own.items())) for cell, own in found.items()}

    def _alike(self) -> dict[str, float | None]:
        """Return how alike answers to one prompt are in leaking, and prompts between settings: for planning the next sweep."""
        columns = [place for place, cell in enumerate(self.plan.grid.cells) if not cell.greedy]
        by_cell: dict[str, dict[str, list[float]]] = {}
        for one in self.responses:
            if not one.asked.cell.greedy:
                own = by_cell.setdefault(one.asked.cell.name, {})
                own.setdefault(one.asked.prompt.id, []).append(float(bool(one.events)))
        found = [
            icc for icc in (intraclass(list(own.values())) for own in by_cell.values()) if icc is not None
        ]
        if not found:
            return {"icc": None, "shared": None}
        icc = sum(found) / len(found)
        return {
            "icc": round(icc, 4),
            "shared": _shared(self.figures.sums[LEAKING].by_prompt[:, columns], icc),
        }


def _shared(shares: Floats, icc: float) -> float | None:
    """Return the covariance of prompts' shares between cells over their variance without chance; None: not known."""
    whole = shares[np.isfinite(shares).all(axis=1)]
    if len(whole) < 2 or whole.shape[1] < 2:
        return None
    means = whole.mean(axis=0)
    spread = icc * float((means * (1 - means)).mean())
    if spread <= 0:
        return None
    table = np.cov(whole.T)
    cells = len(table)
    between = (float(table.sum()) - float(np.trace(table))) / (cells * (cells - 1))
    return round(min(1.0, max(0.0, between / spread)), 4)


def prompts_digest(plan: Plan) -> str:
    """Return the hash of what is asked, whatever file it stood in."""
    return hash_json([[one.id, one.messages, one.expected, one.licensed] for one in plan.prompts])


def worst(responses: tuple[Response, ...]) -> list[dict[str, Any]]:
    """Return the worst leaks with what stands around them: by severity, then length; each text once."""
    rank = {"high": 0, "medium": 1, "low": 2}
    found = [
        (
            rank[event.severity],
            -(event.end - event.start),
            one.asked.cell.name,
            one.asked.prompt.id,
            event,
            one,
        )
        for one in responses
        for event in one.events
    ]
    found.sort(key=lambda item: item[:4])
    shown, seen = [], set()
    for _, _, cell, prompt, event, one in found:
        if event.text in seen:
            continue
        seen.add(event.text)
        text = one.text
        shown.append(
            {
                **event.as_json(),
                "cell": cell,
                "prompt": prompt,
                "repeat": one.asked.repeat,
                "before": text[max(0, event.start - _AROUND) : event.start],
                "after": text[event.end : event.end + _AROUND],
            }
        )
        if len(shown) == WORST:
            break
    return shown


def _estimate(one: Estimate) -> dict[str, Any]:
    return {
        "value": round(one.value, 6),
        "n": one.n,
        "stderr": _rounded(one.stderr),
        "low": _rounded(one.low),
        "high": _rounded(one.high),
    }


def _against(one: Against | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "difference": round(one.value, 6),
        "low": _rounded(one.low),
        "high": _rounded(one.high),
        "p": None if one.p is None else float(f"{one.p:.4g}"),
        "told_apart": one.apart,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
