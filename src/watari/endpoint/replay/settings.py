"""How a replay server behaves: how late, with which faults, under which limits; and its address as one line."""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.errors import UserError

SCHEME: Final = "replay://"
Share = float
DRAWN: Final = ("429", "500", "503", "reset", "cut", "garbage", "drip", "hang")
"""Faults that are drawn anew each time a body comes, in the order in which one draw is laid over their shares."""


class Behaviour(BaseModel):
    """What a replay server does beside answering. Shares are of all requests that come, from 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: int = Field(default=0, description="of every draw")
    latency: float = Field(default=0.0, ge=0, description="mean of the milliseconds before an answer")
    sd: float = Field(default=0.0, ge=0, description="their standard deviation, in milliseconds")
    rate_429: Share = Field(default=0.0, ge=0, le=1, description="too many requests")
    rate_500: Share = Field(default=0.0, ge=0, le=1, description="server error")
    rate_503: Share = Field(default=0.0, ge=0, le=1, description="overloaded")
    rate_reset: Share = Field(default=0.0, ge=0, le=1, description="the connection is cut before any byte")
    rate_cut: Share = Field(default=0.0, ge=0, le=1, description="the connection is cut in the body")
    rate_garbage: Share = Field(
        default=0.0, ge=0, le=1, description="200 with HTML, broken JSON, empty choices, null, bytes"
    )
    rate_drip: Share = Field(default=0.0, ge=0, le=1, description="the answer comes drop by drop")
    rate_hang: Share = Field(default=0.0, ge=0, le=1, description="no answer comes")
    rate_400: Share = Field(default=0.0, ge=0, le=1, description="refused, and the same body always")
    rate_filter: Share = Field(
        default=0.0, ge=0, le=1, description="finish_reason content_filter, and for the same body always"
    )
    drip: float = Field(default=5.0, ge=0, description="seconds that a dripping answer takes")
    hang: float = Field(
        default=3600.0, ge=0, description="seconds until a hanging request's connection is cut"
    )
    retry_after: float | None = Field(
        default=None, ge=0, description="seconds that drawn 429s name in Retry-After; not named by default"
    )
    headers: bool = Field(default=True, description="x-ratelimit-* and Retry-After where a cap is set")
    cap: float | None = Field(default=None, gt=0, description="requests a second")
    cap_minute: float | None = Field(default=None, gt=0, description="requests a minute")
    tokens_minute: float | None = Field(default=None, gt=0, description="tokens a minute")
    burst: float | None = Field(
        default=None, ge=1, description="requests that a cap allows at once; default: what it allows a second"
    )
    context: int | None = Field(
        default=None, gt=0, description="prompt and max_tokens at most; above it is a 400 in OpenAI's words"
    )
    deny: Literal["401", "402", "403", "quota"] | None = Field(
        default=None, description="what every request gets from number deny_after on"
    )
    deny_after: int = Field(default=0, ge=0, description="requests before `deny` begins")
    key_env: str | None = Field(
        default=None, description="variable that holds the key without which a request gets 401"
    )
    keep_alive: float | None = Field(
        default=None, gt=0, description="seconds after which an idle connection is cut, without a word"
    )
    batch: Literal["completed", "expired", "failed", "errors"] = Field(
        default="completed",
        description="how batches end: done; expired with a part done; refused; done with nothing but an error file",
    )
    batch_seconds: float = Field(default=0.2, ge=0, description="that a batch takes")
    batch_share: Share = Field(default=0.5, ge=0, le=1, description="of an expiring batch that is done")

    def share(self, fault: str) -> float:
        """Return the share of a fault of `DRAWN`."""
        return float(getattr(self, f"rate_{fault}"))


class Address(BaseModel):
    """A `replay://` address, taken apart.

    Args:
        script: Where answers come from: a registered name, `package.module:function`, or a path.
        behaviour: What the address says of latency, faults and limits.
        options: What is left of it: options for the script.
        process: False for a server in a thread of the asking process.
    """

    model_config = ConfigDict(frozen=True)
    script: str
    behaviour: Behaviour
    options: dict[str, str]
    process: bool = True


def parse_address(url: str) -> Address:
    """Return what a `replay://NAME?latency=200&sd=50&…` says; what `Behaviour` does not know is for the script.

    Raises:
        UserError: if it names no script, or a setting cannot be read.
    """
    parts = urlsplit(url)
    # rules.yaml, ./rules.yaml and package.module:function all stand where a host would, the rest of a path behind it.
    script = unquote(parts.netloc + parts.path).rstrip("/")
    if not url.startswith(SCHEME) or not script:
        raise UserError(f"{url}: no script is named", f"write {SCHEME}NAME, or a path to a file of rules")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    process = given.pop("process", "1") not in ("0", "false", "no")
    known = {name: given.pop(name) for name in list(given) if name in Behaviour.model_fields}
    return Address(script=script, behaviour=behaviour_of(known), options=given, process=process)


def behaviour_of(values: dict[str, Any]) -> Behaviour:
    """Return settings from an address, a file or a command line.

    Raises:
        UserError: naming the setting.
    """
    try:
        return Behaviour(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{name}: no setting of the replay server", f"known: {', '.join(Behaviour.model_fields)}"
            ) from None
        raise UserError(
            f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}"
        ) from None
