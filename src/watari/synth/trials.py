"""Answers that were tried: what was said, what the checks found in it, and which of several is the best by rule."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watari.endpoint.request import AskFailed
from watari.generate.answerer import Said
from watari.synth.checks.answer_language import OTHER_LANGUAGE
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.ladder import TRUNCATED, AttemptNote, Messages
from watari.synth.translator import Checks

ECHO = "echo"
"""Code of an answer that only repeats the question."""
CUT = "truncated"
ANY = "any"
"""In place of a language: answers may be in any."""
_OF_LANGUAGE = frozenset({OTHER_LANGUAGE, "wrong-language", "leak", "foreign-letters"})


@dataclass(frozen=True)
class Trial:
    """One answer and its findings.

    Args:
        text: What was said; "" if there was no answer.
        said: The answer; None if there was none.
        findings: Hard and warn.
        note: For reports.
    """

    text: str
    said: Said | None
    findings: tuple[Finding, ...]
    note: AttemptNote

    @property
    def hard(self) -> tuple[str, ...]:
        """Codes of its hard findings, sorted, each once."""
        return self.note.codes

    @property
    def warn(self) -> tuple[str, ...]:
        """Codes of its warn findings, likewise."""
        return self.note.warn

    @property
    def severity(self) -> tuple[int, int]:
        """(hard findings, warn findings): larger is worse."""
        hard = sum(finding.severity is Severity.HARD for finding in self.findings)
        return hard, len(self.findings) - hard

    @property
    def detail(self) -> str:
        """The messages of its hard findings."""
        return "; ".join(f.message for f in self.findings if f.severity is Severity.HARD)[:500]


async def tried(
    said: Said | AskFailed,
    question: Messages,
    checks: Checks,
    language: str,
    *,
    rung: int,
    endpoint: str,
    purpose: str,
    limits: Mapping[str, float] | None = None,
) -> Trial:
    """Return an answer with its findings.

    Args:
        said: The answer, or why there is none.
        question: What it answers, ending with the user.
        checks: Those that need no source are run on the answer alone.
        language: ISO 639 code of the language that it must be in; `any`: none in particular.
        rung: Which attempt it was.
        endpoint, purpose: For the note.
        limits: Thresholds of the checks that differ from their own.
    """
    if isinstance(said, AskFailed):
        finding = Finding(said.code, Severity.HARD, str(said))
        note = AttemptNote(said.attempt, rung, endpoint, purpose, (said.code,), "")
        return Trial("", None, (finding,), note)
    known = "en" if language == ANY else language
    meta = Meta(
        source=known, target=known, kind="chat", finish_reason=said.finish_reason, limits=limits or {}
    )
    findings = await checks.alone([{"role": "assistant", "content": said.text}], meta)
    if language == ANY:
        findings = [finding for finding in findings if finding.code not in _OF_LANGUAGE]
    elif any(f.severity is Severity.HARD and f.code != OTHER_LANGUAGE for f in findings):
        # A refusal in English is a refusal.
        findings = [finding for finding in findings if finding.code != OTHER_LANGUAGE]
    if plain(said.text) == plain(question[-1]["content"]) and said.text.strip():
        findings.append(Finding(ECHO, Severity.HARD, "the answer only repeats the question"))
    if said.finish_reason == TRUNCATED and not any(f.severity is Severity.HARD for f in findings):
        findings.append(Finding(CUT, Severity.HARD, "the answer was cut off at its length limit"))
    if not said.text.strip() and not any(f.severity is Severity.HARD for f in findings):
        findings.append(Finding("empty", Severity.HARD, "the answer is empty"))
    note = AttemptNote(
        attempt=said.attempts[-1] if said.attempts else None,
        rung=rung,
        endpoint=endpoint,
        purpose=purpose,
        codes=_codes(findings, Severity.HARD),
        finish_reason=said.finish_reason,
        model=said.model,
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        cost=said.cost,
        warn=_codes(findings, Severity.WARN),
    )
    return Trial(said.text, said, tuple(findings), note)


def on_record(asking: Any, trials: Sequence[Trial], version: str) -> None:
    """Put the checks' verdicts on every answer of `trials` into the ledger."""
    from watari.endpoint.ledger import Verdict

    asking.ledger.judge(
        [
            Verdict(attempt, version, not trial.hard, (*trial.hard, *trial.warn))
            for trial in trials
            if trial.said is not None
            for attempt in trial.said.attempts
        ]
    )


def best_by_rule(trials: Sequence[Trial]) -> Trial:
    """Return the best of several answers: fewest findings; of equal ones the one of middle length, then the first.

    The middle length, because among sound answers of one model the odd ones out are those that break off or ramble.
    """
    lengths = sorted(len(trial.text) for trial in trials)
    middle = lengths[len(lengths) // 2]
    return min(trials, key=lambda trial: (trial.severity, abs(len(trial.text) - middle)))


def plain(text: str) -> str:
    """Return a text as it is compared: NFKC, lower case, letters and digits alone."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).lower() if char.isalnum())


def similarity(one: str, other: str, length: int = 5) -> float:
    """Return the Jaccard similarity of two texts' character 5-grams, blanks left out; 1 if both say the same.

    Texts with fewer characters than a gram are compared as they are.
    """
    first, second = plain(one), plain(other)
    if first == second:
        return 1.0
    grams = [
        {text[place : place + length] for place in range(len(text) - length + 1)} for text in (first, second)
    ]
    union = len(grams[0] | grams[1])
    return len(grams[0] & grams[1]) / union if union else 0.0


def _codes(findings: Sequence[Finding], severity: Severity) -> tuple[str, ...]:
    return tuple(sorted({finding.code for finding in findings if finding.severity is severity}))
