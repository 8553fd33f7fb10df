"""Asking a profile's rules of a table: the first rule that a document breaks is its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watari.corpus.rules.metrics import FirstFailing, Integers, Metric, Values, holds, metric_of
from watari.corpus.rules.profile import Profile, Rule
from watari.corpus.rules.words import Words, segment
from watari.corpus.table import dropped
from watari.kernels.texts import Texts

SLICE = 3 << 20
"""Bytes of text that are judged at a time: half as fast again as 16 MB for rules on words, and half the memory."""
NOT_MEASURABLE = "nothing to measure"
"""The `detail` of a document that breaks a rule because it holds nothing that the rule could measure."""

# Texts that are out are left among the others until they are this share of their characters.
_COPIED = 0.15


@dataclass(frozen=True)
class _Group:
    """Rules that follow each other and are asked together."""

    metrics: Sequence[Metric]
    rules: Sequence[Rule]

    @property
    def needs_words(self) -> bool:
        return self.metrics[0].needs_words


def apply(table: pa.Table, profile: Profile) -> pa.Table:
    """Return the table with a verdict on the documents that break a rule (a `Kernel`).

    `reason` is the name of the first rule in the profile's order that a document breaks, `value` what was measured
    (null where there was nothing to measure: then `detail` says so), `threshold` the limit that it broke. Rules are
    asked only of documents that passed those before; the verdict is that of asking them one by one.
    The `language` of a row is not looked at.
    """
    parts = [_apply(part, profile) for part in _slices(table)]
    return pa.concat_tables(parts) if len(parts) > 1 else parts[0]


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows in parts whose texts fit a processor's cache, as far as whole rows allow; one part at least."""
    ends = np.cumsum(np.asarray(pc.fill_null(pc.binary_length(table.column("text")), 0), np.int64))
    start = 0
    while start < table.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + SLICE, side="right")))
        yield table.slice(start, stop - start)
        start = stop
    if not table.num_rows:
        yield table


def _apply(table: pa.Table, profile: Profile) -> pa.Table:
    texts = Texts.from_arrow(table.column("text"))
    # The rows of the table that `texts` holds, and which of them have broken no rule yet.
    rows = np.arange(table.num_rows, dtype=np.int64)
    alive = np.ones(table.num_rows, bool)
    for group in _groups(profile):
        dead = int(texts.lengths[~alive].sum())
        # Judging a few texts for nothing costs less than copying all the others; finding words never does.
        if dead > _COPIED * len(texts.codes) or (group.needs_words and not alive.all()):
            kept = np.flatnonzero(alive)
            texts, rows, alive = texts.take(kept), rows[kept], np.ones(len(kept), bool)
        if not alive.any():
            break
        first = _first_failing(texts, group, profile)
        failed = alive & (first.rule >= 0)
        if failed.any():
            table = _with_verdicts(table, rows[failed], group, first.rule[failed], first.value[failed])
            alive &= ~failed
    return table


def _with_verdicts(
    table: pa.Table, rows: Integers, group: _Group, broken: Integers, values: Values
) -> pa.Table:
    """Return the table with a verdict on `rows`: which rule of the group each broke, and what was measured."""
    limits = np.zeros(len(rows))
    for number, rule in enumerate(group.rules):
        mine = broken == number
        limits[mine] = _broken_limit(values[mine], rule)
    names = np.array([rule.name for rule in group.rules], object)[broken]
    known = ~np.isnan(values)
    table = dropped(table, rows[known], names[known].tolist(), value=values[known], threshold=limits[known])
    nothing = names[~known].tolist()
    details = [NOT_MEASURABLE] * len(nothing)
    return dropped(table, rows[~known], nothing, threshold=limits[~known], detail=details)


def measure(table: pa.Table, profile: Profile) -> pa.Table:
    """Return `key` and one float64 column a rule, named like it: every rule's value for every document.

    NaN where there is nothing to measure. Rules that are off (no word list given) have no column.
    """
    texts = Texts.from_arrow(table.column("text"))
    columns = {"key": table.column("key")}
    for group in _groups(profile):
        words = _words(texts, group, profile)
        for rule, values in zip(group.rules, _values(texts, group, profile, words), strict=True):
            columns[rule.name] = pa.array(values)
    return pa.table(columns)


def _groups(profile: Profile) -> Iterator[_Group]:
    """Rules that are on, in order, in runs that share their words or the function that measures them together."""
    rules: list[Rule] = []
    metrics: list[Metric] = []
    for rule in profile.rules:
        metric = metric_of(rule)
        if "file" in metric.takes and rule.file is None:
            continue
        if metrics and not _together(metrics[-1], metric):
            yield _Group(metrics, rules)
            rules, metrics = [], []
        rules.append(rule)
        metrics.append(metric)
    if rules:
        yield _Group(metrics, rules)


def _together(one: Metric, other: Metric) -> bool:
    if one.needs_words or other.needs_words:
        return one.needs_words and other.needs_words
    return one.together is not None and one.together == other.together


def _words(texts: Texts, group: _Group, profile: Profile) -> Words | None:
    return segment(texts, profile.language) if group.needs_words else None


def _first_failing(texts: Texts, group: _Group, profile: Profile) -> FirstFailing:
    decide = group.metrics[0].decide
    if decide is not None:
        return decide(texts, group.rules, profile)
    values = _values(texts, group, profile, _words(texts, group, profile))
    rule = np.full(len(texts), -1, np.int64)
    value = np.full(len(texts), np.nan)
    for number in reversed(range(len(group.rules))):
        failing = ~holds(values[number], group.rules[number])
        rule[failing] = number
        value[failing] = values[number][failing]
    return FirstFailing(rule, value)


def _values(texts: Texts, group: _Group, profile: Profile, words: Words | None) -> Sequence[Values]:
    """Return each rule's values, those of a run with one `together` at once."""
    found: list[Values] = []
    while len(found) < len(group.rules):
        start = len(found)
        together = group.metrics[start].together
        if together is None:
            found.append(group.metrics[start].measure(texts, group.rules[start], profile, words))
            continue
        stop = start
        while stop < len(group.rules) and group.metrics[stop].together == together:
            stop += 1
        found.extend(together(texts, group.rules[start:stop], profile, words))
    return found


def _broken_limit(values: Values, rule: Rule) -> Values:
    """Return the limit that each value broke; for NaN the rule's first one."""
    limits = rule.limits
    broken = np.full(len(values), next(iter(limits.values())))
    for name, limit in limits.items():
        alone = rule.model_copy(update={other: None for other in limits if other != name})
        broken[~holds(values, alone) & ~np.isnan(values)] = limit
    return broken
