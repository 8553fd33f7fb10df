"""The most that a request may cost, from its body alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from watari.endpoint.ledger.records import Spend
from watari.endpoint.settings import Budget, Endpoint
from watari.errors import UserError


def worst_case(endpoint: Endpoint, body: Mapping[str, Any]) -> Spend:
    """Return the most that a request may cost: every UTF-8 byte of its texts a token, every answer as long as allowed.

    A token of a byte-level vocabulary is at least one byte; a chat template adds some for each message.
    """
    prompt = _prompt_tokens(body)
    completion = (output_limit(body) or 0) * _answers(body)
    money = (
        prompt * max(endpoint.price.input, endpoint.price.cached or 0.0) + completion * endpoint.price.output
    ) / 1e6
    return Spend(money, prompt + completion, 1)


def check_budget(endpoint: Endpoint, body: Mapping[str, Any], budgets: Iterable[Budget]) -> None:
    """Refuse a request whose worst case is not known where there is a budget that it could exceed.

    Raises:
        UserError: naming the endpoint.
    """
    if output_limit(body) is not None:
        return
    for budget in budgets:
        priced = budget.money is not None and not endpoint.price.free
        if priced or budget.tokens is not None:
            what = "money" if priced else "tokens"
            raise UserError(
                f"endpoint {endpoint.label}: without `max_tokens` nobody knows what an answer may cost, and there is a"
                f" budget of {what}",
                f"write `sampler: {{max_tokens: ...}}` for {endpoint.label}",
            )


def output_limit(body: Mapping[str, Any]) -> int | None:
    """Return how long an answer may be, in tokens; None: not limited."""
    for name in ("max_completion_tokens", "max_tokens"):
        if isinstance(body.get(name), int):
            return int(body[name])
    return None


def _answers(body: Mapping[str, Any]) -> int:
    wanted = [body[name] for name in ("n", "best_of") if isinstance(body.get(name), int)]
    return max(wanted, default=1)


_A_MESSAGE = 16
"""Tokens that a chat template adds for a message, and again for the whole, at most."""


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return _bytes(body.get("prompt")) + _A_MESSAGE
    return sum(_bytes(message) + _A_MESSAGE for message in messages) + _A_MESSAGE


def _bytes(value: Any) -> int:
    """Return the bytes of all texts in it."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(_bytes(part) for part in value.values())
    return sum(_bytes(part) for part in value) if isinstance(value, list | tuple) else 0
