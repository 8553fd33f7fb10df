"""What a scan comes to: events per 1,000 characters and shares of responses, by class and language, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from watari.artifact.records import Fault
from watari.leakage.curves import Curve, columns_by, curves
from watari.leakage.rows import Row, Scalar
from watari.leakage.scan import Scanned, scan_row
from watari.leakage.tally import CLASSES, Count, Kind, Part, Sheet, Tally, count_parts, tally_of
from watari.leakage.worst import Quote, Worst
from watari.stats.resampling import CONFIDENCE, ROUNDS
from watari.text.leakage import Licensed

METHOD = "ratio of sums; percentile bootstrap over prompts, all answers to a prompt drawn together"
SEVERITIES = ("high", "medium", "low")


@dataclass
class Collector:
    """Takes scanned responses one by one and keeps what a summary needs.

    Args:
        wanted: Only responses that this takes count; default: all.
        quotes: Worst spans to keep.
        name: Of what is scanned, for tables.
        columns: Those of the rows that are kept, for curves; default: all.
    """

    wanted: Callable[[Scanned], bool] | None = None
    quotes: int = 10
    name: str = ""
    columns: Sequence[str] | None = None
    tallies: list[Tally] = field(default_factory=list)
    responses: int = 0
    passed_over: int = 0
    empty: int = 0
    unknown: int = 0
    told: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    column_names: set[str] = field(default_factory=set)
    severities: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.worst = Worst(self.quotes)
        self._events: dict[tuple[tuple[Kind, int], ...], Mapping[Kind, int]] = {}
        self._shared: dict[tuple[tuple[str, Scalar], ...], Mapping[str, Scalar]] = {}

    def add(self, scanned: Scanned) -> bool:
        """Take a response; return whether it is one of those wanted."""
        if self.wanted is not None and not self.wanted(scanned):
            self.passed_over += 1
            return False
        self.responses += 1
        self.told[scanned.told] += 1
        if scanned.judged:
            self.tallies.append(self._tally(scanned))
            self.severities.update(event.severity for event in scanned.events)
            self.worst.add(scanned)
        elif not scanned.row.response:
            self.empty += 1
        else:
            self.unknown += 1
        return True

    def _tally(self, scanned: Scanned) -> Tally:
        """Return what is counted, as small as can be: what many rows share is kept once."""
        tally = tally_of(scanned)
        self.column_names.update(tally.columns)
        events = self._events.setdefault(tuple(sorted(tally.events.items())), tally.events)
        tally = replace(tally, prompt=intern(tally.prompt), events=events)
        if self.columns is None:
            return tally
        kept = {name: tally.columns[name] for name in self.columns if name in tally.columns}
        return replace(tally, columns=self._shared.setdefault(tuple(kept.items()), kept))

    def drop(self, fault: Fault) -> None:
        """Count a row that cannot be read."""
        self.unreadable[fault.reason] += 1


@dataclass(frozen=True)
class Summary:
    """What a scan comes to.

    Args:
        name: Of what was scanned.
        responses: That were scanned: judged + empty + unknown.
        empty: Without a character.
        unknown: Whose expected language cannot be told.
        passed_over: That were not wanted.
        told: How many expected languages came from what (`scan.Told`).
        unreadable: Rows that could not be read, by reason.
        total: All judged responses.
        by_class, by_language: The same responses, events of one class or of one language that leaked.
        by_kind: Of one class and language.
        by_expected: Responses that should be in one language.
        crossed: By expected language and language that leaked.
        severities: Events by severity.
        curves: By columns.
        quotes: Worst spans.
        seed, rounds: Of the bootstrap.
    """

    name: str
    responses: int
    empty: int
    unknown: int
    passed_over: int
    told: Mapping[str, int]
    unreadable: Mapping[str, int]
    total: Count
    by_class: Mapping[str, Count]
    by_language: Mapping[str, Count]
    by_kind: Mapping[Kind, Count]
    by_expected: Mapping[str, Count]
    crossed: Mapping[tuple[str, str], Count]
    severities: Mapping[str, int]
    curves: tuple[Curve, ...]
    quotes: tuple[Quote, ...]
    seed: int
    rounds: int

    def as_json(self) -> dict[str, Any]:
        """Return what stands in the last line of `watari leakage scan --json`, under `summary`."""
        return {
            "responses": self.responses,
            "judged": self.total.responses,
            "empty": self.empty,
            "expected_unknown": self.unknown,
            "passed_over": self.passed_over,
            "unreadable": dict(self.unreadable),
            "expected_from": dict(self.told),
            **{name: value for name, value in self.total.as_json().items() if name != "responses"},
            "by_class": {name: count.as_json() for name, count in self.by_class.items()},
            "by_language": {name: count.as_json() for name, count in self.by_language.items()},
            "by_expected": {
                name: count.as_json()
                | {
                    "by_language": {
                        leaked: inner.as_json()
                        for (own, leaked), inner in self.crossed.items()
                        if own == name
                    }
                }
                for name, count in self.by_expected.items()
            },
            "severity": dict(self.severities),
            "curves": [curve.as_json() for curve in self.curves],
            "worst": [quote.as_json() for quote in self.quotes],
            "confidence": CONFIDENCE,
            "seed": self.seed,
            "rounds": self.rounds,
            "method": METHOD,
        }


def collect(
    rows: Iterable[Row | Fault],
    into: Collector,
    *,
    expected: str | None = None,
    licensed: Licensed = "none",
    settle: Callable[[Fault], None],
) -> Iterable[Scanned]:
    """Scan rows, add each to a collector, and yield those that it takes.

    Args:
        rows: As `reading.read` gives them.
        into: The collector.
        expected, licensed: As `scan.scan_row` takes them.
        settle: Is told of each row that cannot be read; it may raise. If it does not, the row is counted.
    """
    for row in rows:
        if isinstance(row, Fault):
            settle(row)
            into.drop(row)
            continue
        scanned = scan_row(row, expected=expected, licensed=licensed)
        if into.add(scanned):
            yield scanned


def summarise(found: Collector, *, by: Sequence[str] = (), seed: int = 0, rounds: int = ROUNDS) -> Summary:
    """Return the summary of what a collector has taken.

    Args:
        found: It.
        by: Columns to draw curves by; default: temperature and model, where they have several values.
        seed, rounds: Of the bootstrap.
    """
    sheet = Sheet(found.tallies)
    languages = sorted({language for _, language in sheet.kinds})
    expected = sorted({tally.expected for tally in found.tallies})
    crossed = sorted({(tally.expected, language) for tally in found.tallies for _, language in tally.events})
    masks = {language: sheet.expecting(language) for language in expected}
    parts = [
        Part(),
        *(Part(cls=name) for name in CLASSES),
        *(Part(language=name) for name in languages),
        *(Part(cls=cls, language=language) for cls, language in sheet.kinds),
        *(Part(masks[name]) for name in expected),
        *(Part(masks[own], language=leaked) for own, leaked in crossed),
    ]
    counts = iter(count_parts(sheet, parts, seed=seed, rounds=rounds))
    return Summary(
        name=found.name,
        responses=found.responses,
        empty=found.empty,
        unknown=found.unknown,
        passed_over=found.passed_over,
        told=dict(sorted(found.told.items())),
        unreadable=dict(sorted(found.unreadable.items())),
        total=next(counts),
        by_class={name: next(counts) for name in CLASSES},
        by_language={name: next(counts) for name in languages},
        by_kind={kind: next(counts) for kind in sheet.kinds},
        by_expected={name: next(counts) for name in expected},
        crossed={pair: next(counts) for pair in crossed},
        severities={name: found.severities[name] for name in SEVERITIES},
        curves=tuple(curves(sheet, columns_by(sheet, by), seed=seed, rounds=rounds)),
        quotes=tuple(found.worst.quotes()),
        seed=seed,
        rounds=rounds,
    )


def wanted_by(where: Mapping[str, Sequence[Scalar]]) -> Callable[[Scanned], bool] | None:
    """Return what takes responses whose columns have one of the values named; None: all are taken.

    Besides the row's own columns `expected_lang` may be named.
    """
    if not where:
        return None
    return lambda scanned: holds(where, scanned.expected, scanned.row.columns)


def holds(where: Mapping[str, Sequence[Scalar]], expected: str, columns: Mapping[str, Scalar]) -> bool:
    """Return whether a response has one of the values named in each column named; `expected_lang` is one, too."""
    return all(
        any(same(expected if column == "expected_lang" else columns.get(column), value) for value in values)
        for column, values in where.items()
    )


def same(one: Scalar | None, other: Scalar) -> bool:
    """Return whether a value is the one named; a number may be named as text."""
    if one is None:
        return False
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float):
        return str(one).lower() == str(other).lower() if isinstance(one, bool) else str(one) == str(other)
    try:
        return float(one) == float(other)
    except ValueError:
        return False
