"""What a stage that asks tells of its run beside its metrics: how much was sent, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watari.endpoint import performance
from watari.errors import StageFailed


def check_answered(spending: Mapping[str, Any]) -> None:
    """Make sure that somebody answered something, where anything was asked.

    Raises:
        StageFailed: if every single request failed: an empty dataset would be no result of the rows' making.
    """
    asked = sum(one.get("requests", 0) for one in spending.values())
    answered = sum(one.get("answered", 0) + one.get("recorded", 0) for one in spending.values())
    if asked and not answered:
        statuses: dict[str, int] = {}
        for one in spending.values():
            for status, count in one.get("statuses", {}).items():
                statuses[status] = statuses.get(status, 0) + count
        said = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
        raise StageFailed(
            f"none of {asked:,} requests was answered: {said}",
            "see what the server says with `watari ledger tail`, then run the same command again",
        )


def performance_of(spending: Mapping[str, Any], rows: int, seconds: float) -> dict[str, Any]:
    """Return `StageResult.performance` of a stage that asks.

    Args:
        spending: By endpoint, as `Asking.spending` tells it.
        rows: That the run worked through.
        seconds: That it took.

    Returns:
        requests_sent, recorded (found on record, nothing sent), seconds, rows_per_second, endpoints (`spending`).
    """
    return performance.performance_of(spending, seconds, rate="rows", done=rows)
