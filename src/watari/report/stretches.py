"""The ways that models took through the training stages: the stretches of one axis, and a colour for each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.report.chart import NEUTRAL
from watari.report.logs import TrainLog, trained_before
from watari.report.stages import ReportStage

LENGTH = 1000.0
"""Of the whole axis, in its own units."""
_SHARED = 0.6
"""Part of the axis that is dealt out evenly; the rest goes by tokens."""


@dataclass(frozen=True)
class Stretch:
    """One stretch of the axis: what one stage of the recipe, with all its variants, trained.

    Args:
        number: From 1.
        logs: The stages.
        tokens: Of the longest of them.
        low, high: Where it stands on the axis.
    """

    number: int
    logs: list[TrainLog]
    tokens: float
    low: float
    high: float

    def at(self, tokens: float) -> float:
        """Return where a number of the stage's own tokens stands on the axis."""
        return self.low + (self.high - self.low) * min(1.0, tokens / self.tokens)

    @property
    def name(self) -> str:
        """The names of its stages, without variants."""
        return " / ".join(dict.fromkeys(log.stage.base for log in self.logs))


@dataclass(frozen=True)
class Strand:
    """One way through the recipe: its name and colour, for the legend."""

    name: str
    colour: int
    stage: ReportStage


def predecessors(logs: Sequence[TrainLog]) -> dict[int, int]:
    """Return, for each stage that was trained from another one here, that one's position in the recipe."""
    here = {log.stage.position for log in logs}
    found = {}
    for log in logs:
        stage = trained_before(log.stage)
        while stage is not None and stage.position not in here:
            stage = trained_before(stage)
        if stage is not None:
            found[log.stage.position] = stage.position
    return found


def stretches_of(logs: Sequence[TrainLog], before: dict[int, int]) -> list[Stretch]:
    """Return the stretches in order: a stage's comes after those of all that any of its variants was trained from."""
    base = {log.stage.position: log.stage.base for log in logs}
    level = dict.fromkeys(base.values(), 0)
    # As many rounds as names: then every way is settled, and two names that precede each other do no harm.
    for _ in level:
        for after, first in before.items():
            if base[after] != base[first]:
                level[base[after]] = max(level[base[after]], level[base[first]] + 1)
    groups: dict[int, list[TrainLog]] = {}
    for log in logs:
        groups.setdefault(min(level[log.stage.base], len(level)), []).append(log)
    ordered = [groups[place] for place in sorted(groups)]
    tokens = [max(log.pairs("tokens", "tokens")[-1][0] for log in group) or 1.0 for group in ordered]
    low, found = 0.0, []
    for place, (group, count) in enumerate(zip(ordered, tokens, strict=True), 1):
        share = _SHARED / len(ordered) + (1 - _SHARED) * count / sum(tokens)
        found.append(Stretch(place, group, count, low, low + LENGTH * share))
        low += LENGTH * share
    return found


def colours_of(logs: Sequence[TrainLog], before: dict[int, int]) -> tuple[dict[int, int], list[Strand]]:
    """Return each stage's colour and the legend: one colour for each way through; what ways share has none."""
    ends = [log.stage for log in logs if log.stage.position not in before.values()]
    passing: dict[int, list[int]] = {}
    for colour, end in enumerate(ends):
        position: int | None = end.position
        seen = set()
        while position is not None and position not in seen:
            seen.add(position)
            passing.setdefault(position, []).append(colour)
            position = before.get(position)
    colours = {
        position: each[0] % 8 if len(each) == 1 or len(ends) == 1 else NEUTRAL
        for position, each in passing.items()
    }
    variants = [end.variant for end in ends]
    plain = len(set(variants)) < len(variants) or not all(variants)
    return colours, [
        Strand(end.name if plain else end.variant, colour % 8, end) for colour, end in enumerate(ends)
    ]
