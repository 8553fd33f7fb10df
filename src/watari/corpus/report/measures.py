"""What the rules of the profile measured in one document: read from the build's sample, or computed from its text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from watari.corpus.report.record import RecordedRule
from watari.corpus.report.tables import Tables, quoted
from watari.errors import UserError
from watari.pages.visible import columns, fitted, visible

_SIGNS = {"min": "≥", "above": ">", "max": "≤", "below": "<"}


@dataclass(frozen=True)
class RuleValue:
    """One rule: its value in a document (None where nothing can be measured), its limits, and whether it holds."""

    name: str
    value: float | None
    limits: dict[str, float]
    holds: bool

    def as_text(self, width: int = 24) -> str:
        """Return it as one line, with the name in a column of its own."""
        said = "–" if self.value is None else f"{self.value:.6g}"
        limits = ", ".join(f"{_SIGNS[name]} {limit:.6g}" for name, limit in self.limits.items())
        name = fitted(visible(self.name, lines=False), width)
        return f"{'·' if self.holds else '✗'} {name}{' ' * (width - columns(name))} {said:>12}   {limits}"


@dataclass(frozen=True)
class RuleValues:
    """The values of all rules, where they come from, and what is to be said of that."""

    values: list[RuleValue]
    origin: Literal["measured", "text", "none"]
    note: str = ""


def holds(value: float | None, limits: dict[str, float]) -> bool:
    """Return whether a value lies within a rule's limits; what cannot be measured does not."""
    if value is None:
        return False
    return (
        value >= limits.get("min", -math.inf)
        and value <= limits.get("max", math.inf)
        and ("above" not in limits or value > limits["above"])
        and ("below" not in limits or value < limits["below"])
    )


def values_of(
    tables: Tables, key: str, text: str | None, *, source: str | None, language: str | None
) -> RuleValues:
    """Return the values of the profile's rules in one row.

    Args:
        tables: The build's.
        key: The row's.
        text: Its text if it was kept, to measure again where the build's sample does not hold it.
        source, language: The row's.
    """
    profile = tables.record.profile
    if profile is None or not profile.rules:
        return RuleValues([], "none", "the build used no profile of rules")
    measured = [rule for rule in profile.rules if rule.name in tables.measures]
    if measured:
        names = ", ".join(quoted(rule.name) for rule in measured)
        found = tables.rows(f"SELECT {names} FROM measured WHERE key = ? LIMIT 1", [key])
        if found:
            return RuleValues(
                [_value(rule, value) for rule, value in zip(measured, found[0], strict=True)], "measured"
            )
    if text is None:
        return RuleValues([], "none", "it is not in the measured sample, and its text was not kept whole")
    return _computed(
        tables, profile.rules, {"key": key, "text": text, "source": source, "language": language}
    )


def _computed(tables: Tables, rules: list[RecordedRule], row: dict[str, Any]) -> RuleValues:
    import json

    import pyarrow as pa
    from pydantic import ValidationError

    from watari.corpus.report.record import RECORD
    from watari.corpus.rules.apply import measure
    from watari.corpus.rules.profile import Profile
    from watari.corpus.table import WORKING

    given = json.loads((tables.folder / RECORD).read_text("utf-8")).get("profile")
    try:
        profile = Profile.model_validate(given)
        table = pa.Table.from_pylist([row], schema=WORKING)
        made = measure(table, profile)
    except (UserError, ValidationError) as error:
        said = str(error).splitlines()[0]
        return RuleValues([], "none", f"the rules could not be measured again: {said}")
    found = {name: made.column(name)[0].as_py() for name in made.column_names}
    return RuleValues([_value(rule, found[rule.name]) for rule in rules if rule.name in found], "text")


def _value(rule: RecordedRule, value: float | None) -> RuleValue:
    if value is not None and math.isnan(value):
        value = None
    return RuleValue(rule.name, value, rule.limits, holds(value, rule.limits))
