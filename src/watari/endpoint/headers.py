"""What a server's headers say of its limits: `Retry-After`, `x-ratelimit-*` and their relatives."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 3600.0
"""Seconds: a server that asks for more is asked again after this."""

_PARTS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit: `left` of `limit`, whole again in `reset` seconds; None where it is not told."""

    left: float
    limit: float | None
    reset: float | None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to wait, or None.

    Args:
        headers: With names in any case (a case-insensitive mapping, as aiohttp's).
        now: Unix time, for headers that give a date.
    """
    exact = headers.get("retry-after-ms")
    if exact is not None:
        seconds = _number(exact)
        if seconds is not None:
            return _bounded(seconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        seconds = _date(value, now)
    return None if seconds is None else _bounded(seconds)


def allowances(headers: Mapping[str, str], now: float) -> tuple[Allowance | None, Allowance | None]:
    """Return what is left of requests and of tokens; None for what is not told.

    OpenAI's names are read (`x-ratelimit-remaining-requests` with `-limit-` and `-reset-`, also for tokens), and for
    requests the short ones of the IETF draft (`x-ratelimit-remaining`, `ratelimit-remaining`).
    """
    requests = _allowance(headers, "x-ratelimit-{}-requests", now)
    if requests is None:
        requests = _allowance(headers, "x-ratelimit-{}", now) or _allowance(headers, "ratelimit-{}", now)
    return requests, _allowance(headers, "x-ratelimit-{}-tokens", now)


def _allowance(headers: Mapping[str, str], name: str, now: float) -> Allowance | None:
    value = headers.get(name.format("remaining"))
    left = None if value is None else _number(value)
    if left is None:
        return None
    limit = headers.get(name.format("limit"))
    reset = headers.get(name.format("reset"))
    return Allowance(
        left, None if limit is None else _number(limit), None if reset is None else duration(reset, now)
    )


def duration(text: str, now: float) -> float | None:
    """Return the seconds that `6m0s`, `20ms`, `1.5`, a Unix time or a date mean, or None."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        if number > 1e12:  # a Unix time in milliseconds
            number /= 1000
        return _bounded(number - now if number > 1e9 else number)
    parts = _PARTS.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        return _bounded(sum(float(amount) * _SECONDS[unit] for amount, unit in parts))
    seconds = _date(text, now)
    return None if seconds is None else _bounded(seconds)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _date(text: str, now: float) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text.strip())
        except (ValueError, TypeError, IndexError):
            continue
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return date.timestamp() - now
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
