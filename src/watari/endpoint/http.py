"""One HTTP request: bytes out, bytes in, and in plain words what went wrong.

Nothing is raised for what a network or a server does, and nothing that has arrived is thrown away: a reply that breaks off
is given back as far as it came. Redirects are not followed, since a key would travel with them.
"""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from multidict import CIMultiDict
from yarl import URL

import watari
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
    return Door(url, headers, _timeout(endpoint.patience), _proxy(url))


def _timeout(patience: Patience) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=patience.overall,
        connect=patience.connect,
        sock_connect=patience.connect,
        sock_read=patience.read,
    )


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for `url`; looked up once, since it takes longer than a request."""
    host = url.host or ""
    if host in ("127.0.0.1", "localhost", "::1") or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


def open_session() -> aiohttp.ClientSession:
    """Return a session without a limit of its own: how many are in flight is the dispatcher's affair."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=300)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True, trust_env=False
    )


async def post(session: aiohttp.ClientSession, where: Door, payload: bytes) -> Reply:
    """Send `payload` and return what comes back. Only a cancellation is raised."""
    sent, started = time.time(), time.perf_counter()
    status, parts, size = 0, [], 0
    headers: Mapping[str, str] = {}
    trouble: Trouble = ""
    detail = ""
    try:
        async with session.post(
            where.url,
            data=payload,
            headers=where.headers,
            timeout=where.timeout,
            allow_redirects=False,
            proxy=where.proxy,
        ) as response:
            status, headers = response.status, response.headers
            read = response.content.readany
            while part := await read():
                parts.append(part)
                size += len(part)
                if size > LARGEST:
                    trouble, detail = "too large", f"more than {LARGEST >> 20} MiB"
                    break
    except TimeoutError as error:
        trouble = "timeout"
        detail = _words(error) or "the overall deadline has passed"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            trouble = "no connection"
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
