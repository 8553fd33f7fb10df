"""What stands in a ledger: attempts, verdicts, sums of what was spent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

ANSWERED = "answered"
"""The status of an attempt that gave an answer which can be used; every other word says why it did not."""

RATE_LIMITED = "rate limited"

NANO = 10**9
"""Billionths of money: what sums are kept in."""


def nanos(money: float) -> int:
    """Return an amount of money in whole billionths, rounded up, so that sums are exact.

    A price has up to three decimals per million tokens, so a token costs a whole number of billionths.

    Raises:
        ValueError: for what is negative, infinite or no number.
    """
    if not math.isfinite(money) or money < 0:
        raise ValueError(f"not an amount of money: {money!r}")
    # The inner rounding takes off what binary fractions add: 0.1 + 0.2 is 0.3 here.
    return math.ceil(round(money * NANO, 3))


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent, or may be.

    Args:
        money: In the currency of the prices; exact to a billionth in sums.
        tokens: Prompt and completion tokens together.
        requests: Requests that were sent.
    """

    money: float = 0.0
    tokens: int = 0
    requests: int = 0

    @property
    def nano(self) -> int:
        """The money in billionths."""
        return nanos(self.money)

    @classmethod
    def of(cls, amounts: Amounts) -> Spend:
        """Return the sum with these (billionths, tokens, requests)."""
        return cls(amounts[0] / NANO, amounts[1], amounts[2])

    @property
    def amounts(self) -> Amounts:
        """(billionths of money, tokens, requests): what sums are made of."""
        return (nanos(self.money), self.tokens, self.requests)

    def __add__(self, other: Spend) -> Spend:
        return Spend.of(added(self.amounts, other.amounts))


Amounts = tuple[int, int, int]
"""Billionths of money, tokens, requests."""

NOTHING: Amounts = (0, 0, 0)


def added(left: Amounts, right: Amounts) -> Amounts:
    """Return the sum of each."""
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def taken(left: Amounts, right: Amounts) -> Amounts:
    """Return what is left of each, never below nothing."""
    return (max(left[0] - right[0], 0), max(left[1] - right[1], 0), max(left[2] - right[2], 0))


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum of all."""
    result = NOTHING
    for one in amounts:
        result = added(result, one)
    return result


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was sent, whatever came back.

    Args:
        key: The request's key (`Request.key`).
        unit: What it is for.
        label: The stage's name in the run.
        row: The id of the input row.
        rung: Which rung of a ladder asked.
        purpose: `translate`, `repair`, `judge`, ...
        endpoint: The endpoint's name in the recipe.
        model: The model as the server named it, or as it was asked for.
        status: `answered`, or why not: `rate limited`, `server error`, `refused by the server`, `timeout`,
            `connection`, `unreadable answer`, ...
        http: The status of the response; 0: none came.
        request: The body that was sent; it holds no headers.
        response: The body as received, maybe a part of it.
        prompt_tokens, completion_tokens: As the server counted them, or our worst case where it did not.
        cost: In the currency of the price.
        sent: Seconds since 1970.
        seconds: From sending to the last byte.
        detail: One line with what the server or the network said.
        finish_reason: Of the first answer.
    """

    key: str
    unit: str
    label: str
    row: str
    rung: int
    purpose: str
    endpoint: str
    model: str
    status: str
    http: int
    request: bytes
    response: bytes
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    sent: float = 0.0
    seconds: float = 0.0
    detail: str = ""
    finish_reason: str = ""

    @property
    def amounts(self) -> Amounts:
        """What it cost."""
        return (nanos(self.cost), self.prompt_tokens + self.completion_tokens, 1)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer that is on record.

    Args:
        attempt: Its number.
        response: The body as received.
        model, prompt_tokens, completion_tokens, cost, seconds: As in `Attempt`.
    """

    attempt: int
    response: bytes
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt at a question that has no answer on record.

    Args:
        attempt: Its number.
        status, http, detail: As in `Attempt`.
    """

    attempt: int
    status: str
    http: int
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks said of an answer.

    Args:
        attempt: The answer's number.
        version: Of the checks (`synth.checks.catalogue.VERSION`).
        accepted: True if nothing hard was found.
        codes: Of all findings, hard and warn, in order.
    """

    attempt: int
    version: str
    accepted: bool
    codes: tuple[str, ...] = ()
