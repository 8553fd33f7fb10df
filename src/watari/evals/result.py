"""What scoring gives, whatever the spec: figures with their uncertainty, and the units that they rest on.

The units make everything else possible without going back to the files: paired comparison, intervals clustered by
question, tables with and without touched items, the browser of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that was scored: an item, or one rating of one turn of one run.

    Args:
        item: The question or item; what is drawn together in a bootstrap (with the stratum, unique).
        stratum: The set that it stands in and is drawn within: the dataset (`jamp`), "" where all are drawn together.
        category: What tables group by: `writing`, `NLI`, ...
        turn: From 1.
        run: From 0 (FastChat's choice).
        value: Its score on the spec's scale; None if it is invalid (unreadable rating, -1, no score).
        weight: Of its value in the overall figure (overall = sum of weight x value over sum of weight); 0: in none.
        reason: Why it is invalid; "" otherwise. An invalid one may have a value all the same: jaster counts an answer that
            is missing as wrong, `as-is` averages in what is stored.
        content: What tells its question from another one of the same name, as far as that is known: the gold answer.
    """

    item: str
    stratum: str
    category: str
    turn: int
    run: int
    value: float | None
    weight: float = 1.0
    reason: str = ""
    content: str = ""

    @property
    def invalid(self) -> bool:
        """Whether there is no score, or one that stands for none."""
        return self.value is None or self.reason != ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Args:
        value: None where nothing valid is left to average.
        n: Valid units that it rests on.
        invalid: Units that were left out.
        stderr, low, high: Of the bootstrap clustered by item; None where it says nothing.
        run_sd: Standard deviation (ddof 1) of the runs' own figures; None with one run.
    """

    value: float | None
    n: int
    invalid: int = 0
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    run_sd: float | None = None

    @property
    def invalid_rate(self) -> float:
        """Share of units that were left out; 0 where there are none."""
        return self.invalid / (self.n + self.invalid) if self.n + self.invalid else 0.0


@dataclass(frozen=True)
class Result:
    """A model under a spec, rated by one judge (or none).

    Args:
        spec: `SpecHead.label`.
        model: As the files name it.
        judge: Who rated; None where nobody did. A table never mixes judges.
        overall: The name of the figure that the spec calls its result.
        figures: By name, in the spec's order: `AVR`, `NLI`, `jamp_exact_match`; `overall`, `turn 1`, `writing`,
            `writing turn 1`.
        units: Everything that was scored, also the invalid.
        runs: How many runs.
        settings: What else decides the figures: ratio backend, what was done with invalid rows, version of the rules.
        notes: What a reader must be told: duplicate rows, questions missing, another backend's score.
        sources: Files that it comes from.
    """

    spec: str
    model: str
    judge: str | None
    overall: str
    figures: Mapping[str, Figure]
    units: tuple[Unit, ...]
    runs: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def invalid(self) -> int:
        """Units that are invalid, be they left out, counted as wrong or averaged in as they are."""
        return sum(unit.invalid for unit in self.units)
