"""What comes of an evaluation that was asked, and the one way in which it is written, scored and written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watari.evals.folder import Evaluation
    from watari.evals.result import Result


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation.

    Args:
        result: The figures; one model, at most one judge.
        evaluation: Everything that they rest on, as it was written.
        metrics: For a manifest.
        performance: Likewise; differs from run to run.
    """

    # asyncio.run has its finished task, and so this, written out as text, twice: for 1,600 ratings that is 0.2 s.
    result: Result = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    metrics: dict[str, Any]
    performance: dict[str, Any]


def write_and_score(
    out: Path,
    evaluation: Evaluation,
    score: Callable[[Sequence[Path]], Sequence[Result]],
    *,
    notes: Sequence[str],
    metric: str,
) -> Result:
    """Write an evaluation folder, score what was written, write the scores beside it, and return them.

    Args:
        out: The folder; it is made.
        evaluation: Of one model, by one judge at most.
        score: Scores folders. What is counted is what stands there, so that `watari eval score` counts the same.
        notes: Of the plan; told before those of scoring.
        metric: What the figures are: `rating`, `score`.
    """
    from watari.evals.folder import write_evaluation, write_results

    write_evaluation(out, evaluation, metric=metric)
    (result,) = score([out])
    result = replace(result, notes=(*notes, *result.notes))
    write_results(out, [result], metric=metric)
    return result
