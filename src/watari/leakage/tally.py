"""What is counted of each response, and figures of any part of them with intervals.

Two figures: events per 1,000 characters, and the share of responses with any. Both are ratios of sums over prompts; their
intervals are percentile bootstraps in which all answers to a prompt are drawn together (`stats.resampling`). Figures of one
scan share the draws, so that differences between them are paired.

Where no event was seen, draws of what was seen say nothing. The upper end is then Wilson's for the share, with prompts as
the units, and for the rate what Poisson's law allows: 3.69 events in all the characters there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from watari.leakage.rows import Scalar
from watari.leakage.scan import Scanned
from watari.stats import wilson
from watari.stats.resampling import (
    ROUNDS,
    Floats,
    Stratum,
    column_sums,
    percentile_interval,
    resampled,
    sorted_places,
)

PER = 1000
CLASSES = ("glyph", "switch", "token")
STRATUM = "prompts"
_NONE_SEEN = 3.688879454113936  # -ln(0.025)
_FIGURES = 128  # drawn together

Kind = tuple[str, str]
"""Class and language of an event."""
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted of one judged response.

    Args:
        prompt: Whose answers are drawn together.
        expected: Language that it should be in.
        characters: Of it.
        events: Events by class and language of what leaked.
        columns: Of its row.
    """

    prompt: str
    expected: str
    characters: int
    events: Mapping[Kind, int]
    columns: Mapping[str, Scalar]


def tally_of(scanned: Scanned) -> Tally:
    """Return what is counted of a response."""
    events: dict[Kind, int] = {}
    for event in scanned.events:
        key = (event.cls, event.language)
        events[key] = events.get(key, 0) + 1
    row = scanned.row
    return Tally(row.prompt_id, scanned.expected, len(row.response), events, row.columns)


@dataclass(frozen=True)
class Figure:
    """A figure with its uncertainty; `low`, `high` and `stderr` are None where one prompt alone says nothing about it."""

    value: float
    low: float | None
    high: float | None
    stderr: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"value": self.value, "low": self.low, "high": self.high, "stderr": self.stderr}


@dataclass(frozen=True)
class Count:
    """A part of the responses with its figures.

    Args:
        events: In all.
        responses: How many there are.
        leaking: How many have any event.
        characters: Of all of them.
        prompts: How many different ones they answer.
        rate: Events per 1,000 characters.
        share: Of responses with any.
    """

    events: int
    responses: int
    leaking: int
    characters: int
    prompts: int
    rate: Figure
    share: Figure

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "events": self.events,
            "responses": self.responses,
            "leaking": self.leaking,
            "characters": self.characters,
            "prompts": self.prompts,
            "events_per_1000": self.rate.as_json(),
            "responses_with_any": self.share.as_json(),
        }


@dataclass(frozen=True)
class Part:
    """Which responses, and which of their events, a count is of.

    Args:
        rows: The responses; None: all.
        cls: Only events of this class.
        language: Only events of this language.
    """

    rows: Mask | None = None
    cls: str | None = None
    language: str | None = None

    def takes(self, kind: Kind) -> bool:
        """Return whether events of a kind count."""
        return (self.cls is None or kind[0] == self.cls) and (
            self.language is None or kind[1] == self.language
        )


