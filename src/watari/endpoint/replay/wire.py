"""HTTP/1.1 on one connection: whole requests out of what arrives, and every way of answering them badly.

An `asyncio.Protocol`, because a scripted server must be so much faster than the clients that are measured against it:
aiohttp's server spends three times the CPU on a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

Headers = Mapping[str, str]
JSON: Final = "application/json"
_MOST_HEAD: Final = 64 << 10
_MOST_BODY: Final = 1 << 30
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Exchange:
    """One request and the answer to it.

    Args:
        connection: What it came on.
        method: `GET`, `POST`, `DELETE`.
        path: Without its query.
        query: What stood behind `?`.
        headers: By lower-case name.
        body: Whole.
    """

    __slots__ = ("body", "connection", "headers", "method", "path", "query", "timer")

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: str,
        query: str,
        headers: dict[bytes, bytes],
        body: bytes,
    ) -> None:
        self.connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.timer: asyncio.TimerHandle | None = None

    def header(self, name: str) -> str:
        """Return a header's value, "" where it is not there."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after so long, unless the client goes away before."""
        if seconds <= 0:
            act()
        else:
            self.timer = self.connection.loop.call_later(seconds, act)

    def reply(self, status: int, body: bytes, kind: str = JSON, headers: Headers | None = None) -> None:
        """Answer, and make the connection ready for the next request."""
        self.connection.write(_head(status, len(body), kind, headers) + body)
        self.connection.done()

    def reply_half(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Promise the whole body, send half of it, and cut the connection."""
        self.connection.write(_head(status, len(body), JSON, headers) + body[: len(body) // 2])
        self.connection.close()

    def reply_slowly(
        self,
        status: int,
        body: bytes,
        seconds: float,
        whole: Callable[[], None],
        headers: Headers | None = None,
    ) -> None:
        """Answer in twenty pieces over so many seconds; `whole` is called before the last one."""
        step = max(1, len(body) // 20)
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        self.connection.write(_head(status, len(body), JSON, headers))

        def drop() -> None:
            piece = pieces.pop(0)
            if not pieces:
                whole()
            self.connection.write(piece)
            if pieces:
                self.later(seconds / 20, drop)
            else:
                self.connection.done()

        self.later(seconds / 20, drop)

    def cut(self) -> None:
        """Cut the connection without a word: the client sees a reset, not an end."""
        self.connection.abort()


def _head(status: int, length: int, kind: str, headers: Headers | None) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) if headers else ""
    reason = _REASONS.get(status, "Unknown")
    return f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}\r\n".encode(
        "latin-1"
    )


class Connection(asyncio.Protocol):
    """One client's connection; one request at a time, later ones wait in the buffer.

    Args:
        loop: The server's.
        handle: Given every whole request; it must see to it that the exchange ends.
        lost: Given the exchange that was going on when the client went away.
        keep_alive: Seconds after which an idle connection is cut; None: never.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: Callable[[Exchange], None],
        lost: Callable[[Exchange], None],
        keep_alive: float | None = None,
    ) -> None:
        self.loop = loop
        self._handle = handle
        self._lost = lost
        self._keep_alive = keep_alive
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._last = False
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        self._transport = None
        self._wake()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if exchange.timer is not None:
                exchange.timer.cancel()
            self._lost(exchange)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._exchange is None:
            self._next()

    def write(self, data: bytes) -> None:
        """Send something."""
        if self._transport is not None:
            self._transport.write(data)

    def done(self) -> None:
        """The answer is written: take the next request, or end if this was the last."""
        self._exchange = None
        if self._last:
            self.close()
        elif self._buffer:
            # Not at once: a client that sends many requests in one go must not nest them here.
            self.loop.call_soon(self._next)
        else:
            self._rest()

    def close(self) -> None:
        """End the connection once everything written is sent."""
        self._exchange = None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def _rest(self) -> None:
        if self._keep_alive is not None:
            self._idle = self.loop.call_later(self._keep_alive, self.close)

    def _wake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _next(self) -> None:
        if self._exchange is not None or self._transport is None or not self._buffer:
            return
        self._wake()
        try:
            exchange = self._parsed()
        except (ValueError, UnicodeDecodeError):
            self._last = True
            self.write(_head(400, 0, JSON, {"connection": "close"}))
            self.close()
            return
        if exchange is not None:
            self._exchange = exchange
            self._handle(exchange)

    def _parsed(self) -> Exchange | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > _MOST_HEAD:
                raise ValueError("the head is too long")
            return None
        first, *lines = buffer[:end].split(b"\r\n")
        method, target, version = first.split(b" ")
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        start = end + 4
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            chunked = _chunks(buffer, start)
            if chunked is None:
                self._go_on(headers)
                return None
            body, stop = chunked
        else:
            stop = start + int(headers.get(b"content-length", b"0"))
            if not start <= stop <= start + _MOST_BODY:
                raise ValueError("the body is too long")
            if len(buffer) < stop:
                self._go_on(headers)
                return None
            body = buffer[start:stop]
        self._buffer = buffer[stop:]
        wish = headers.get(b"connection", b"").lower()
        self._last = wish == b"close" or (version == b"HTTP/1.0" and wish != b"keep-alive")
        path, _, query = target.decode("ascii").partition("?")
        return Exchange(self, method.decode("ascii"), path, query, headers, body)

    def _go_on(self, headers: dict[bytes, bytes]) -> None:
        # curl waits a second for this before it sends a long body.
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._buffer.endswith(b"\r\n\r\n"):
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _chunks(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(buffer[at:line].split(b";")[0], 16)
        at = line + 2
        if size == 0:
            stop = buffer.find(b"\r\n", at)
            return None if stop < 0 else (b"".join(parts), stop + 2)
        if len(buffer) < at + size + 2:
            return None
        parts.append(buffer[at : at + size])
        at += size + 2
