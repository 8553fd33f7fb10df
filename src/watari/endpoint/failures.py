"""What a failed reply means: for this request, for the run, for the speed at which more is sent.

The words that providers use were taken from their documentation (OpenAI, Azure, Anthropic, Google, Mistral, DeepSeek,
OpenRouter, vLLM, SGLang, llama.cpp); status numbers come first, words decide where a number means several things.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from watari.endpoint.http import Reply
from watari.endpoint.reading import Read, ServerError, read_error, read_reply
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, UserError, WatariError

if TYPE_CHECKING:
    from watari.endpoint.ledger import Failure

Sort = Literal["answered", "limited", "busy", "broken", "unreachable", "refused", "stop"]
"""answered; limited: a 429, pacing and no failure; busy: 5xx and timeouts, signs of load; broken: the reply is no answer;
unreachable: nothing was sent; refused: never ask this again; stop: no request will fare better."""

REFUSED = "refused by the server"
"""The status of an attempt that is not worth repeating, since the same body is refused again."""
NOT_ALLOWED = "not allowed"
"""The status of an attempt that ended the run."""

_CODES = ("refused by the server", "context too long", "content filter")

_TOO_LONG = (
    "context length", "context_length", "context window", "maximum context", "max_model_len", "too many tokens",
    "prompt is too long", "input is too long", "exceeds the available context", "input length", "max_seq_len",
    "longer than the model", "reduce the length", "token limit",
)  # fmt: skip
_FILTER = ("content_filter", "content filter", "content management policy", "safety system", "moderation",
           "content_policy", "usage policies")  # fmt: skip
_QUOTA = (
    "insufficient_quota", "exceeded your current quota", "billing_hard_limit", "billing hard limit",
    "insufficient balance", "insufficient credits", "insufficient funds", "credit balance is too low",
    "insufficient_balance", "insufficient_user_quota", "payment required", "account is deactivated",
)  # fmt: skip
_PACE = ("per minute", "per second", "per min", "rpm", "tpm", "rate limit", "rate_limit", "too many requests",
         "retry in", "try again in")  # fmt: skip


_NOTHING_READ = Read()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reply means.

    Args:
        sort: See `Sort`.
        status: The word for the ledger's `status`.
        code: Of the `AskFailed`, where sort is "refused".
        detail: One line.
        read: What was read from it, for an answer.
        stop: The error that ends the run, where sort is "stop".
        perhaps_paid: True if the server may have worked on it (and charge for it) though no answer came.
    """

    sort: Sort
    status: str
    code: str = ""
    detail: str = ""
    read: Read = _NOTHING_READ
    stop: WatariError | None = None
    perhaps_paid: bool = False


def classify(endpoint: Endpoint, reply: Reply) -> Outcome:
    """Return what `reply` means. Nothing is raised whatever the bytes are."""
    if reply.trouble == "no connection":
        return Outcome("unreachable", "connection", detail=reply.detail)
    if reply.status == 200 and not reply.trouble:
        read = read_reply(reply.body, endpoint.api)
        if not read.problem:
            return Outcome("answered", "answered", read=read)
        if read.error is not None:
            return _by_status(endpoint, reply, _status_in(read.error), read.error)
        return Outcome("broken", "unreadable answer", detail=read.problem, read=read, perhaps_paid=True)
    if reply.trouble == "timeout":
        return Outcome("busy", "timeout", detail=reply.detail, perhaps_paid=True)
    if reply.status in (0, 200):
        sort: Sort = "broken" if reply.trouble == "too large" else "busy"
        return Outcome(sort, "connection", detail=reply.detail, perhaps_paid=reply.status == 200)
    # An error whose text broke off is still that error.
    return _by_status(endpoint, reply, reply.status, read_error(reply.body))


def _status_in(error: ServerError) -> int:
    """Return the status that an error inside a 200 means: some routers hand on their provider's error so."""
    return int(error.code) if error.code.isdigit() and 400 <= int(error.code) < 600 else 500


def _by_status(endpoint: Endpoint, reply: Reply, status: int, error: ServerError) -> Outcome:
    words = f"{error.message} {error.kind} {error.code}".lower()
    said = f"HTTP {status}: {error.message}" if error.message else f"HTTP {status}"
    where = f"endpoint {endpoint.label} ({endpoint.base_url})"
    if status in (401, 403) and not (status == 403 and _has(words, _FILTER)):
        return _stop(status, said, _key_error(endpoint, where, status))
    quota = "insufficient" in f"{error.kind} {error.code}".lower() or not _has(words, _PACE)
    if status == 402 or (status in (400, 403, 429) and _has(words, _QUOTA) and quota):
        mend = "add credit with the provider or raise the limit there, then run the same command again"
        return _stop(status, said, StageFailed(f"{where}: no credit or quota left: {said}", mend))
    if status == 429:
        return Outcome("limited", "rate limited", detail=said)
    if status in (408, 409, 425) or status >= 500:
        return Outcome("busy", "server error", detail=said)
    if status in (404, 405) or (status == 400 and "model_not_found" in words):
        return _stop(status, said, _missing(endpoint, where, said))
    if 200 < status < 400:
        mend = "write the address that the server redirects to as base_url"
        return _stop(status, said, UserError(f"{where}: HTTP {status} instead of an answer", mend))
    if _has(words, _FILTER):
        return Outcome("refused", REFUSED, "content filter", said)
    if status == 413 or (status in (400, 422) and _has(words, _TOO_LONG)):
        return Outcome("refused", REFUSED, "context too long", said)
    return Outcome("refused", REFUSED, "refused by the server", said)


def _stop(status: int, said: str, error: WatariError) -> Outcome:
    # The words of a 401 or 403 may repeat a part of the key.
    return Outcome("stop", NOT_ALLOWED, detail=f"HTTP {status}" if status in (401, 403) else said, stop=error)


def refusal(failure: Failure) -> AskFailed | None:
    """Return what a failure on record means for the same question now: a refusal stands, all else may be tried again."""
    code = failure.detail.split(": ", 1)[0]
    if failure.status != REFUSED or code not in _CODES:
        return None
    return AskFailed(code, failure.detail[len(code) + 2 :], failure.attempt)


def _key_error(endpoint: Endpoint, where: str, status: int) -> WatariError:
    if endpoint.key_env is None:
        return UserError(
            f"{where}: HTTP {status}: the server wants a key",
            "name the environment variable that holds it as `key_env`",
        )
    what = "does not take" if status == 401 else "forbids this with"
    # What the server says may repeat a part of the key, so it is not told.
    return UserError(
        f"{where}: HTTP {status}: the server {what} the key in {endpoint.key_env}",
        f"check {endpoint.key_env}, and that its account may use {endpoint.model}",
    )


def _missing(endpoint: Endpoint, where: str, said: str) -> WatariError:
    if "model" in said.lower():
        return UserError(
            f"{where}: the server does not know the model {endpoint.model!r}: {said}",
            f"GET {endpoint.base_url}/models lists those it has; write one as `model`",
        )
    return UserError(
        f"{where}: nothing is served at this address: {said}",
        "base_url goes up to and including /v1; `api:` must be an interface that the server has",
    )


def _has(words: str, marks: tuple[str, ...]) -> bool:
    return any(mark in words for mark in marks)