@dataclass
class Sheet:
    """All tallies as columns of numbers.

    Args:
        tallies: Of judged responses, in any order.
        prompts: The prompts that there are, sorted; default: those of the tallies. Two sheets with the same ones are
            drawn alike.
    """

    tallies: Sequence[Tally]
    prompts: Sequence[str] | None = None
    _clusters: Ints = field(init=False, repr=False)
    _count: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = [tally.prompt for tally in self.tallies]
        places = sorted_places(self.prompts if self.prompts is not None else names)
        self._count = len(places)
        self._clusters = np.array([places[name] for name in names], np.int64)
        self.characters: Ints = np.array([tally.characters for tally in self.tallies], np.int64)
        self.kinds = sorted({kind for tally in self.tallies for kind in tally.events})
        self._events = {
            kind: np.array([tally.events.get(kind, 0) for tally in self.tallies], np.int64)
            for kind in self.kinds
        }

    def __len__(self) -> int:
        return len(self.tallies)

    def where(self, column: str, value: Scalar) -> Mask:
        """Return which responses have a value in a column."""
        return np.array([tally.columns.get(column) == value for tally in self.tallies], bool)

    def expecting(self, language: str) -> Mask:
        """Return which responses should be in a language."""
        return np.array([tally.expected == language for tally in self.tallies], bool)

    def events_of(self, part: Part) -> Ints:
        """Return how many events of a part each response has."""
        total = np.zeros(len(self), np.int64)
        for kind in self.kinds:
            if part.takes(kind):
                total += self._events[kind]
        return total if part.rows is None else np.where(part.rows, total, 0)

    def sums(self, part: Part) -> tuple[Floats, Floats]:
        """Return by prompt (events, responses with any) and (characters, responses): two tables with two columns."""
        rows = np.ones(len(self), bool) if part.rows is None else part.rows
        events = self.events_of(part)
        tops = np.stack([self._by_prompt(events), self._by_prompt((events > 0).astype(np.int64))], axis=1)
        chosen = rows.astype(np.int64)
        bottoms = np.stack([self._by_prompt(self.characters * chosen), self._by_prompt(chosen)], axis=1)
        return tops, bottoms

    def _by_prompt(self, values: Ints) -> Floats:
        counted = np.bincount(self._clusters, weights=values, minlength=self._count)
        return counted.astype(np.float64)


@dataclass(frozen=True)
class Drawn:
    """Counts with the draws that their intervals come from: `rates` and `shares` are (rounds, parts)."""

    counts: list[Count]
    rates: Floats
    shares: Floats


def count_parts(sheet: Sheet, parts: Sequence[Part], *, seed: int = 0, rounds: int = ROUNDS) -> list[Count]:
    """Return the figures of some parts of the responses, in order."""
    return draw_parts(sheet, parts, seed=seed, rounds=rounds).counts


def draw_parts(sheet: Sheet, parts: Sequence[Part], *, seed: int = 0, rounds: int = ROUNDS) -> Drawn:
    """Return the figures of some parts of the responses, in order, with their draws.

    Args:
        sheet: The responses.
        parts: Which of them.
        seed: Of the bootstrap; depends on it and the prompts alone, not on the order of rows.
        rounds: Of the bootstrap.
    """
    if not sheet.tallies:
        nothing = Count(0, 0, 0, 0, 0, Figure(0.0, None, None), Figure(0.0, None, None))
        return Drawn([nothing] * len(parts), *[np.zeros((rounds, len(parts)))] * 2)
    counts: list[Count] = []
    drawn: list[Floats] = []
    for start in range(0, len(parts), _FIGURES):
        some = parts[start : start + _FIGURES]
        sums = [sheet.sums(part) for part in some]
        tops = np.concatenate([top for top, _ in sums], axis=1)
        bottoms = np.concatenate([bottom for _, bottom in sums], axis=1)
        # A prompt without any of these responses still takes part: in other draws it stands for one that has.
        draws = resampled(Stratum(STRATUM, tops, bottoms), seed=seed, rounds=rounds)
        stderr, low, high = percentile_interval(draws)
        whole = column_sums(tops), column_sums(bottoms)
        for place in range(len(some)):
            rate, share = 2 * place, 2 * place + 1
            prompts = int((bottoms[:, share] > 0).sum())
            events, leaking = int(whole[0][rate]), int(whole[0][share])
            characters, responses = int(whole[1][rate]), int(whole[1][share])
            counts.append(
                Count(
                    events,
                    responses,
                    leaking,
                    characters,
                    prompts,
                    _figure(events, characters, prompts, stderr[rate], low[rate], high[rate], PER),
                    _figure(leaking, responses, prompts, stderr[share], low[share], high[share], 1),
                )
            )
        drawn.append(draws)
    every = np.concatenate(drawn, axis=1) if drawn else np.zeros((rounds, 0))
    return Drawn(counts, every[:, 0::2] * PER, every[:, 1::2])


def _figure(top: int, bottom: int, prompts: int, stderr: float, low: float, high: float, per: int) -> Figure:
    if not bottom:
        return Figure(0.0, None, None)
    if not top:
        upper = wilson(0, prompts).high if per == 1 else _NONE_SEEN / bottom * per
        return Figure(0.0, 0.0, upper)
    if prompts < 2:
        return Figure(top / bottom * per, None, None)
    low, high = float(low), float(high)
    if top == bottom and per == 1:
        return Figure(1.0, wilson(prompts, prompts).low, 1.0)
    return Figure(top / bottom * per, low * per, high * per, _finite(float(stderr) * per))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
