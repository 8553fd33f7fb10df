"""What a ledger holds, in figures: for `watari ledger status` and for reports. Only reads."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import orjson

from watari.endpoint.ledger.accounts import HELD, SPENT, held
from watari.endpoint.ledger.ledger import Ledger
from watari.endpoint.ledger.records import ANSWERED, NOTHING, RATE_LIMITED, Amounts, added

_LATEST = (
    "(SELECT attempt, accepted, codes FROM (SELECT attempt, accepted, codes, row_number() OVER"
    " (PARTITION BY attempt ORDER BY made DESC, version DESC) AS place FROM verdict) AS every WHERE place = 1)"
)
_ROWS = (
    "SELECT state, count(*) FROM (SELECT max(CASE WHEN a.voided = 1 THEN 0 WHEN v.accepted = 1 THEN 4"
    " WHEN a.status = 'answered' AND v.accepted IS NULL THEN 3 WHEN v.accepted = 0 THEN 2 ELSE 1 END) AS state"
    f" FROM attempt a LEFT JOIN {_LATEST} AS v ON v.attempt = a.id GROUP BY a.label, a.unit) AS units GROUP BY state"
)
_STATES = {4: "accepted", 3: "answered", 2: "faulty", 1: "failed", 0: "asked again"}
"""What a unit has come to: accepted by the checks, answered and not judged, judged and never accepted, never answered, or
waiting to be asked again (`retry`)."""

_ASKED = (
    "SELECT label, endpoint, rung, status, count(*), count(DISTINCT key), CAST(sum(prompt_tokens) AS BIGINT),"
    " CAST(sum(completion_tokens) AS BIGINT), CAST(sum(nano) AS BIGINT), sum(seconds)"
    " FROM attempt GROUP BY label, endpoint, rung, status"
)
_KEYS = "SELECT label, endpoint, rung, count(DISTINCT key) FROM attempt GROUP BY label, endpoint, rung"
_JUDGED = (
    "SELECT a.label, a.endpoint, a.rung, v.accepted, v.codes, count(*)"
    f" FROM attempt a JOIN {_LATEST} AS v ON v.attempt = a.id GROUP BY a.label, a.endpoint, a.rung, v.accepted, v.codes"
)
_LAST = (
    "SELECT count(*), CAST(coalesce(sum(CASE WHEN status = 'answered' THEN 1 ELSE 0 END), 0) AS BIGINT) FROM"
    " (SELECT status, sent, seconds FROM attempt ORDER BY id DESC LIMIT 500000) AS newest WHERE sent + seconds > ?"
)
_NEWEST = "SELECT sent + seconds FROM attempt WHERE status = 'answered' ORDER BY id DESC LIMIT 1"
_BATCHES = (
    "SELECT token, label, endpoint, state, batch_id, requests, made, changed FROM batch ORDER BY made, token"
)


@dataclass
class Asked:
    """What one rung of a stage has asked one endpoint.

    Args:
        label, endpoint, rung: Which.
        asked: Questions.
        sent: Attempts at them.
        answered: Attempts that gave an answer.
        judged, accepted: Answers that the checks have seen, and accepted.
        faults: Findings by check code, hard and warn.
        limited: 429s.
        prompt_tokens, completion_tokens, cost, seconds: Sums.
    """

    label: str
    endpoint: str
    rung: int
    asked: int = 0
    sent: int = 0
    answered: int = 0
    judged: int = 0
    accepted: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    limited: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Sums:
    """Money, tokens and requests; None: not limited."""

    money: float | None
    tokens: int | None
    requests: int | None


@dataclass(frozen=True)
class Account:
    """What a stage (or, with label "", the run) has spent.

    Args:
        label: The stage's name.
        spent: What is on record, with `lost`.
        lost: Of it, what was in flight when a process was killed; it may have been charged.
        held: Set aside for what is in flight.
        budget: As the last run had it; None: none was given.
    """

    label: str
    spent: Sums
    lost: Sums
    held: Sums
    budget: Sums | None


@dataclass(frozen=True)
class Batch:
    """A batch at a provider; seconds since it was made and since it last changed."""

    token: str
    label: str
    endpoint: str
    state: str
    batch_id: str
    requests: int
    age: float
    unchanged: float


@dataclass(frozen=True)
class Summary:
    """A ledger in figures.

    Args:
        ledger: Where it lies.
        rows: Units by what they have come to.
        attempts: Attempts by status.
        endpoints: By stage, endpoint and rung.
        accounts: By stage; the run's first.
        in_flight: Requests in flight in processes that live.
        batches: At providers.
        last_minute: Attempts that ended in the last minute; `answered` of them.
        answer_age: Seconds since the last answer; None: there is none.
    """

    ledger: str
    rows: dict[str, int]
    attempts: dict[str, int]
    endpoints: list[Asked]
    accounts: list[Account]
    in_flight: int
    batches: list[Batch]
    last_minute: dict[str, int]
    answer_age: float | None


def summary(ledger: Ledger) -> Summary:
    """Return what a ledger holds now."""
    now = time.time()
    asked, attempts = _asked(ledger)
    states = {_STATES[int(state)]: int(count) for state, count in ledger.rows(_ROWS)}
    newest = ledger.rows(_NEWEST)
    ended, answered = ledger.rows(_LAST, (now - 60.0,))[0]
    blocks = held(ledger.rows(HELD))
    return Summary(
        ledger=ledger.place,
        rows={name: states[name] for name in _STATES.values() if name in states},
        attempts=attempts,
        endpoints=asked,
        accounts=_accounts(ledger),
        in_flight=sum(one.in_flight for one in blocks if one.alive),
        batches=[
            Batch(token, label, endpoint, state, batch_id, requests, now - made, now - changed)
            for token, label, endpoint, state, batch_id, requests, made, changed in ledger.rows(_BATCHES)
        ],
        last_minute={"attempts": int(ended), ANSWERED: int(answered)},
        answer_age=max(now - float(newest[0][0]), 0.0) if newest else None,
    )


def _asked(ledger: Ledger) -> tuple[list[Asked], dict[str, int]]:
    found: dict[tuple[str, str, int], Asked] = {}
    attempts: dict[str, int] = {}
    for label, endpoint, rung, status, count, _, prompt, completion, nano, seconds in ledger.rows(_ASKED):
        one = found.setdefault((label, endpoint, rung), Asked(label, endpoint, rung))
        one.sent += count
        one.answered += count if status == ANSWERED else 0
        one.limited += count if status == RATE_LIMITED else 0
        one.prompt_tokens += prompt
        one.completion_tokens += completion
        one.cost = round(one.cost + nano / 1e9, 9)
        one.seconds += seconds
        attempts[status] = attempts.get(status, 0) + count
    for label, endpoint, rung, keys in ledger.rows(_KEYS):
        found[label, endpoint, rung].asked = keys
    for label, endpoint, rung, accepted, codes, count in ledger.rows(_JUDGED):
        one = found[label, endpoint, rung]
        one.judged += count
        one.accepted += count if accepted else 0
        for code in orjson.loads(codes):
            one.faults[code] = one.faults.get(code, 0) + count
    for one in found.values():
        one.faults = dict(sorted(one.faults.items(), key=lambda item: (-item[1], item[0])))
    ordered = sorted(found.values(), key=lambda one: (one.label, one.rung, one.endpoint))
    return ordered, dict(sorted(attempts.items(), key=lambda item: (-item[1], item[0])))


def _accounts(ledger: Ledger) -> list[Account]:
    recorded: dict[str, Amounts] = {
        label: (int(nano), int(tokens), int(requests)) for label, nano, tokens, requests in ledger.rows(SPENT)
    }
    lost: dict[str, Amounts] = {}
    aside: dict[str, Amounts] = {}
    for one in held(ledger.rows(HELD)):
        side = aside if one.alive else lost
        side[one.label] = added(side.get(one.label, NOTHING), one.amounts)
    for sums in (recorded, lost, aside):
        run = NOTHING
        for amounts in sums.values():
            run = added(run, amounts)
        sums[""] = run
    budgets = {label: (nano, tokens, requests) for label, nano, tokens, requests in ledger.rows(
        "SELECT label, nano, tokens, requests FROM budget"
    )}  # fmt: skip
    accounts = []
    for label in sorted({*recorded, *lost, *aside, *budgets}):
        budget = budgets.get(label)
        limited = budget is not None and budget != (None, None, None)
        gone = lost.get(label, NOTHING)
        accounts.append(
            Account(
                label,
                spent=_sums(added(recorded.get(label, NOTHING), gone)),
                lost=_sums(gone),
                held=_sums(aside.get(label, NOTHING)),
                budget=_sums(budget) if limited and budget is not None else None,
            )
        )
    return accounts


def _sums(amounts: tuple[int | None, int | None, int | None]) -> Sums:
    money = None if amounts[0] is None else amounts[0] / 1e9
    return Sums(money, amounts[1], amounts[2])
