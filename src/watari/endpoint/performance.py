"""What a stage that asks tells of its requests: how many and how fast, how many tokens, what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Paid(Protocol):
    """Something that came of a request: an answer, an opinion."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens that were sent."""

    @property
    def completion_tokens(self) -> int:
        """Tokens that came back."""

    @property
    def cost(self) -> float:
        """In the currency of the endpoint's prices."""


def performance_of(
    spending: Mapping[str, Any], seconds: float, *, rate: str = "", done: int | None = None
) -> dict[str, Any]:
    """Return `StageResult.performance` of a stage that asks: what differs from run to run.

    Args:
        spending: By endpoint, as `Asking.spending` tells it.
        seconds: That the run took.
        rate: What is told by the second: `items` adds items_per_second; "": nothing.
        done: How many of them the run worked through; None: they are the requests that were sent.

    Returns:
        requests_sent, recorded (found on record, nothing sent), seconds, the rate, endpoints (`spending`).
    """
    sent = sum(one.get("requests", 0) for one in spending.values())
    by_second = round((sent if done is None else done) / seconds, 3) if seconds else 0.0
    return {
        "requests_sent": sent,
        "recorded": sum(one.get("recorded", 0) for one in spending.values()),
        "seconds": round(seconds, 3),
        **({f"{rate}_per_second": by_second} if rate else {}),
        "endpoints": spending,
    }


def bill_of(paid: Iterable[Paid], *, digits: int = 9) -> dict[str, Any]:
    """Return what a manifest says of tokens and cost: {tokens: {prompt, completion}, cost}, the cost to so many digits."""
    every = list(paid)
    return {
        "tokens": {
            "prompt": sum(one.prompt_tokens for one in every),
            "completion": sum(one.completion_tokens for one in every),
        },
        "cost": round(sum(one.cost for one in every), digits),
    }
