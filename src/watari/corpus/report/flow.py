"""What became of everything that was read: sums by step and reason, and the proof that they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from watari.corpus.report.record import BuildRecord, Sums
from watari.corpus.report.tables import LATER_PART, Tables

_MASK = (1 << 64) - 1
MEASURES = ("documents", "bytes", "tokens")


@dataclass(frozen=True)
class Amount:
    """Rows, and the UTF-8 bytes, characters and hashes (modulo 2**64) of their texts as read.

    `tokens` is an estimate from bytes per token; None where no tokenizer was given.
    """

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    hash_sum: int = 0
    tokens: float | None = None

    def __add__(self, other: Amount) -> Amount:
        tokens = None if self.tokens is None or other.tokens is None else self.tokens + other.tokens
        return Amount(
            self.documents + other.documents,
            self.bytes + other.bytes,
            self.characters + other.characters,
            (self.hash_sum + other.hash_sum) & _MASK,
            tokens,
        )

    def of(self, measure: str) -> float:
        """Return one of `MEASURES`."""
        return float({"documents": self.documents, "bytes": self.bytes}.get(measure, self.tokens or 0.0))


@dataclass(frozen=True)
class Loss:
    """What was dropped for one reason in one step."""

    step: str
    reason: str
    amount: Amount


@dataclass(frozen=True)
class Step:
    """A step: what came to it, and what it dropped."""

    name: str
    entering: Amount
    losses: list[Loss]


@dataclass(frozen=True)
class Check:
    """One comparison of two counts of the same thing.

    Args:
        what: Key of its words.
        left, right: (documents, bytes, hash sum) on each side.
        about: What it is about where there are several: a reason.
    """

    what: str
    left: tuple[int, int, int]
    right: tuple[int, int, int]
    about: str = ""

    @property
    def holds(self) -> bool:
        """True if both sides are the same."""
        return self.left == self.right


@dataclass(frozen=True)
class Flow:
    """The whole account, by the ledger."""

    read: Amount
    kept: Amount
    steps: list[Step]
    checks: list[Check] = field(default_factory=list)

    @property
    def losses(self) -> list[Loss]:
        """Every loss, in the order of the steps."""
        return [loss for step in self.steps for loss in step.losses]

    @property
    def holds(self) -> bool:
        """True if every check does."""
        return all(check.holds for check in self.checks)


def flow_of(tables: Tables) -> Flow:
    """Return the account of a build: from its ledger, checked against its own counts and its documents."""
    record = tables.record
    known = bool(record.rates)
    kept = Amount(tokens=0.0 if known else None)
    losses: dict[tuple[str, str], Amount] = {}
    for disposition, step, reason, language, count, size, characters, hashes in tables.rows(
        "SELECT disposition, coalesce(step, ''), coalesce(reason, ''), coalesce(language, ''), count(*),"
        " coalesce(sum(bytes), 0)::HUGEINT, coalesce(sum(characters), 0)::HUGEINT,"
        " coalesce(sum(raw_hash::HUGEINT), 0) FROM ledger GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    ):
        amount = Amount(
            count,
            int(size),
            int(characters),
            int(hashes) & _MASK,
            record.tokens(int(size), int(characters), language),
        )
        if disposition == "kept":
            kept += amount
        else:
            before = losses.get((step, reason), Amount(tokens=0.0 if known else None))
            losses[step, reason] = before + amount
    steps = _steps(kept, losses, record)
    read = steps[0].entering if steps else kept
    return Flow(read, kept, steps, _checks(tables, read, kept, losses))


def _steps(kept: Amount, losses: dict[tuple[str, str], Amount], record: BuildRecord) -> list[Step]:
    """Return the steps from the first to the last; what enters one is what is dropped from there on, and what stays."""
    names = [*record.steps, *sorted({step for step, _ in losses} - set(record.steps))]
    places = {rule.name: place for place, rule in enumerate(record.profile.rules if record.profile else ())}
    found: list[Step] = []
    entering = kept
    for name in reversed(names):
        mine = sorted(
            (Loss(step, reason, amount) for (step, reason), amount in losses.items() if step == name),
            key=lambda loss: (places.get(loss.reason, -1), loss.reason),
        )
        for loss in mine:
            entering += loss.amount
        found.append(Step(name, entering, mine))
    return found[::-1]


def _checks(tables: Tables, read: Amount, kept: Amount, losses: dict[tuple[str, str], Amount]) -> list[Check]:
    totals = tables.record.totals
    checks = []
    ((count, hashes),) = tables.rows(
        f"SELECT count(*), coalesce(sum(raw_hash::HUGEINT), 0) FROM documents WHERE NOT {LATER_PART}"
    )
    checks.append(
        Check("check_documents", (count, 0, int(hashes) & _MASK), (kept.documents, 0, kept.hash_sum))
    )
    if totals.read is not None:
        checks.insert(0, Check("check_read", _sums(totals.read), _amount(read)))
    if totals.kept is not None:
        checks.append(Check("check_kept", _sums(totals.kept), _amount(kept)))
    if totals.dropped is not None:
        by_reason: dict[str, Amount] = {}
        for (_, reason), amount in losses.items():
            by_reason[reason] = by_reason.get(reason, Amount()) + amount
        for reason in sorted({*by_reason, *totals.dropped}):
            left = _sums(totals.dropped.get(reason, Sums()))
            right = _amount(by_reason.get(reason, Amount()))
            checks.append(Check("check_reason", left, right, reason))
    return checks


def _sums(sums: Sums) -> tuple[int, int, int]:
    return (sums.documents, sums.bytes, sums.hash_sum & _MASK)


def _amount(amount: Amount) -> tuple[int, int, int]:
    return (amount.documents, amount.bytes, amount.hash_sum)


def largest(losses: Sequence[Loss], count: int) -> list[Loss]:
    """Return the losses that cost the most documents."""
    return sorted(losses, key=lambda loss: (-loss.amount.documents, loss.step, loss.reason))[:count]
