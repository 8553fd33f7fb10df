"""A ladder of attempts at one row: cheap model, repair that names what was wrong, strong model, its repair.

Whatever rung an answer comes from, it passes the same checks; the first that has no hard finding ends the climb. Nothing
here draws, waits or remembers: given a ledger that holds every answer, the same climb comes out again and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from watari.endpoint.request import TRUNCATED, Answer, AskFailed, Asks, Request, with_more_tokens
from watari.endpoint.settings import Endpoint
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.rungs import (
    REPAIR,
    STRONG,
    TRANSLATE,
    AttemptNote,
    Draft,
    Message,
    Messages,
    Outcome,
    Previous,
    Rung,
    Unreadable,
)

__all__ = [
    "REPAIR",
    "STRONG",
    "TRANSLATE",
    "TRUNCATED",
    "Asks",
    "AttemptNote",
    "Draft",
    "Message",
    "Messages",
    "Outcome",
    "Previous",
    "Rung",
    "Unreadable",
    "climb",
    "climb_drafts",
    "filled",
    "judge",
    "rungs_of",
    "with_more_tokens",
]

_RAISES = 2


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
