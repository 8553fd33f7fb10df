"""Two sets of responses compared: does one leak more? Paired by prompt.

A prompt that invites leakage invites both; so only prompts that both answered count, and a draw of the bootstrap takes both
sides' answers to a prompt together. Each figure is the one that a summary of the common prompts shows, so the difference
is that of what can be read there.

Three answers, as in `stats.paired`: `p` of the bootstrap; `p_permutation`, where the two sides change places prompt by
prompt; `p_t`, Student's t of the difference over its linearised standard error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from watari.errors import UserError
from watari.leakage.curves import is_number, trends, values_of
from watari.leakage.difference import Difference, difference_of, swap_p
from watari.leakage.tally import CLASSES, PER, Count, Part, Sheet, Tally, draw_parts
from watari.stats.paired import FLIPS, two_sided
from watari.stats.resampling import ROUNDS, percentile_interval

_OUTCOMES = frozenset(
    {"events", "finish_reason", "prompt_tokens", "completion_tokens", "rating", "latency_ms", "created"}
)
"""Columns that tell what came out of an answer, not how it was asked."""
METHOD = "difference of ratios; bootstrap and label swaps over the prompts that both answered"


@dataclass(frozen=True)
class Compared:
    """One part of the responses of both sides: which it is (`all`, `class token`, ...), counts and differences."""

    part: str
    a: Count
    b: Count
    rate: Difference
    share: Difference

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "part": self.part,
            "responses": [self.a.responses, self.b.responses],
            "events": [self.a.events, self.b.events],
            "events_per_1000": self.rate.as_json(),
            "responses_with_any": self.share.as_json(),
        }


@dataclass(frozen=True)
class Slopes:
    """Trends along a numeric column of both sides, and whether one grows faster: A minus B."""

    column: str
    rate: Difference
    share: Difference

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "column": self.column,
            "events_per_1000": self.rate.as_json(),
            "responses_with_any": self.share.as_json(),
        }


@dataclass(frozen=True)
class Comparison:
    """Two sets of responses on the prompts that both answered.

    Args:
        a, b: Their names.
        prompts: In common.
        only_a, only_b: Prompts that one of them alone answered.
        parts: All events first, then by class, by language that leaked, by expected language, by value of a column.
        slopes: Trends, where a numeric column has several values on both sides.
        notes: What a reader must be told.
        seed, rounds: Of the draws.
    """

    a: str
    b: str
    prompts: int
    only_a: int
    only_b: int
    parts: tuple[Compared, ...]
    slopes: tuple[Slopes, ...]
    notes: tuple[str, ...]
    seed: int
    rounds: int

    @property
    def whole(self) -> Compared:
        """All events."""
        return self.parts[0]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON of `watari leakage compare --json`."""
        return {
            "a": self.a,
            "b": self.b,
            "prompts": self.prompts,
            "only_a": self.only_a,
            "only_b": self.only_b,
            **{name: value for name, value in self.whole.as_json().items() if name != "part"},
            "parts": [part.as_json() for part in self.parts[1:]],
            "slopes": [slope.as_json() for slope in self.slopes],
            "notes": list(self.notes),
            "seed": self.seed,
            "rounds": self.rounds,
            "method": METHOD,
        }


def compare(
    a: Sequence[Tally],
    b: Sequence[Tally],
    *,
    names: tuple[str, str] = ("A", "B"),
    by: Sequence[str] = ("temperature",),
    chosen: Collection[str] = (),
    seed: int = 0,
    rounds: int = ROUNDS,
    flips: int = FLIPS,
) -> Comparison:
    """Return the paired comparison of two sets of responses.

    Args:
        a, b: Judged responses of each.
        names: What tables call them.
        by: Columns whose values are compared one by one, where both sides have them; of numeric ones also the trends.
        chosen: Columns by which the two sides were chosen: that they differ need not be told.
        seed, rounds: Of the bootstrap.
        flips: Swaps of the permutation test, where not all are tried.

    Raises:
        UserError: if they have no prompt in common.
    """
    asked = [{tally.prompt for tally in side} for side in (a, b)]
    common = sorted(asked[0] & asked[1])
    if not common:
        raise UserError(
            f"{names[0]} and {names[1]} answer no prompt in common",
            "rows of one prompt need the same text, or the same prompt_id",
        )
    known = set(common)
    sheets = (
        Sheet([tally for tally in a if tally.prompt in known], common),
        Sheet([tally for tally in b if tally.prompt in known], common),
    )
    pairs = [(name, one, other) for name, one, other in _parts(sheets, by) if _both(sheets, one, other)]
    parts = _compared(sheets, pairs, seed, rounds, flips)
    slopes = [found for column in by if (found := _slopes(sheets, column, seed, rounds, flips)) is not None]
    return Comparison(
        *names,
        prompts=len(common),
        only_a=len(asked[0] - known),
        only_b=len(asked[1] - known),
        parts=tuple(parts),
        slopes=tuple(slopes),
        notes=_notes(sheets, names, chosen),
        seed=seed,
        rounds=rounds,
    )


