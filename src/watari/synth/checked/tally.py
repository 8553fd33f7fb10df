"""What was found in all rows, counted: by code, together, by kind, with examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

import xxhash

from watari.synth.checked.rows import CheckedRow
from watari.synth.checks.finding import Finding, Severity

EXAMPLES = 4
"""Rows that are kept of each code."""
_AROUND = 60


@dataclass(frozen=True, slots=True)
class Example:
    """A finding with the text that it is about.

    Args:
        id: Of the row.
        finding: What was found.
        source, target: The beginning of both sides' turn, or of the last one.
        marked: The text at the finding's place, with a little around it; empty where it names none.
        side: `source` or `target`: of `marked`.
    """

    id: str
    finding: Finding
    source: str
    target: str
    marked: tuple[str, str, str]
    side: str = "target"


@dataclass(slots=True)
class CodeCount:
    """Rows that a code was told of, and its findings, by severity."""

    hard: int = 0
    warn: int = 0
    findings: int = 0
    alone: int = 0
    """Rows in which it is the only hard code: what would be accepted without it."""
    examples: list[tuple[int, Example]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows with this code, of either severity."""
        return self.hard + self.warn


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two codes told of the same rows.

    Args:
        first, second: The codes.
        both: Rows with both.
        share: Of the rows of the rarer one.
    """

    first: str
    second: str
    both: int
    share: float


class Tally:
    """Counts of rows and findings; rows may be given in any order, the counts and examples are the same."""

    def __init__(self) -> None:
        self.rows = 0
        self.accepted = 0
        self.clean = 0
        """Rows of which nothing is told at all."""
        self.unreadable = 0
        self.codes: dict[str, CodeCount] = {}
        self.kinds: dict[str, list[int]] = {}
        """Kind → rows, accepted rows."""
        self._together: Counter[tuple[str, str]] = Counter()

    def add(self, row: CheckedRow) -> None:
        """Count one row."""
        self.rows += 1
        hard = {finding.code for finding in row.findings if finding.severity is Severity.HARD}
        told = {finding.code for finding in row.findings}
        self.accepted += not hard
        self.clean += not told
        self.unreadable += row.request is None
        kind = self.kinds.setdefault(row.kind or "–", [0, 0])
        kind[0] += 1
        kind[1] += not hard
        for code in told:
            count = self.codes.setdefault(code, CodeCount())
            if code in hard:
                count.hard += 1
                count.alone += len(hard) == 1
            else:
                count.warn += 1
        seen: set[str] = set()
        for finding in row.findings:
            count = self.codes[finding.code]
            count.findings += 1
            if finding.code not in seen:
                seen.add(finding.code)
                _keep(count, row, finding)
        self._together.update(combinations(sorted(told), 2))

    def by_code(self) -> list[tuple[str, CodeCount]]:
        """Return the codes, those of most hard rows first."""
        return sorted(self.codes.items(), key=lambda item: (-item[1].hard, -item[1].warn, item[0]))

    def agreements(self, least: int = 2) -> list[Agreement]:
        """Return pairs of codes that were told together in at least so many rows, most rows first."""
        found = []
        for (first, second), both in self._together.items():
            if both >= least:
                rarer = min(self.codes[first].rows, self.codes[second].rows)
                found.append(Agreement(first, second, both, both / rarer))
        return sorted(found, key=lambda one: (-one.both, -one.share, one.first, one.second))


def _keep(count: CodeCount, row: CheckedRow, finding: Finding) -> None:
    # Chosen by the rows' ids, so that the examples are not the file's first ones and are the same in every run.
    rank = xxhash.xxh3_64_intdigest(f"{finding.code}\0{row.id}".encode("utf-8", "surrogatepass"))
    if len(count.examples) < EXAMPLES or rank < count.examples[-1][0]:
        count.examples.append((rank, _example(row, finding)))
        count.examples.sort(key=lambda one: one[0])
        del count.examples[EXAMPLES:]


def _example(row: CheckedRow, finding: Finding) -> Example:
    request = row.request
    span = finding.span
    if request is None:
        return Example(row.id, finding, "", "", ("", "", ""))
    sides = {"source": request.source or (), "target": request.target}
    at = span.turn if span is not None else 0
    texts = {
        side: str(messages[min(at, len(messages) - 1)].get("content") or "") if messages else ""
        for side, messages in sides.items()
    }
    marked, side = ("", "", ""), "target"
    if span is not None:
        text, side = texts[span.side], span.side
        marked = (
            text[max(0, span.start - _AROUND) : span.start],
            text[span.start : min(span.stop, span.start + 4 * _AROUND)],
            text[span.stop : span.stop + _AROUND],
        )
    return Example(row.id, finding, texts["source"][:600], texts["target"][:600], marked, side)
