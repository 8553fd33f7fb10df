"""The rules of the profile over the measured sample: how their values lie, and what another threshold would change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watari.corpus.report.flow import Flow
from watari.corpus.report.record import RecordedRule
from watari.corpus.report.tables import Tables, quoted
from watari.stats.intervals import wilson

BINS = 40
CHANGE = 0.1
"""Thresholds are moved by ±10 %."""
_TAILS = (0.005, 0.995)
_SPREAD = 60.0
"""Positive values that spread over more than this ratio stand on a logarithmic axis."""


@dataclass(frozen=True)
class Bin:
    """One bar: values from `low` to `high`, and how many of them hold the rule and break it."""

    low: float
    high: float
    holding: int
    breaking: int


@dataclass(frozen=True)
class Shift:
    """What a threshold moved by ±10 % would change, all other rules left as they are.

    Args:
        limit: `min`, `above`, `max` or `below`.
        before, threshold: The threshold as it is, and moved.
        change: Documents of the sample that would pass all rules: more (+) or fewer (-).
        share: `change` as a share of the sample.
        low, high: Ends of its 95 % interval (Wilson's score interval, with the sign of `change`).
        documents: The same for all rows that came to the rules, estimated; None where their number is not known.
    """

    limit: str
    before: float
    threshold: float
    change: int
    share: float
    low: float
    high: float
    documents: int | None


@dataclass(frozen=True)
class RuleFigure:
    """One rule over the sample.

    Args:
        rule: The rule with its limits.
        sample: Rows in the sample.
        breaking: Those that break this rule, whatever other rules say.
        alone: Those that break this rule only.
        unmeasured: Those in which there is nothing to measure; they count as breaking.
        logarithmic: True if the bins are even on a logarithmic scale.
        bins: From the lowest; the first and the last hold what lies beyond them.
        shifts: A pair for each limit that is not 0: lowered, raised.
    """

    rule: RecordedRule
    sample: int
    breaking: int
    alone: int
    unmeasured: int
    logarithmic: bool
    bins: list[Bin]
    shifts: list[Shift]


def arriving_at_rules(flow: Flow, rules: Sequence[RecordedRule]) -> int | None:
    """Return how many rows came to the rules: what entered the step that drops by them; None if no step does."""
    names = {rule.name for rule in rules}
    for step in flow.steps:
        if step.name == "rules" or any(loss.reason in names for loss in step.losses):
            return step.entering.documents
    return None


def rule_figures(tables: Tables, arriving: int | None) -> list[RuleFigure]:
    """Return a figure for each rule that was measured, in the profile's order.

    Args:
        tables: The build's.
        arriving: Rows that came to the rules, to carry shares of the sample over to all of them.
    """
    profile = tables.record.profile
    rules = [rule for rule in profile.rules if rule.name in tables.measures] if profile else []
    ((sample,),) = tables.rows("SELECT count(*) FROM measured")
    if not rules or not sample:
        return []
    broken = " + ".join(f"(NOT {_holding(rule, rule.limits)})::INTEGER" for rule in rules)
    rows = f"(SELECT *, {broken} AS broken_rules_ FROM measured)"
    return [_figure(tables, rows, rule, sample, arriving) for rule in rules]


def _figure(tables: Tables, rows: str, rule: RecordedRule, sample: int, arriving: int | None) -> RuleFigure:
    column, holding = quoted(rule.name), _holding(rule, rule.limits)
    moved = [
        (limit, value, value * (1 + change))
        for limit, value in rule.limits.items()
        if value
        for change in (-CHANGE, CHANGE)
    ]
    # A row passes with a threshold moved if it breaks no other rule, and not this one as it then stands.
    others = f"broken_rules_ = (NOT {holding})::INTEGER"
    asked = [
        f"count(*) FILTER (NOT {holding})",
        f"count(*) FILTER (NOT {holding} AND broken_rules_ = 1)",
        f"count(*) FILTER (NOT {_measured(rule)})",
        "count(*) FILTER (broken_rules_ = 0)",
        *(
            f"count(*) FILTER ({others} AND {_holding(rule, {**rule.limits, limit: threshold})})"
            for limit, _, threshold in moved
        ),
    ]
    tails = f"min({column}), max({column})" + "".join(f", quantile_disc({column}, {tail})" for tail in _TAILS)
    ((breaking, alone, unmeasured, passing, *passing_moved),) = tables.rows(
        f"SELECT {', '.join(asked)} FROM {rows}"
    )
    ((lowest, highest, low, high),) = tables.rows(f"SELECT {tails} FROM measured WHERE {_measured(rule)}")
    bins: list[Bin] = []
    logarithmic = False
    if lowest is not None:
        low, high, logarithmic = _axis(rule, lowest, highest, low, high)
        bins = _bins(tables, rule, low, high, logarithmic)
    shifts = [
        _shift(limit, before, threshold, count - passing, sample, arriving)
        for (limit, before, threshold), count in zip(moved, passing_moved, strict=True)
    ]
    return RuleFigure(rule, sample, breaking, alone, unmeasured, logarithmic, bins, shifts)


def _shift(
    limit: str, before: float, threshold: float, change: int, sample: int, arriving: int | None
) -> Shift:
    estimate = wilson(abs(change), sample)
    sign = -1 if change < 0 else 1
    ends = sorted(sign * (end or 0.0) for end in (estimate.low, estimate.high))
    documents = None if arriving is None else round(change / sample * arriving)
    return Shift(limit, before, threshold, change, change / sample, ends[0], ends[1], documents)


def _measured(rule: RecordedRule) -> str:
    column = quoted(rule.name)
    return f"({column} IS NOT NULL AND NOT isnan({column}))"


_COMPARED = {"min": ">=", "above": ">", "max": "<=", "below": "<"}


def _holding(rule: RecordedRule, limits: Mapping[str, float]) -> str:
    """Return SQL that is true where a rule holds, never null."""
    column = quoted(rule.name)
    parts = [f"{column} {_COMPARED[name]} {limit!r}::DOUBLE" for name, limit in limits.items()]
    return f"({' AND '.join([_measured(rule), *parts])})"


def _axis(
    rule: RecordedRule, lowest: float, highest: float, low: float, high: float
) -> tuple[float, float, bool]:
    """Return the ends of a rule's axis: all but the tails of its values, and its thresholds with ±10 %."""
    finite = [value for value in (lowest, highest, low, high) if math.isfinite(value)]
    low, high = (max(min(finite), low), min(max(finite), high)) if finite else (0.0, 1.0)
    for limit in rule.limits.values():
        around = (limit * (1 - 1.5 * CHANGE), limit * (1 + 1.5 * CHANGE))
        low, high = min(low, *around), max(high, *around)
    if low >= 1 and high / low > _SPREAD:
        return low, high, True
    if high > 1000 and 0 <= low < 1:
        # Counts that begin at 0.
        return 1.0, high, True
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    return low, high, False


def _bins(tables: Tables, rule: RecordedRule, low: float, high: float, logarithmic: bool) -> list[Bin]:
    column = quoted(rule.name)
    start, end = (math.log(low), math.log(high)) if logarithmic else (low, high)
    inner = f"greatest({column}, {low!r}::DOUBLE)"
    scaled = f"ln({inner})" if logarithmic else inner
    place = f"least(greatest(floor(({scaled} - {start!r}::DOUBLE) / {end - start!r}::DOUBLE * {BINS}), 0), {BINS - 1})"
    counted: dict[tuple[int, bool], int] = {
        (int(number), held): count
        for number, held, count in tables.rows(
            f"SELECT {place}, {_holding(rule, rule.limits)}, count(*) FROM measured WHERE {_measured(rule)}"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
    }

    def edge(number: int) -> float:
        value = start + (end - start) * number / BINS
        return math.exp(value) if logarithmic else value

    return [
        Bin(edge(number), edge(number + 1), counted.get((number, True), 0), counted.get((number, False), 0))
        for number in range(BINS)
    ]
