"""What becomes of one prompt on its way to a pair."""

from __future__ import annotations

from dataclasses import dataclass, field

from watari.artifact.rows import Row
from watari.judge.pairwise import Comparison
from watari.synth.ladder import Messages
from watari.synth.trials import Trial

OWN = "data"
"""What the row's own answer is given by, where its meta names no model."""


@dataclass(frozen=True)
class Side:
    """One answer of a pair.

    Args:
        text: What was said.
        by: Who said it.
        trial: What the checks said of it; None for the row's own answer that was not checked.
        attempts: How often it was asked for.
    """

    text: str
    by: str
    trial: Trial
    attempts: int = 1


@dataclass(slots=True)
class Paired:
    """What became of one prompt.

    Args:
        row: As it came in.
        prompt: What both sides answer, ending with the user.
        language: That answers had to be in.
        chosen, rejected: The sides, as far as there are any.
        trials: Every answer that was asked for: (who, answer).
        comparisons: What the judge said: (places, verdict).
        points: Of the candidates.
        similarity: Of the two sides.
        failed: Why there is no pair; "" if there is one.
        detail: One line more.
    """

    row: Row
    prompt: Messages
    language: str = ""
    chosen: Side | None = None
    rejected: Side | None = None
    trials: list[tuple[str, Trial]] = field(default_factory=list)
    comparisons: list[tuple[tuple[int, int], Comparison]] = field(default_factory=list)
    points: tuple[float, ...] = ()
    similarity: float = 0.0
    failed: str = ""
    detail: str = ""

    def fail(self, reason: str, detail: str = "") -> Paired:
        """Note why there is no pair."""
        self.failed, self.detail = reason, detail
        return self
