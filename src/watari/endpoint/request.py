"""What is asked of an endpoint, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from watari.artifact.hashing import hash_bytes
from watari.endpoint.settings import Endpoint
from watari.errors import WatariError

Message = Mapping[str, str]

TRUNCATED = "length"
"""The finish reason of an answer that its limit of tokens cut off."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask.

    Args:
        unit: What the answer is for: the same unit may be asked several times (a repair, a stronger model). Made from
            content (`hash_json`), so that the same work has the same unit in every run.
        messages: The conversation; for `api: completions` give `prompt`.
        prompt: The text to go on from.
        row: The id of the input row, for people who look into the ledger.
        rung: Which rung of a ladder asks, from 0.
        purpose: A short word: `translate`, `repair`, `judge`.
        settings: Fields of the body that are laid over the endpoint's sampler: `max_tokens`, `temperature`, `stop`, ...
        seed: The server's `seed`; None: not sent.
        n: Answers wanted.
        logprobs: Log-probabilities of so many likeliest tokens at each place; None: none.
        again: Counts up where the very same body shall be asked again for another answer.
    """

    unit: str
    messages: Sequence[Message] | None = None
    prompt: str | None = None
    row: str = ""
    rung: int = 0
    purpose: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    n: int = 1
    logprobs: int | None = None
    again: int = 0

    def body(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the JSON body that asks this of `endpoint`: the endpoint's sampler, its extra body, then `settings`."""
        body: dict[str, Any] = {"model": endpoint.model}
        if endpoint.api == "chat":
            body["messages"] = [dict(message) for message in self.messages or ()]
        else:
            body["prompt"] = self.prompt or ""
        body |= endpoint.sampler.body()
        body |= endpoint.extra_body
        body |= self.settings
        if self.seed is not None:
            body["seed"] = self.seed
        if self.n != 1:
            body["n"] = self.n
        if self.logprobs is not None:
            body |= (
                {"logprobs": True, "top_logprobs": self.logprobs}
                if endpoint.api == "chat"
                else {"logprobs": self.logprobs}
            )
        return body

    def key(self, body: Mapping[str, Any]) -> str:
        """Return the identity of this question in a ledger: xxh128 of unit, body and `again`.

        Where it is asked (address, price, limits) is not part of it: what was answered is not asked again elsewhere.
        """
        return hash_bytes(orjson.dumps([self.unit, self.again, body], option=orjson.OPT_SORT_KEYS))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers in a response.

    Args:
        text: The answer.
        finish_reason: `stop`, `length`, `content_filter`, ... as the server says it; "" where it says nothing.
        logprobs: As the server gives them, or None.
    """

    text: str
    finish_reason: str
    logprobs: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request.

    Args:
        attempt: Its number in the ledger.
        key: The request's key.
        model: The model as the server names it.
        choices: At least one.
        prompt_tokens, completion_tokens: As the server counts them, or our worst case where it does not.
        cost: In the currency of the endpoint's price.
        seconds: From sending to the last byte.
        recorded: True if it came from the ledger and nothing was sent.
    """

    attempt: int
    key: str
    model: str
    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int
    cost: float
    seconds: float
    recorded: bool

    @property
    def text(self) -> str:
        """The first answer."""
        return self.choices[0].text

    @property
    def finish_reason(self) -> str:
        """Of the first answer."""
        return self.choices[0].finish_reason


class AskFailed(WatariError):
    """One request could not be answered; others may be. Caught by the stage, which drops the row with `code`.

    Args:
        code: A fixed word to count by: `refused by the server` (a 400 and the like), `context too long`, `content filter`,
            `gave up` (every attempt failed), `unreadable answer`.
        detail: One line with what the server said.
        attempt: Its number in the ledger, if one was recorded.
    """

    def __init__(self, code: str, detail: str = "", attempt: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.attempt = attempt

    def __reduce__(self) -> tuple[type[AskFailed], tuple[str, str, int | None]]:  # type: ignore[override]
        return (type(self), (self.code, self.detail, self.attempt))


class Asks(Protocol):
    """What those who ask need of `watari.endpoint.asking.Asking`."""

    @property
    def ledger(self) -> Any:
        """The ledger of this run."""

    async def ask(self, endpoint: Endpoint, request: Request) -> Answer:
        """Return the answer, from the ledger if it is there."""


def with_more_tokens(request: Request, endpoint: Endpoint, longest: int) -> Request | None:
    """Return the same request with twice the `max_tokens`, at most `longest`; None if there is nothing to raise."""
    given = request.settings.get("max_tokens", endpoint.sampler.max_tokens)
    if not isinstance(given, int) or given >= longest:
        return None
    return replace(request, settings={**request.settings, "max_tokens": min(2 * given, longest)})
