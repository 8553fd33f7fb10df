"""Caps on requests and tokens, as providers set them: buckets that fill at an even rate, told in true headers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from watari.endpoint.replay.settings import Behaviour


@dataclass
class Bucket:
    """A bucket that holds `size` and fills with `rate` a second."""

    name: str
    limit: int
    rate: float
    size: float
    held: float
    at: float = -math.inf

    def fill(self, now: float) -> None:
        """Bring it up to date; time in seconds, from any origin."""
        if self.at > -math.inf:
            self.held = min(self.size, self.held + (now - self.at) * self.rate)
        self.at = now

    def wait(self, wanted: float) -> float:
        """Return the seconds until it holds `wanted` (at most its size)."""
        return max(0.0, (min(wanted, self.size) - self.held) / self.rate)


class Caps:
    """All caps of a server.

    Args:
        behaviour: `cap`, `cap_minute`, `tokens_minute`, `burst`, `headers`.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._told = behaviour.headers
        self._requests: list[Bucket] = []
        for limit, seconds in ((behaviour.cap, 1), (behaviour.cap_minute, 60)):
            if limit is not None:
                size = behaviour.burst or max(1.0, limit / seconds)
                self._requests.append(Bucket("requests", max(1, round(limit)), limit / seconds, size, size))
        self._tokens: Bucket | None = None
        if (limit := behaviour.tokens_minute) is not None:
            self._tokens = Bucket("tokens", max(1, round(limit)), limit / 60, limit / 6, limit / 6)

    @property
    def any(self) -> bool:
        """True if there is a cap at all."""
        return bool(self._requests) or self._tokens is not None

    def admit(self, tokens: int, now: float) -> float:
        """Take a request of so many tokens (prompt and max_tokens) out of the buckets.

        Returns:
            0 if it may pass; else the seconds after which it could, and nothing is taken.
        """
        wait = 0.0
        for bucket in self._requests:
            bucket.fill(now)
            wait = max(wait, bucket.wait(1))
        if self._tokens is not None:
            self._tokens.fill(now)
            wait = max(wait, self._tokens.wait(tokens))
        if wait > 0:
            return wait
        for bucket in self._requests:
            bucket.held -= 1
        if self._tokens is not None:
            self._tokens.held -= tokens
        return 0.0

    def headers(self, now: float, wait: float = 0.0) -> dict[str, str]:
        """Return the headers that tell of the caps as they are now; with `wait`, Retry-After as well."""
        if not self._told:
            return {}
        found: dict[str, str] = {}
        buckets = [*self._requests[:1], *([self._tokens] if self._tokens else [])]
        for bucket in buckets:
            bucket.fill(now)
            found[f"x-ratelimit-limit-{bucket.name}"] = str(bucket.limit)
            found[f"x-ratelimit-remaining-{bucket.name}"] = str(max(0, int(bucket.held)))
            found[f"x-ratelimit-reset-{bucket.name}"] = duration(bucket.wait(bucket.size))
        if wait:
            # Whole seconds are all that HTTP knows; OpenAI adds the milliseconds.
            found["retry-after"] = str(math.ceil(wait))
            found["retry-after-ms"] = str(math.ceil(wait * 1000))
        return found


def duration(seconds: float) -> str:
    """Return seconds as OpenAI writes them in x-ratelimit-reset: `20ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"
