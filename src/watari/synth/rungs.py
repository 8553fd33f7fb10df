"""What a ladder is made of: its rungs, what a rung brings, and how a climb ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watari.endpoint.request import TRUNCATED, Answer
from watari.endpoint.settings import Endpoint
from watari.synth.checks.finding import Finding, Severity

Message = dict[str, str]
Messages = list[Message]

TRANSLATE = "translate"
STRONG = "strong"
REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder.

    Args:
        endpoint: Who is asked.
        purpose: A short word for ledgers and reports: `translate`, `repair`, `strong`, `answer`, ... A `repair` is skipped
            where the rung before it gave nothing to mend.
        settings: Fields of the body, laid over those of the request that is composed.
    """

    endpoint: Endpoint
    purpose: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a report calls it: `fast`, `fast repair`."""
        return f"{self.endpoint.label} {REPAIR}" if self.purpose == REPAIR else self.endpoint.label


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An answer that does not have the form that was asked for; counted as a hard finding.

    Args:
        code: What is counted.
        message: One line, for a person and for the repair prompt.
    """

    message: str
    code: str = "unreadable"


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """What became of one attempt.

    Args:
        attempt: The last number in the ledger that it rests on; None if nothing was recorded.
        rung: Which rung it was.
        endpoint, model: Who was asked, and the model as the server names it.
        purpose: Of the rung.
        codes: Hard findings, sorted, each once; () if it was accepted.
        warn: Warn findings, likewise.
        finish_reason: As the server said it.
        prompt_tokens, completion_tokens, cost, seconds: Of all its requests together.
    """

    attempt: int | None
    rung: int
    endpoint: str
    purpose: str
    codes: tuple[str, ...]
    finish_reason: str
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    warn: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, without what may differ between ledgers and recipes that ask the same things.

        (The attempt's number, what it cost, what the recipe calls the endpoint: `endpoint` is the model's name here.)
        """
        return {
            "rung": self.rung,
            "purpose": self.purpose,
            "endpoint": self.model,
            "finish_reason": self.finish_reason,
            "codes": list(self.codes),
            "warn": list(self.warn),
        }


@dataclass(frozen=True, slots=True)
class Previous:
    """What a rung knows of the attempt before it.

    Args:
        rung: Which rung that was.
        messages: What was read from its answer; None if it could not be read.
        text: The answer as it came; "" if there was none.
        findings: Everything that was found, hard and warn.
        finish_reason: `length` if it was cut off: the same request must not be asked again.
    """

    rung: int
    messages: Messages | None
    text: str
    findings: tuple[Finding, ...]
    finish_reason: str = ""

    @property
    def hard(self) -> tuple[Finding, ...]:
        """The findings that it failed by."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.HARD)

    @property
    def truncated(self) -> bool:
        """True if its answer was cut off at the limit."""
        return self.finish_reason == TRUNCATED


@dataclass(slots=True)
class Draft:
    """What one rung brought.

    Args:
        messages: What was read; None if nothing could be.
        answers: Every answer that it rests on, in order.
        findings: What reading found (`mask-lost`, `unreadable`), beside which the checks are run.
        finish_reason: `length` if any of the answers was cut off, else the last one's.
    """

    messages: Messages | None
    answers: list[Answer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    finish_reason: str = ""


@dataclass(slots=True)
class Outcome:
    """How a climb ended.

    Args:
        accepted: True if an answer passed every check.
        messages: What was accepted, or else the last that could be read; None if none could.
        rung: The rung that it came from; -1 if no rung gave anything.
        attempts: All of them, in order.
        findings: Of the last attempt: warn findings if it was accepted, else all.
        reason: "" if accepted, else the first hard code of the last attempt: what the dropped row is counted as.
    """

    accepted: bool
    messages: Messages | None
    rung: int
    attempts: list[AttemptNote]
    findings: list[Finding]
    reason: str

    @property
    def state(self) -> str:
        """`accepted` (at once), `repaired` (by the first endpoint), `escalated` (by another) or `dropped`."""
        if not self.accepted:
            return "dropped"
        if len(self.attempts) <= 1:
            return "accepted"
        same = self.attempts[-1].endpoint == self.attempts[0].endpoint
        return "repaired" if same and self.attempts[-1].purpose == REPAIR else "escalated"

    @property
    def detail(self) -> str:
        """The messages of the hard findings, joined: what a ledger row says beside the reason."""
        hard = [finding.message for finding in self.findings if finding.severity is Severity.HARD]
        return "; ".join(hard)[:500]
