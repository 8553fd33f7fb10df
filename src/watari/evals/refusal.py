"""When too much of a model's result is invalid to call it a result."""

from __future__ import annotations

from watari.evals.result import Result

LIMIT = 0.05
"""Share of invalid units above which a result is refused unless told otherwise (issue 7)."""


def refusal(result: Result, limit: float = LIMIT) -> str | None:
    """Return why a result is refused, `75.0 % of 160 ratings are invalid`; None if it is not.

    Where ratings of several sets are averaged, each set counts by itself, too: a third of one benchmark's ratings may be
    missing (athenev2 on Rakuda) and still be under 5 % of all of them.

    Args:
        result: Of one model and judge. Every unit counts, whatever its weight. What is averaged in because somebody said so
            (`as-is`) is no reason; what counts as wrong, as an answer that is missing, is.
        limit: Largest share of invalid units that is let through.
    """
    units, invalid = len(result.units), result.invalid
    if result.settings.get("invalid") == "as-is":
        invalid = sum(unit.value is None for unit in result.units)
    if not units:
        return None
    what = "answers" if result.judge is None else "ratings"
    if invalid > limit * units:
        return f"{100 * invalid / units:.1f} % of {units:,} {what} are invalid"
    for name in dict.fromkeys(unit.stratum for unit in result.units) if result.judge is not None else ():
        figure = result.figures.get(name)
        if figure is not None and figure.invalid_rate > limit:
            total = figure.n + figure.invalid
            return f"{name}: {100 * figure.invalid_rate:.1f} % of {total:,} {what} are invalid"
    return None
