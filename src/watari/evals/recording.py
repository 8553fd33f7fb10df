"""What every evaluation that asks writes down alike: a manifest's figures and ratings, and where things come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from watari.evals.result import Result
from watari.evals.scores import rounded
from watari.judge.single import Opinion


def figures_json(result: Result, *, run_sd: bool = False) -> dict[str, dict[str, Any]]:
    """Return what a manifest says of figures, by name: {value, n, invalid, ci_low, ci_high, run_sd?}, rounded.

    Args:
        result: Of one model.
        run_sd: Whether the deviation of its runs is told, too.
    """
    return {
        name: {
            "value": rounded(figure.value),
            "n": figure.n,
            "invalid": figure.invalid,
            "ci_low": rounded(figure.low),
            "ci_high": rounded(figure.high),
            **({"run_sd": rounded(figure.run_sd)} if run_sd else {}),
        }
        for name, figure in result.figures.items()
    }


def ratings_json(opinions: Sequence[Sequence[Opinion]], *, again: str) -> dict[str, Any]:
    """Return what a manifest says of a judge's work: {rated, unreadable, reasons: {reason: count}, <again>}.

    Args:
        opinions: Of each answer, all that the judge said in turn; the last counts.
        again: What further questions about an answer are called.
    """
    problems = Counter(said[-1].problem for said in opinions if said[-1].problem)
    return {
        "rated": len(opinions) - problems.total(),
        "unreadable": problems.total(),
        "reasons": dict(sorted(problems.items())),
        again: sum(len(said) for said in opinions) - len(opinions),
    }


def named(location: str) -> str:
    """Return a location without folders of this machine: they would change the digest of the same evaluation."""
    return location if "://" in location else location.rsplit("/", 1)[-1]
