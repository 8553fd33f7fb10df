"""What rules measure: a registry of functions from texts to one number a text."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.corpus.rules.profile import Profile, Rule
from watari.errors import UserError
from watari.kernels.texts import Texts

if TYPE_CHECKING:
    from watari.corpus.rules.words import Words

Integers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Measure = Callable[[Texts, Rule, Profile, "Words | None"], Values]
Together = Callable[[Texts, Sequence[Rule], Profile, "Words | None"], Sequence[Values]]

# Where metrics are defined (words_metrics: those of the texts' own words); imported when first asked for.
_HOMES = ("watari.corpus.rules.characters", "watari.corpus.rules.listed", "watari.corpus.rules.words_metrics")


@dataclass(frozen=True)
class FirstFailing:
    """The verdict of several rules at once.

    Args:
        rule: int64[n], position of the first rule that a text breaks; -1 where it breaks none.
        value: float64[n], what that rule measures in it; NaN where it breaks none or nothing can be measured.
    """

    rule: npt.NDArray[np.int64]
    value: Values


Decide = Callable[[Texts, Sequence[Rule], Profile], FirstFailing]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        name, unit: What rules call it; several units of one name are several metrics.
        measure: (texts, rule, profile, words) → float64[n], NaN where a text has nothing to measure.
        takes: Fields of a rule that it reads, besides the limits; others are refused.
        needs: Those of them that a rule must give.
        classes: Names of classes that the profile must define for it, whatever the rule says.
        needs_words: It is given the texts' words; `words` is None for the others.
        together: The same for several rules that follow each other and share this function, where that is cheaper.
        decide: The verdict of such rules without all their values, where that is cheaper still.
    """

    name: str
    unit: str
    measure: Measure
    takes: tuple[str, ...]
    needs: tuple[str, ...]
    classes: tuple[str, ...]
    needs_words: bool
    together: Together | None
    decide: Decide | None


_METRICS: dict[tuple[str, str], Metric] = {}


def metric(
    name: str,
    *,
    unit: str = "",
    takes: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
    needs_words: bool = False,
    together: Together | None = None,
    decide: Decide | None = None,
) -> Callable[[Measure], Measure]:
    """Register a function as the metric `name` for `unit`; see `Metric`. `needs` count as taken."""

    def register(measure: Measure) -> Measure:
        if (name, unit) in _METRICS:
            raise ValueError(f"two metrics are called {name}, unit '{unit}'")
        taken = (*takes, *(field for field in needs if field not in takes))
        _METRICS[name, unit] = Metric(
            name, unit, measure, taken, needs, classes, needs_words, together, decide
        )
        return measure

    return register


def metrics() -> dict[tuple[str, str], Metric]:
    """Return every metric by (name, unit)."""
    for home in _HOMES:
        importlib.import_module(home)
    return _METRICS


def metric_of(rule: Rule) -> Metric:
    """Return the metric of a rule.

    Raises:
        UserError: if there is none of its name for its unit, or a field is missing or not read by it.
    """
    known = metrics()
    found = known.get((rule.metric, rule.unit))
    if found is None:
        units = sorted(unit for name, unit in known if name == rule.metric)
        if units:
            raise UserError(
                f"rule '{rule.name}': {rule.metric} is not measured by '{rule.unit}'",
                f"unit: {' | '.join(unit or 'none' for unit in units)}",
            )
        raise UserError(
            f"rule '{rule.name}': no metric '{rule.metric}'",
            f"known: {', '.join(sorted({name for name, _ in known}))}",
        )
    for field in ("of", "among", "n", "words", "file"):
        given = getattr(rule, field) not in (None, ())
        if given and field not in found.takes:
            raise UserError(f"rule '{rule.name}': {rule.metric} does not read `{field}`")
        if not given and field in found.needs:
            raise UserError(f"rule '{rule.name}': {rule.metric} needs `{field}`")
    return found


def check(profile: Profile) -> None:
    """Refuse a profile with a rule that cannot be measured.

    Raises:
        UserError: naming the profile's rule and the field, or the word list that cannot be read.
    """
    from watari.corpus.rules.listed import read_words

    for rule in profile.rules:
        for name in metric_of(rule).classes:
            if name not in profile.classes:
                raise UserError(
                    f"profile {profile.name}, rule '{rule.name}': {rule.metric} needs a class '{name}'"
                )
        if rule.file is not None:
            read_words(rule.file)
        if not rule.limits:
            raise UserError(
                f"profile {profile.name}, rule '{rule.name}': no limit", "give min, max, above or below"
            )
        low = {name: limit for name, limit in rule.limits.items() if name in ("min", "above")}
        high = {name: limit for name, limit in rule.limits.items() if name in ("max", "below")}
        for (least, bottom), (most, top) in product(low.items(), high.items()):
            if bottom > top or (bottom == top and (least, most) != ("min", "max")):
                raise UserError(
                    f"profile {profile.name}, rule '{rule.name}': no value has {least} {bottom:g} and {most} {top:g}"
                )


def holds(values: Values, rule: Rule) -> npt.NDArray[np.bool_]:
    """Return where values lie within a rule's limits; what could not be measured (NaN) does not."""
    within = ~np.isnan(values)
    if rule.min is not None:
        within &= values >= rule.min
    if rule.max is not None:
        within &= values <= rule.max
    if rule.above is not None:
        within &= values > rule.above
    if rule.below is not None:
        within &= values < rule.below
    return within


def share(count: Integers | Values, whole: Integers) -> Values:
    """Return count / whole as float64, NaN where whole is 0."""
    quotient = np.full(len(count), np.nan)
    np.divide(count, whole, out=quotient, where=whole > 0)
    return quotient
