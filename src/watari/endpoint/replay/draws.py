"""Faults and latencies, drawn by what a request says and how many times it has come, never by when."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import xxhash

from watari.endpoint.replay.settings import DRAWN, Behaviour

_NORMAL: Final = NormalDist()
_GARBAGE: Final = ("html", "broken", "empty", "null", "bytes", "list")
GARBAGE: Final[dict[str, tuple[str, bytes]]] = {
    "html": ("text/html", b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"),
    "broken": (
        "application/json",
        b'{"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assis',
    ),
    "empty": ("application/json", b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": []}'),
    "null": (
        "application/json",
        b'{"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": null},'
        b' "finish_reason": "stop"}]}',
    ),
    "bytes": ("application/json", b'{"choices": [{"message": {"content": "\xff\xfe\x80"}}]}'),
    "list": ("application/json", b"[]"),
}
"""Content type and body of each kind of garbage; all of it comes with status 200."""


def uniform(seed: int, purpose: str, body: bytes, times: int = 0) -> float:
    """Return a float in [0, 1) that these four alone decide."""
    salt = xxhash.xxh3_64_intdigest(f"{seed}\x1f{purpose}\x1f{times}".encode())
    return (xxhash.xxh3_64_intdigest(body, salt) >> 11) * 2.0**-53


class Draws:
    """The draws of one server.

    Args:
        behaviour: Shares, latency and seed.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._seed = behaviour.seed
        self._mean = behaviour.latency / 1000
        self._sd = behaviour.sd / 1000
        self._lasting = [("400", behaviour.rate_400), ("filter", behaviour.rate_filter)]
        self._shares = [(fault, behaviour.share(fault)) for fault in DRAWN if behaviour.share(fault)]

    def fault(self, body: bytes, times: int) -> str:
        """Return the fault that this body gets when it comes for the `times`-th time (from 0); "" for none."""
        for fault, share in self._lasting:
            if share and uniform(self._seed, fault, body) < share:
                return fault
        if self._shares:
            left = uniform(self._seed, "fault", body, times)
            for fault, share in self._shares:
                left -= share
                if left < 0:
                    return fault
        return ""

    def garbage(self, body: bytes, times: int) -> str:
        """Return which kind of garbage comes: a name in `GARBAGE`."""
        return _GARBAGE[int(uniform(self._seed, "garbage", body, times) * len(_GARBAGE))]

    def seconds(self, body: bytes, times: int) -> float:
        """Return how late this answer is: normally distributed, cut off below at a tenth of the mean."""
        if not self._sd:
            return self._mean
        at = uniform(self._seed, "latency", body, times) or 2.0**-54
        return max(self._mean / 10, self._mean + self._sd * _NORMAL.inv_cdf(at))