Sheets = tuple[Sheet, Sheet]
Pair = tuple[str, Part, Part]


def _parts(sheets: Sheets, by: Sequence[str]) -> list[Pair]:
    kinds = sorted({kind for sheet in sheets for kind in sheet.kinds})
    languages = sorted({language for _, language in kinds})
    expected = sorted({tally.expected for sheet in sheets for tally in sheet.tallies})
    found: list[Pair] = [("all", Part(), Part())]
    found += [
        (f"class {name}", Part(cls=name), Part(cls=name))
        for name in CLASSES
        if any(kind[0] == name for kind in kinds)
    ]
    found += [(f"leaked {name}", Part(language=name), Part(language=name)) for name in languages]
    if len(expected) > 1:
        for name in expected:
            one, other = (Part(sheet.expecting(name)) for sheet in sheets)
            found.append((f"expected {name}", one, other))
    for column in by:
        values = [values_of(sheet, column) for sheet in sheets]
        shared = [value for value in values[0] if value in values[1]]
        for value in shared if len(shared) > 1 else []:
            one, other = (Part(sheet.where(column, value)) for sheet in sheets)
            found.append((f"{column} {value}", one, other))
    return found


def _both(sheets: Sheets, one: Part, other: Part) -> bool:
    return all(
        part.rows is None or bool(part.rows.any()) for _, part in zip(sheets, (one, other), strict=True)
    )


def _compared(sheets: Sheets, pairs: Sequence[Pair], seed: int, rounds: int, flips: int) -> list[Compared]:
    drawn = [
        draw_parts(sheet, [pair[2] if side else pair[1] for pair in pairs], seed=seed, rounds=rounds)
        for side, sheet in enumerate(sheets)
    ]
    found = []
    for place, (name, *parts) in enumerate(pairs):
        sums = [sheet.sums(part) for sheet, part in zip(sheets, parts, strict=True)]
        differences = []
        for column, per in ((0, PER), (1, 1)):
            draws = [one.rates if column == 0 else one.shares for one in drawn]
            differences.append(
                difference_of(
                    [(tops[:, column], bottoms[:, column]) for tops, bottoms in sums],
                    draws[0][:, place] - draws[1][:, place],
                    per,
                    seed,
                    flips,
                )
            )
        found.append(Compared(name, drawn[0].counts[place], drawn[1].counts[place], *differences))
    return found


def _slopes(sheets: Sheets, column: str, seed: int, rounds: int, flips: int) -> Slopes | None:
    values = [values_of(sheet, column) for sheet in sheets]
    shared = [value for value in values[0] if value in values[1] and is_number(value)]
    if len(shared) < 2:
        return None
    places = np.array([float(value) for value in shared])
    pull = (places - places.mean()) / ((places - places.mean()) ** 2).sum()
    wanted = [[Part(sheet.where(column, value)) for value in shared] for sheet in sheets]
    drawn = [
        draw_parts(sheet, parts, seed=seed, rounds=rounds)
        for sheet, parts in zip(sheets, wanted, strict=True)
    ]
    sums = [[sheet.sums(part) for part in parts] for sheet, parts in zip(sheets, wanted, strict=True)]
    ends = [trends(shared, one) for one in drawn]
    differences = []
    for place in (0, 1):
        one, other = ends[0][place], ends[1][place]
        if one is None or other is None:
            return None
        draws = np.zeros(rounds)
        for at, weight in enumerate(pull.tolist()):
            sides = [table.rates if place == 0 else table.shares for table in drawn]
            draws += weight * (sides[0][:, at] - sides[1][:, at])
        _, low, high = percentile_interval(draws[:, None])
        value = one.slope - other.slope
        tables = [
            np.stack([pair[which][:, place] for pair in side], axis=1) for side in sums for which in (0, 1)
        ]
        swaps = swap_p(*tables, pull=pull, seed=seed, flips=flips)
        differences.append(
            Difference(
                one.slope, other.slope, value, float(low[0]), float(high[0]), two_sided(draws, value), swaps
            )
        )
    return Slopes(column, *differences)


def _notes(sheets: Sheets, names: tuple[str, str], chosen: Collection[str]) -> tuple[str, ...]:
    """Return in which settings the two sides differ beside the model: then it is not the model alone that is compared."""
    notes = []
    columns: Mapping[str, None] = dict.fromkeys(
        name for sheet in sheets for tally in sheet.tallies[:1] for name in tally.columns
    )
    for column in columns:
        if column in _OUTCOMES or column in chosen or column in ("model", "run", "seed", "file"):
            continue
        values = [values_of(sheet, column) for sheet in sheets]
        if not all(values) or len(values[0]) > 20 or len(values[1]) > 20 or set(values[0]) == set(values[1]):
            continue
        said = "; ".join(
            f"{name}: {', '.join(map(str, found))}" for name, found in zip(names, values, strict=True)
        )
        notes.append(f"{column} differs: {said}")
    return tuple(notes)
