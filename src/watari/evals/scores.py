"""Rows of kind `scores`: a figure with n, invalid items and an interval."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, write_rows
from watari.stats import Estimate

DIGITS = 6
"""Figures are written to six decimals: more would be rounding noise of the model's arithmetic."""


def score_row(metric: str, group: str, estimate: Estimate, *, spec: str, invalid: int = 0) -> dict[str, Any]:
    """Return one row of scores. `group` is a language, or `language/group`."""
    return {
        "metric": metric,
        "group": group,
        "value": rounded(estimate.value),
        "n": estimate.n,
        "invalid": invalid,
        "stderr": rounded(estimate.stderr),
        "ci_low": rounded(estimate.low),
        "ci_high": rounded(estimate.high),
        "spec": spec,
        "judge": None,
        "runs": 1,
    }


def write_scores(out: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write `rows.parquet` of an artifact of scores."""
    write_rows(out / ROWS, Kind.SCORES, rows)


def figures(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest's metrics say of a row of scores: value, n, ci_low, ci_high."""
    return {name: row[name] for name in ("value", "n", "ci_low", "ci_high")}


def rounded(value: float | None) -> float | None:
    """Return a figure to `DIGITS` decimals; None stays None."""
    return None if value is None else round(value, DIGITS)
