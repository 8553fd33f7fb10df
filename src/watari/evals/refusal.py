"""When too much of a model's result is invalid to call it a result."""

from __future__ import annotations

from watari.evals.result import Result

LIMIT = 0.05
"""Share of invalid units above which a result is refused unless told otherwise (issue 7)."""


def refusal(result: Result, limit: float = LIMIT) -> str | None:
    """Return why a result is refused, `75.0 % of 160 ratings are invalid`; None if it is not.

    Args:
        result: Of one model and judge. Every unit counts, whatever its weight.
        limit: Largest share of invalid units that is let through.
    """
    units = len(result.units)
    if not units or result.invalid <= limit * units:
        return None
    what = "answers" if result.judge is None else "ratings"
    return f"{100 * result.invalid / units:.1f} % of {units:,} {what} are invalid"
