"""Which models of a table are not told apart, as letters."""

from __future__ import annotations

from collections.abc import Sequence

from watari.errors import UserError
from watari.evals.result import Result

MOST = 60
"""Models up to which groups are looked for: beyond, letters would say nothing to anybody."""


def tied_letters(results: Sequence[Result], *, seed: int = 0) -> dict[str, str]:
    """Return, by model, the letters of its groups; models that share a letter are not told apart.

    Empty where there is nothing to tell apart: one model, too many, or no question that two of them have in common.

    Args:
        results: Of one spec and judge, best first.
        seed: Of the bootstrap.
    """
    from watari.evals import comparison

    if not 2 <= len(results) <= MOST:
        return {}
    try:
        return comparison.tied_letters(results, seed=seed)
    except UserError:
        return {}
