"""What is known of translators after they did the same rows: quality signals, cost, speed; and of each two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from statistics import median
from typing import Any

from watari.artifact.rows import Row
from watari.stats.intervals import wilson
from watari.synth.checks.finding import Severity
from watari.synth.comparison.agreement import Agreement
from watari.synth.ladder import Messages, Outcome

_WIDTH = 80


@dataclass(frozen=True)
class Compared:
    """One row and what each translator made of it, in the order of the translators."""

    row: Row
    source: Messages
    outcomes: list[Outcome]


@dataclass(frozen=True)
class TranslatorFigures:
    """One translator.

    Args:
        name, model: As the recipe or command line calls it, and the model asked for.
        rows: Asked for.
        accepted: Rows that passed every check at the first attempt, without repair.
        share, low, high: Their share with Wilson's 95 % interval.
        findings: Code → {hard, warn}: rows that had it.
        length: Median of characters of the translation for one of the source, over rows that could be read; None if none.
        prompt_tokens, completion_tokens, cost: Of all answers.
        cost_per_accepted: Cost of an accepted row, those that failed included; None if none was.
        seconds: Median time of a row's answers.
        tokens_per_second: Completion tokens a second of one request in flight.
    """

    name: str
    model: str
    rows: int
    accepted: int
    share: float
    low: float
    high: float
    findings: dict[str, dict[str, int]]
    length: float | None
    prompt_tokens: int
    completion_tokens: int
    cost: float
    cost_per_accepted: float | None
    seconds: float
    tokens_per_second: float | None


@dataclass(frozen=True)
class Pairing:
    """Two translators on the same rows.

    Args:
        left, right: Their names.
        rows: That both gave a readable answer for.
        chrf: Agreement of their texts, 0 to 1; None where nothing can be compared.
        same: Rows with equal texts.
        only_left, only_right: Rows that only one of them got past the checks.
    """

    left: str
    right: str
    rows: int
    chrf: float | None
    same: int
    only_left: int
    only_right: int


@dataclass(frozen=True)
class Comparison:
    """Everything that `comparison.json` says.

    Args:
        source_language, language: Translated from and into.
        rows: In the sample.
        passed_over: Rows of the file that were not drawn from, by reason.
        checks, prompt: Versions.
        translators: In the order given.
        pairs: Each two of them.
    """

    source_language: str
    language: str
    rows: int
    passed_over: dict[str, int]
    checks: str
    prompt: str
    seed: int
    translators: list[TranslatorFigures]
    pairs: list[Pairing] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return it as a table of at most 80 columns."""
        told = [
            f"{self.rows:,} rows, {self.source_language} to {self.language}, one attempt each, no repair",
            f"{'translator':<24} {'accepted':>9} {'95 %':>13} {'length':>6} {'tok/s':>6} {'sec':>5} {'cost':>10}",
        ]
        for one in self.translators:
            told.append(
                f"{one.name[:24]:<24} {one.share:>9.1%} {one.low:>6.1%}-{one.high:<6.1%} {_number(one.length, '.2f'):>6}"
                f" {_number(one.tokens_per_second, '.0f'):>6} {one.seconds:>5.1f} {one.cost:>10.4f}"
            )
        codes = self._codes()
        if codes:
            width = min(24, max(len(code) for code in codes))
            head = " ".join(f"{one.name[:12]:>12}" for one in self.translators[:4])
            told += ["", f"{'rows with':<{width}} {head}"]
            for code in codes[:12]:
                cells = [one.findings.get(code, {}) for one in self.translators[:4]]
                told.append(f"{code[:width]:<{width}} " + " ".join(f"{_counts(cell):>12}" for cell in cells))
        told.append("")
        for pair in self.pairs:
            told.append(
                f"{pair.left[:20]} / {pair.right[:20]}: chrF {_number(pair.chrf, '.2f')}, {pair.same:,} the same,"
                f" accepted by one only {pair.only_left:,} / {pair.only_right:,}"
            )
        return [line[:_WIDTH] for line in told]

    def _codes(self) -> list[str]:
        sums: Counter[str] = Counter()
        for one in self.translators:
            for code, counts in one.findings.items():
                # What rejects comes first.
                sums[code] += 1000 * counts["hard"] + counts["warn"]
        return [code for code, _ in sorted(sums.items(), key=lambda item: (-item[1], item[0]))]


def figures(place: int, name: str, model: str, compared: Sequence[Compared]) -> TranslatorFigures:
    """Return what is known of the translator at `place`."""
    outcomes = [one.outcomes[place] for one in compared]
    accepted = sum(outcome.accepted for outcome in outcomes)
    share = wilson(accepted, len(outcomes))
    hard: Counter[str] = Counter()
    warn: Counter[str] = Counter()
    for outcome in outcomes:
        hard.update({one.code for one in outcome.findings if one.severity is Severity.HARD})
        warn.update({one.code for one in outcome.findings if one.severity is Severity.WARN})
    lengths = [
        size(one.outcomes[place].messages or []) / size(one.source)
        for one in compared
        if one.outcomes[place].messages and size(one.source)
    ]
    notes = [note for outcome in outcomes for note in outcome.attempts]
    seconds = [note.seconds for note in notes]
    completion = sum(note.completion_tokens for note in notes)
    cost = sum(note.cost for note in notes)
    return TranslatorFigures(
        name=name,
        model=model,
        rows=len(outcomes),
        accepted=accepted,
        share=share.value,
        low=share.low or 0.0,
        high=share.high if share.high is not None else 1.0,
        findings={
            code: {"hard": hard[code], "warn": warn[code]} for code in sorted(hard.keys() | warn.keys())
        },
        length=median(lengths) if lengths else None,
        prompt_tokens=sum(note.prompt_tokens for note in notes),
        completion_tokens=completion,
        cost=round(cost, 9),
        cost_per_accepted=round(cost / accepted, 9) if accepted else None,
        seconds=median(seconds) if seconds else 0.0,
        tokens_per_second=completion / sum(seconds) if sum(seconds) > 0 else None,
    )


def pairings(names: Sequence[str], compared: Sequence[Compared]) -> list[Pairing]:
    """Return what is known of each two translators."""
    found = []
    for left, right in combinations(range(len(names)), 2):
        agreement = Agreement()
        rows = same = only_left = only_right = 0
        for one in compared:
            first, second = one.outcomes[left], one.outcomes[right]
            only_left += first.accepted and not second.accepted
            only_right += second.accepted and not first.accepted
            if first.messages is None or second.messages is None:
                continue
            rows += 1
            texts = text_of(first.messages), text_of(second.messages)
            same += texts[0] == texts[1]
            agreement.add(*texts)
        found.append(Pairing(names[left], names[right], rows, agreement.score, same, only_left, only_right))
    return found


def text_of(messages: Messages) -> str:
    """Return all that is said in a conversation."""
    return "\n\n".join(message["content"] for message in messages)


def size(messages: Messages) -> int:
    """Return the characters of a conversation."""
    return sum(len(message["content"]) for message in messages)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _counts(cell: dict[str, int]) -> str:
    if not cell:
        return "-"
    warn = f" +{cell['warn']}w" if cell["warn"] else ""
    return f"{cell['hard']}{warn}"
