"""One HTTP request: bytes out, bytes in, and in plain words what went wrong.

Nothing is raised for what a network or a server does, and nothing that has arrived is thrown away: a reply that breaks off
is given back as far as it came. Redirects are not followed, since a key would travel with them.
"""

from __future__ import annotations

import asyncio
import os
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

import watari
from watari.endpoint.deadlines import Deadlines
from watari.endpoint.settings import Endpoint, Patience
from watari.errors import UserError

LARGEST = 64 << 20
"""Bytes of a reply at most: a server that never stops is broken."""

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept. uvicorn, and so vLLM, closes them after 5, and who is late meets a closed door."""

Trouble = Literal["", "no connection", "connection lost", "timeout", "too large"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Args:
        status: The HTTP status; 0: there was none.
        body: The bytes as they were received (decompressed), maybe only the first part.
        headers: Of the reply.
        trouble: "" if the reply is whole.
        detail: What the trouble was, in words, without anything secret.
        sent: Unix time.
        seconds: From sending to the last byte.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    trouble: Trouble
    detail: str
    sent: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Door:
    """Where an endpoint's requests go, and with which headers. The key is in here, so nothing of it is ever printed."""

    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    timeout: aiohttp.ClientTimeout
    patience: Patience
    proxy: str | None = field(repr=False)


def door(endpoint: Endpoint, base_url: str) -> Door:
    """Return the door of `endpoint` at `base_url`.

    Raises:
        UserError: if the variable that should hold the key is not set.
    """
    headers: CIMultiDict[str] = CIMultiDict(
        {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"watari/{watari.__version__}",
        }
    )
    if endpoint.key_env is not None:
        key = os.environ.get(endpoint.key_env, "").strip()
        if not key:
            raise UserError(
                f"endpoint {endpoint.label}: the environment variable {endpoint.key_env} is not set",
                f"export {endpoint.key_env}=… with the provider's key",
            )
        if not key.isascii() or not key.isprintable():
            raise UserError(
                f"endpoint {endpoint.label}: {endpoint.key_env} holds characters that no key has",
                "set it again without line breaks and blanks",
            )
        headers["Authorization"] = f"Bearer {key}"
    path = "/chat/completions" if endpoint.api == "chat" else "/completions"
    url = URL(base_url + path)
    return Door(url, headers, _timeout(endpoint.patience), endpoint.patience, _proxy(url))


def _timeout(patience: Patience) -> aiohttp.ClientTimeout:
    """Return what aiohttp itself watches: only new connections. All else are `deadlines`."""
    return aiohttp.ClientTimeout(
        total=None, connect=patience.connect, sock_connect=patience.connect, sock_read=None
    )


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for `url`; looked up once, since it takes longer than a request."""
    host = url.host or ""
    if host in ("127.0.0.1", "localhost", "::1") or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


class _Connector(aiohttp.TCPConnector):
    """Says when a request has its connection."""

    def __init__(self, deadlines: Deadlines, **settings: Any) -> None:
        super().__init__(**settings)
        self._deadlines = deadlines

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        self._deadlines.connected()
        return connection


@dataclass(frozen=True, slots=True)
class Line:
    """A session, and the deadlines of what is in flight in it."""

    session: aiohttp.ClientSession
    deadlines: Deadlines

    async def close(self) -> None:
        """Close its connections."""
        await self.session.close()


def open_line() -> Line:
    """Return a line for `post`."""
    deadlines = Deadlines()
    connector = _Connector(deadlines, **_CONNECTOR)
    return Line(_session(connector), deadlines)


def open_session() -> aiohttp.ClientSession:
    """Return a session without a limit of its own: how many are in flight is the dispatcher's affair."""
    return _session(aiohttp.TCPConnector(**_CONNECTOR))


_CONNECTOR: dict[str, Any] = {"limit": 0, "keepalive_timeout": KEEP_ALIVE, "ttl_dns_cache": 300}


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True, trust_env=False
    )


async def post(line: Line, where: Door, payload: bytes) -> Reply:
    """Send `payload` and return what comes back. Only a cancellation is raised."""
    sent, started = time.time(), time.perf_counter()
    status = size = 0
    parts: list[bytes] = []
    headers: Mapping[str, str] = {}
    trouble: Trouble = ""
    detail = ""
    deadlines = line.deadlines
    deadline = deadlines.begin(where.patience.read, where.patience.overall)
    given_up = False
    try:
        try:
            response = await line.session.post(
                where.url,
                # As what aiohttp takes bytes for, after it has looked.
                data=aiohttp.BytesPayload(payload, content_type="application/json"),
                headers=where.headers,
                timeout=where.timeout,
                allow_redirects=False,
                proxy=where.proxy,
            )
            status, headers, content = response.status, response.headers, response.content
            try:
                while True:
                    deadlines.heard(deadline)
                    part = await content.readany()
                    if not part:
                        break
                    parts.append(part)
                    size += len(part)
                    if size > LARGEST:
                        trouble, detail = "too large", f"more than {LARGEST >> 20} MiB"
                        break
            finally:
                if not content.at_eof():
                    response.close()
        finally:
            given_up = deadlines.end(deadline)
    except asyncio.CancelledError:
        if not given_up:
            raise
        trouble, detail = "timeout", deadline.passed
    except TimeoutError as error:
        trouble = "no connection" if isinstance(error, aiohttp.ConnectionTimeoutError) else "timeout"
        detail = _words(error)
    except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
        trouble, detail = "no connection", _words(error)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # ValueError: header lines that are none. All of them may come in the midst of a reply.
        trouble, detail = "connection lost", _words(error)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return Reply(status, body, headers, trouble, detail, sent, time.perf_counter() - started)


def _words(error: BaseException) -> str:
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
