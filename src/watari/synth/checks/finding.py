"""What a check is, what it sees and what it says.

A check is a pure function `(source, target, meta) → list[Finding]`: no state, no clock, no draw. Its `version` is raised
whenever it may say something else of the same row, which makes verdicts that are on record stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from watari.synth.checks.text import Turn

Conversation = Sequence[Turn]


class Severity(StrEnum):
    """What a finding means for its row."""

    HARD = "hard"
    """The row is not used as it is."""
    WARN = "warn"
    """Told and counted; the row is used."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a row: characters `start` to `stop` of the content of turn `turn` (from 0); `side` source or target."""

    turn: int
    start: int
    stop: int
    side: str = "target"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault that a check has seen.

    Args:
        code: A fixed name, `code-changed`; what is counted, and what `watari ledger retry --check` takes.
        severity: What it means for the row.
        message: One line for a person and for the repair prompt: what is wrong, with the text it is about.
        span: Where, if it is at one place.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data: {code, severity, span, message}."""
        span = self.span
        where = (
            None
            if span is None
            else {"side": span.side, "turn": span.turn, "start": span.start, "stop": span.stop}
        )
        return {"code": self.code, "severity": self.severity.value, "span": where, "message": self.message}


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a row beside its text.

    Args:
        source: ISO 639 code of the source's language.
        target: Of the target's.
        kind: `chat`, `markdown`, `paragraph`, or "" where nobody says.
        finish_reason: Of the answer that the target was read from; "" if not known.
        free: True for a free, edited translation: lengths and units may differ more.
        glossary: Term in the source language → what must stand in the target.
        limits: Thresholds of this profile that differ from a check's own, by name.
    """

    source: str = "en"
    target: str = "ja"
    kind: str = ""
    finish_reason: str = ""
    free: bool = False
    glossary: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


CheckFunction = Callable[[Conversation, Conversation, Meta], list[Finding]]


@dataclass(frozen=True)
class Check:
    """A check and what is known of it.

    Args:
        name: Of the function; one check may tell several codes.
        version: Raised when it may judge a row otherwise.
        codes: Every code that it may tell, with the severity that it tells it with.
        run: The function.
        needs_source: False if it looks at the target alone, so that it can judge answers that translate nothing.
    """

    name: str
    version: int
    codes: Mapping[str, Severity]
    run: CheckFunction
    needs_source: bool = True
