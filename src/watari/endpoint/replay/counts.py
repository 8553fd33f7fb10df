"""What a replay server has seen and served: what tests and benchmarks prove their claims with."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from watari.artifact.hashing import hash_text


class Counts:
    """Counters of one server; `as_json` is what `GET /stats` answers."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: also the number of times that a body has come, so that faults are drawn as for a fresh server."""
        self._began = time.monotonic()
        self._first: float | None = None
        self._first_clock: float | None = None
        self._last: float | None = None
        self.requests = 0
        self.status: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.capped = 0
        self.denied = 0
        self.lost = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.keys: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.came: dict[int, int] = {}
        self.answered: dict[int, int] = {}
        self.script_error = ""

    def arrived(self, authorization: str) -> None:
        """A request for an answer has come."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._first_clock = now, time.time()
        self._last = now
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.keys[authorization] += 1

    def ended(self, status: int | str) -> None:
        """It was answered with this status, or in another way: `reset`, `cut`, `lost` (the client went away)."""
        self._last = time.monotonic()
        self.in_flight -= 1
        self.status[str(status)] += 1

    def whole_answer(self, body: int) -> None:
        """A body (by its hash) was answered, and all of it was written."""
        self.answered[body] = self.answered.get(body, 0) + 1

    def as_json(self, *, bodies: bool = False) -> dict[str, Any]:
        """Return all counters.

        Args:
            bodies: Also {hash of a body: [times it came, times it was answered whole]}.
        """
        again = sum(times - 1 for times in self.answered.values())
        found: dict[str, Any] = {
            "requests": self.requests,
            "answered": sum(self.answered.values()),
            "bodies": len(self.came),
            "bodies_answered": len(self.answered),
            "answered_again": again,
            "status": dict(self.status),
            "rate_limited": self.status["429"],
            "capped": self.capped,
            "denied": self.denied,
            "faults": dict(self.faults),
            "lost": self.lost,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "keys": {_unnamed(key): times for key, times in self.keys.items()},
            "models": dict(self.models),
            "first_at": self._first_clock,
            "seconds_to_first": None if self._first is None else self._first - self._began,
            "seconds": 0.0 if self._first is None or self._last is None else self._last - self._first,
            "script_error": self.script_error,
        }
        if bodies:
            found["by_body"] = {
                f"{body:016x}": [times, self.answered.get(body, 0)] for body, times in self.came.items()
            }
        return found


def _unnamed(authorization: str) -> str:
    # A key is told apart from another one, and never shown.
    return f"key {hash_text(authorization)[:8]}" if authorization else "no key"
