"""Figures as the harness printed them, beside what its samples give."""

from __future__ import annotations

from dataclasses import dataclass

from watari.evals.result import Unit

CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Check:
    """A figure as printed and as counted again.

    Args:
        figure: Its name.
        printed, stderr: The harness's.
        ours: From the samples; None where that cannot be done: see `why`.
        why: Why not: no samples, or a rule that is not done here.
    """

    figure: str
    printed: float
    stderr: float | None
    ours: float | None
    why: str = ""

    @property
    def verdict(self) -> str:
        """`same`, `different`, or `as printed`."""
        if self.ours is None:
            return "as printed"
        return "same" if abs(self.ours - self.printed) <= CLOSE * max(1.0, abs(self.printed)) else "different"

    @property
    def value(self) -> float:
        """The figure: ours, or as printed where it cannot be counted."""
        return self.printed if self.ours is None else self.ours


@dataclass(frozen=True)
class Row:
    """One figure to be: its name, what was printed, and the units that it is the mean of, if it is one."""

    check: Check
    units: tuple[Unit, ...]
    documents: int = 0
