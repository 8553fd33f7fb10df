"""What a stage that asks tells of its run beside its metrics: how much was sent, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def performance_of(spending: Mapping[str, Any], rows: int, seconds: float) -> dict[str, Any]:
    """Return `StageResult.performance` of a stage that asks.

    Args:
        spending: By endpoint, as `Asking.spending` tells it.
        rows: That the run worked through.
        seconds: That it took.

    Returns:
        requests_sent, recorded (found on record, nothing sent), seconds, rows_per_second, endpoints (`spending`).
    """
    return {
        "requests_sent": sum(one.get("requests", 0) for one in spending.values()),
        "recorded": sum(one.get("recorded", 0) for one in spending.values()),
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds, 3) if seconds else 0.0,
        "endpoints": spending,
    }
