"""A ladder of attempts at one row: cheap model, repair that names what was wrong, strong model, its repair.

Whatever rung an answer comes from, it passes the same checks; the first that has no hard finding ends the climb. Nothing
here draws, waits or remembers: given a ledger that holds every answer, the same climb comes out again and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from watari.endpoint.request import Answer, AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.synth.checks.finding import Finding, Meta, Severity

Message = dict[str, str]
Messages = list[Message]

TRANSLATE = "translate"
STRONG = "strong"
REPAIR = "repair"
TRUNCATED = "length"
"""The `finish_reason` of an answer that was cut off at its limit."""
_RAISES = 2


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


class Asks(Protocol):
    """What a climb needs of `watari.endpoint.asking.Asking`."""

    @property
    def ledger(self) -> Any:
        """The ledger of this run."""

    async def ask(self, endpoint: Endpoint, request: Request) -> Answer:
        """Return the answer, from the ledger if it is there."""


Compose = Callable[[int, Previous | None], Request | None]
Read = Callable[[Answer], "Messages | Unreadable"]
Check = Callable[[Messages, Meta], Awaitable[list[Finding]]]
Try = Callable[[int, Previous | None], Awaitable[Draft | None]]


def rungs_of(
    endpoints: Sequence[Endpoint],
    repairs: int,
    *,
    settings: Mapping[str, Any] | None = None,
    first: str = TRANSLATE,
) -> list[Rung]:
    """Return the usual ladder: each endpoint asks once and then mends `repairs` times, cheapest first."""
    found: list[Rung] = []
    for place, endpoint in enumerate(endpoints):
        found.append(Rung(endpoint, STRONG if place else first, settings or {}))
        found += [Rung(endpoint, REPAIR, settings or {})] * repairs
    return found


async def climb(
    asking: Asks,
    unit: str,
    row: str,
    rungs: Sequence[Rung],
    compose: Compose,
    read: Read,
    check: Check,
    *,
    meta: Meta | None = None,
    version: str = "",
    longest: int = 0,
) -> Outcome:
    """Ask rung after rung, one request each, until an answer passes the checks.

    Args:
        asking: Who sends, and keeps the ledger.
        unit: The identity of the work, from its content.
        row: The id of the row, for people.
        rungs: The ladder.
        compose: (rung, what the rung before brought) → what is asked; None: this rung has nothing to ask.
            `unit`, `row`, `rung`, `purpose` and the rung's settings are filled in here.
        read: The answer → the messages, or why it cannot be read.
        check: The messages → findings; a hard one rejects them.
        meta: What the checks are told; `finish_reason` is filled in.
        version: Of the checks, for the verdicts in the ledger.
        longest: Where an answer was cut off at its `max_tokens`, it is asked again with twice as many, up to this; 0: never.

    Raises:
        UserError, StageFailed: if the run cannot go on, as `Asking.ask` does.
    """

    async def attempt(number: int, previous: Previous | None) -> Draft | None:
        rung = rungs[number]
        composed = compose(number, previous)
        if composed is None:
            return None
        request = filled(composed, unit, row, number, rung)
        answer = await asking.ask(rung.endpoint, request)
        answers = [answer]
        for _ in range(_RAISES):
            raised = with_more_tokens(request, rung.endpoint, longest)
            if answer.finish_reason != TRUNCATED or raised is None:
                break
            request = raised
            answer = await asking.ask(rung.endpoint, request)
            answers.append(answer)
        found = read(answer)
        if isinstance(found, Unreadable):
            finding = Finding(found.code, Severity.HARD, found.message)
            return Draft(None, answers, [finding], answer.finish_reason)
        return Draft(found, answers, [], answer.finish_reason)

    return await climb_drafts(asking, rungs, attempt, check, meta=meta, version=version)


async def climb_drafts(
    asking: Asks,
    rungs: Sequence[Rung],
    attempt: Try,
    check: Check,
    *,
    meta: Meta | None = None,
    version: str = "",
) -> Outcome:
    """Climb where a rung may take several requests: `attempt(rung, previous)` asks and reads them.

    A rung that was answered with `AskFailed` is noted with its code; the next other than a repair follows.
    """
    base = meta or Meta()
    previous: Previous | None = None
    best: Messages | None = None
    notes: list[AttemptNote] = []
    findings: list[Finding] = []
    for number, rung in enumerate(rungs):
        if rung.purpose == REPAIR and (previous is None or not (previous.text or previous.messages)):
            continue
        try:
            draft = await attempt(number, previous)
        except AskFailed as failed:
            findings = [Finding(failed.code, Severity.HARD, str(failed))]
            notes.append(
                AttemptNote(
                    failed.attempt,
                    number,
                    rung.endpoint.label,
                    rung.purpose,
                    (failed.code,),
                    "",
                    rung.endpoint.model,
                )
            )
            previous = Previous(number, None, "", tuple(findings))
            continue
        if draft is None:
            continue
        findings = list(draft.findings)
        if draft.messages is not None:
            findings += await check(draft.messages, replace(base, finish_reason=draft.finish_reason))
            best = draft.messages
        if draft.finish_reason == TRUNCATED and not _hard(findings):
            findings.append(Finding("truncated", Severity.HARD, "the answer was cut off at its length limit"))
        codes = _hard(findings)
        notes.append(_note(number, rung, draft, codes, findings))
        judge(asking, draft.answers, not codes, (*codes, *notes[-1].warn), version)
        if not codes:
            return Outcome(True, draft.messages, number, notes, findings, "")
        text = draft.answers[-1].text if draft.answers else ""
        previous = Previous(number, draft.messages, text, tuple(findings), draft.finish_reason)
    hard = [finding.code for finding in findings if finding.severity is Severity.HARD]
    return Outcome(
        False,
        best,
        notes[-1].rung if notes else -1,
        notes,
        findings,
        hard[0] if hard else "nothing was asked",
    )


def filled(request: Request, unit: str, row: str, number: int, rung: Rung) -> Request:
    """Return the request with what a rung adds to it."""
    return replace(
        request, unit=unit, row=row, rung=number, purpose=rung.purpose,
        settings={**request.settings, **rung.settings},
    )  # fmt: skip


def with_more_tokens(request: Request, endpoint: Endpoint, longest: int) -> Request | None:
    """Return the same request with twice the `max_tokens`, at most `longest`; None if there is nothing to raise."""
    given = request.settings.get("max_tokens", endpoint.sampler.max_tokens)
    if not isinstance(given, int) or given >= longest:
        return None
    return replace(request, settings={**request.settings, "max_tokens": min(2 * given, longest)})


def judge(
    asking: Asks, answers: Iterable[Answer], accepted: bool, codes: Sequence[str], version: str
) -> None:
    """Put the checks' verdict on record for every answer of an attempt: what `watari ledger retry --check` goes by."""
    from watari.endpoint.ledger import Verdict

    ledger = asking.ledger
    verdicts = [
        (Verdict(answer.attempt, version, accepted, tuple(codes)), answer.recorded) for answer in answers
    ]
    # What an earlier run has said already is not said again: a run that finds all on record writes nothing.
    ledger.judge(
        verdict
        for verdict, recorded in verdicts
        if not (recorded and ledger.verdict_of(verdict.attempt, version) == verdict)
    )


def _hard(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({finding.code for finding in findings if finding.severity is Severity.HARD}))


def _note(
    number: int, rung: Rung, draft: Draft, codes: tuple[str, ...], findings: Sequence[Finding]
) -> AttemptNote:
    answers = draft.answers
    return AttemptNote(
        attempt=answers[-1].attempt if answers else None,
        rung=number,
        endpoint=rung.endpoint.label,
        purpose=rung.purpose,
        codes=codes,
        finish_reason=draft.finish_reason,
        model=(answers[-1].model if answers else "") or rung.endpoint.model,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        cost=sum(answer.cost for answer in answers),
        warn=tuple(sorted({finding.code for finding in findings if finding.severity is Severity.WARN})),
        seconds=sum(answer.seconds for answer in answers),
    )
