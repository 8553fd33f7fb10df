"""A cell's figures, with intervals clustered by prompt; all cells share the draws, so differences between them are paired.

Where a share is 0 or 1, or nothing leaked at all, a bootstrap would call it certain. Then the interval is Wilson's of as many
independent responses as there are prompts, and for events per 1,000 characters the exact Poisson bound of none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from watari.leakage.sweep.grid import Cell
from watari.leakage.sweep.responses import Response
from watari.stats.intervals import Estimate, wilson
from watari.stats.resampling import Floats, Stratum, column_sums, percentile_interval, resampled

ROUNDS = 1000
CLASSES = ("glyph", "switch", "token")
_NONE_SEEN = 3.689
"""Events whose chance to show none is 2.5 %: -ln 0.025."""

Part = tuple[float, float]


@dataclass(frozen=True)
class Metric:
    """One figure of a cell.

    Args:
        name: In JSON and tables.
        what: In words, with the unit.
        part: (above, below) of a response; a cell's figure is the sum of the first over the sum of the second. Below is 0
            where a response says nothing about it.
        share: True for a share of responses.
        rate: True for events per 1,000 characters.
        better: `low`, `high`, or "" where neither is.
    """

    name: str
    what: str
    part: Callable[[Response], Part]
    share: bool = False
    rate: bool = False
    better: str = ""


def _flag(of: Callable[[Response], bool]) -> Callable[[Response], Part]:
    return lambda one: (float(of(one)), 1.0)


def _given(of: Callable[[Response], float | None]) -> Callable[[Response], Part]:
    def part(one: Response) -> Part:
        value = of(one)
        return (0.0, 0.0) if value is None else (value, 1.0)

    return part


def _events(cls: str = "") -> Callable[[Response], Part]:
    def part(one: Response) -> Part:
        count = sum(not cls or event.cls == cls for event in one.events)
        return 1000.0 * count, float(one.quality.characters)

    return part


LEAKING = "leaking"
SOUND = "sound"
JUDGE = "judge"
METRICS: tuple[Metric, ...] = (
    Metric(
        LEAKING, "share of responses with any leak", _flag(lambda one: bool(one.events)), True, better="low"
    ),
    Metric("events", "leaks per 1,000 characters", _events(), rate=True, better="low"),
    *(
        Metric(
            f"events_{cls}",
            f"leaks of class {cls} per 1,000 characters",
            _events(cls),
            rate=True,
            better="low",
        )
        for cls in CLASSES
    ),
    Metric(
        SOUND,
        "share of responses that say something, end by themselves and do not loop",
        _flag(lambda one: one.quality.sound),
        True,
        better="high",
    ),
    Metric(
        "loops", "share that gets stuck in a loop", _flag(lambda one: one.quality.loops), True, better="low"
    ),
    Metric(
        "truncated",
        "share cut off by its limit",
        _flag(lambda one: one.quality.truncated),
        True,
        better="low",
    ),
    Metric("empty", "share with nothing in it", _flag(lambda one: one.quality.empty), True, better="low"),
    *(
        Metric(
            f"distinct_{n}",
            f"share of different {n}-grams, over windows of 100 words or characters",
            _given(lambda one, n=n: one.quality.distinct[n - 1]),  # type: ignore[misc]
            better="high",
        )
        for n in (1, 2, 3)
    ),
    Metric(
        "self_repetition",
        "share of 4-grams that stood before in the same response",
        _given(lambda one: one.quality.repetition),
        better="low",
    ),
    Metric("characters", "characters of a response", lambda one: (float(one.quality.characters), 1.0)),
    Metric("tokens", "tokens of a response", lambda one: (float(one.tokens), 1.0)),
    Metric(JUDGE, "the judge's rating, 1 to 10", _given(lambda one: one.rating), better="high"),
)
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class Sums:
    """Sums of one metric: a row a prompt (in the order of their ids), a column a cell."""

    above: Floats
    below: Floats

    @property
    def values(self) -> Floats:
        """Each cell's figure; NaN where nothing says anything."""
        return _divided(column_sums(self.above), column_sums(self.below))

    @property
    def by_prompt(self) -> Floats:
        """Each prompt's own figure in each cell; NaN likewise."""
        return _divided(self.above, self.below)


def _divided(above: Floats, below: Floats) -> Floats:
    found: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return found


@dataclass(frozen=True)
class Figures:
    """The figures of all cells.

    Args:
        cells: In the order of the grid.
        prompts: Ids, sorted.
        estimates: By cell's name, then metric; `n` counts responses. A metric that nothing says anything about is left out.
        sums: By metric, for comparisons.
    """

    cells: tuple[Cell, ...]
    prompts: tuple[str, ...]
    estimates: Mapping[str, Mapping[str, Estimate]]
    sums: Mapping[str, Sums]


def figures_of(
    cells: Sequence[Cell], responses: Sequence[Response], *, seed: int = 0, rounds: int = ROUNDS
) -> Figures:
    """Return every cell's figures."""
    prompts = tuple(sorted({one.asked.prompt.id for one in responses}))
    rows = {name: place for place, name in enumerate(prompts)}
    columns = {cell.name: place for place, cell in enumerate(cells)}
    shape = (len(prompts), len(cells))
    sums: dict[str, Sums] = {}
    counts: dict[str, Floats] = {}
    for metric in METRICS:
        above, below, count = np.zeros(shape), np.zeros(shape), np.zeros(len(cells))
        for one in responses:
            row, column = rows[one.asked.prompt.id], columns[one.asked.cell.name]
            top, bottom = metric.part(one)
            above[row, column] += top
            below[row, column] += bottom
            count[column] += bottom > 0
        if below.any():
            sums[metric.name] = Sums(above, below)
            counts[metric.name] = count
    estimates: dict[str, dict[str, Estimate]] = {cell.name: {} for cell in cells}
    for name, own in sums.items():
        found = estimates_of(BY_NAME[name], own, counts[name], seed=seed, rounds=rounds)
        for cell, estimate in zip(cells, found, strict=True):
            if estimate is not None:
                estimates[cell.name][name] = estimate
    return Figures(tuple(cells), prompts, estimates, sums)


def estimates_of(
    metric: Metric, sums: Sums, counts: Floats, *, seed: int = 0, rounds: int = ROUNDS
) -> list[Estimate | None]:
    """Return one metric's figure in each cell with its interval; None where no response says anything.

    Args:
        metric: Which.
        sums: Of it, prompt by prompt.
        counts: How many responses of each cell say something.
        seed, rounds: Of the draws.
    """
    ends = _ends(sums, len(sums.above), seed, rounds)
    return [
        _estimate(metric, sums, column, int(count), ends) if count else None
        for column, count in enumerate(counts)
    ]


def drawn(sums: Sums, *, seed: int, rounds: int = ROUNDS) -> Floats:
    """Return each cell's figure in each draw of the prompts: (rounds, cells)."""
    return resampled(Stratum("prompts", sums.above, sums.below), seed=seed, rounds=rounds)


def _ends(sums: Sums, prompts: int, seed: int, rounds: int) -> tuple[Floats, Floats, Floats] | None:
    return percentile_interval(drawn(sums, seed=seed, rounds=rounds)) if prompts > 1 else None


def _estimate(
    metric: Metric, sums: Sums, column: int, n: int, ends: tuple[Floats, Floats, Floats] | None
) -> Estimate:
    value = float(sums.values[column])
    if metric.share and value in (0.0, 1.0):
        independent = int((sums.below[:, column] > 0).sum())
        sure = wilson(independent if value else 0, independent)
        return Estimate(value, n, 0.0, sure.low, sure.high)
    if metric.rate and value == 0.0:
        return Estimate(0.0, n, 0.0, 0.0, 1000 * _NONE_SEEN / float(sums.below[:, column].sum()))
    if ends is None:
        return Estimate(value, n, None, None, None)
    stderr, low, high = (float(end[column]) for end in ends)
    return Estimate(value, n, stderr, min(low, value), max(high, value))
