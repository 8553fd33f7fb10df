"""The Batch API as OpenAI has it: files up and down, batches made, listed and looked at.

A call is made again when the network or the server fails, for `patience.unit` seconds. Only `create` may not be repeated
blindly: if its answer is lost, the batch may be there, and be charged. So every batch carries a token of ours in its
metadata, and is looked for under it first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from watari.artifact.draws import draw_uniform
from watari.endpoint.batch_notes import Line
from watari.endpoint.failures import classify
from watari.endpoint.http import Reply, door
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed

METADATA = "watari"
"""The name of our token in a batch's metadata."""

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
_LONGEST_PAUSE = 30.0
_PAGE = 100


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as the provider tells it.

    Args:
        id: Its name there.
        status: `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `expired`, `cancelling`, `cancelled`.
        output, errors: Names of the files with answers and with errors; "" if there is none.
        faults: Of a failed batch: (line, code, message); line 0 where it names none.
    """

    id: str
    status: str
    output: str
    errors: str
    faults: tuple[tuple[int, str, str], ...] = ()

    @property
    def ended(self) -> bool:
        """True if nothing will change any more."""
        return self.status in ("completed", "failed", "expired", "cancelled")


class BatchService:
    """The Batch API of one endpoint.

    Args:
        endpoint: Whose.
        base_url: Where, up to and including /v1.
        session: To send with.
    """

    def __init__(self, endpoint: Endpoint, base_url: str, session: aiohttp.ClientSession) -> None:
        self._endpoint = endpoint
        self._base = base_url
        self._session = session
        self._door = door(endpoint, base_url)

    def file_of(self, lines: Iterable[Line]) -> bytes:
        """Return an input file that asks the questions."""
        path = PATHS[self._endpoint.api]
        return b"".join(
            b'{"custom_id":%s,"method":"POST","url":%s,"body":%s}\n'
            % (orjson.dumps(line.key), orjson.dumps(path), line.request)
            for line in lines
        )

    async def upload(self, name: str, lines: bytes) -> str:
        """Upload an input file and return its name at the provider."""

        def form() -> aiohttp.FormData:
            data = aiohttp.FormData()
            data.add_field("purpose", "batch")
            data.add_field("file", lines, filename=name, content_type="application/jsonl")
            return data

        return str((await self._json("POST", "/files", data=form))["id"])

    async def create(self, token: str, file: str) -> BatchState:
        """Make the batch, unless one with this token is there already."""
        body = orjson.dumps(
            {
                "input_file_id": file,
                "endpoint": PATHS[self._endpoint.api],
                "completion_window": "24h",
                "metadata": {METADATA: token},
            }
        )
        until = time.monotonic() + self._endpoint.patience.unit
        pauses = 0
        while True:
            reply = await self._send("POST", "/batches", data=lambda: body)
            if reply.status == 200 and not reply.trouble:
                return _state(orjson.loads(reply.body))
            await self._pause(reply, pauses, until)
            pauses += 1
            found = await self.find(token, 0.0)
            if found is not None:
                return found

    async def find(self, token: str, since: float) -> BatchState | None:
        """Return the batch with our token, if the provider has it; older ones than `since` (Unix time) are not looked at."""
        after = ""
        while True:
            page = await self._json("GET", f"/batches?limit={_PAGE}{after}")
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                if (one.get("metadata") or {}).get(METADATA) == token:
                    return _state(one)
            # The newest come first; an hour for clocks that differ.
            if not page.get("has_more") or not listed or listed[-1].get("created_at", since) < since - 3600:
                return None
            after = f"&after={listed[-1]['id']}"

    async def look(self, batch: str) -> BatchState:
        """Return how a batch is."""
        return _state(await self._json("GET", f"/batches/{batch}"))

    async def content(self, file: str) -> bytes:
        """Return a file."""
        return (await self._call("GET", f"/files/{file}/content")).body

    async def _json(self, method: str, path: str, data: Callable[[], Any] | None = None) -> dict[str, Any]:
        reply = await self._call(method, path, data)
        try:
            found = orjson.loads(reply.body)
            if isinstance(found, dict):
                return found
        except orjson.JSONDecodeError:
            pass
        raise StageFailed(f"{self._where}: {method} {path.split('?')[0]}: the answer is no JSON object")

    @property
    def _where(self) -> str:
        return f"endpoint {self._endpoint.label} ({self._endpoint.base_url}, Batch API)"

    async def _call(self, method: str, path: str, data: Callable[[], Any] | None = None) -> Reply:
        until = time.monotonic() + self._endpoint.patience.unit
        pauses = 0
        while True:
            reply = await self._send(method, path, data)
            if reply.status == 200 and not reply.trouble:
                return reply
            await self._pause(reply, pauses, until)
            pauses += 1

    async def _send(self, method: str, path: str, data: Callable[[], Any] | None) -> Reply:
        sent, started = time.time(), time.perf_counter()
        status, body, detail = 0, b"", ""
        headers = self._door.headers.copy()
        given = data() if data is not None else None
        if isinstance(given, aiohttp.FormData):
            # Its own content type has the boundary.
            del headers["Content-Type"]
        try:
            async with self._session.request(
                method,
                self._base + path,
                data=given,
                headers=headers,
                timeout=aiohttp.ClientTimeout(
                    connect=self._endpoint.patience.connect, sock_read=self._endpoint.patience.read
                ),
                allow_redirects=False,
                proxy=self._door.proxy,
            ) as response:
                status = response.status
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"[:200]
        trouble = "connection lost" if detail else ""
        return Reply(status, body, {}, trouble, detail, sent, time.perf_counter() - started)  # type: ignore[arg-type]

    async def _pause(self, reply: Reply, pauses: int, until: float) -> None:
        """Wait before the call is made again.

        Raises:
            UserError, StageFailed: if that is of no use, or it has been long enough.
        """
        outcome = classify(self._endpoint, reply)
        if outcome.stop is not None:
            raise outcome.stop
        if outcome.sort == "refused":
            raise StageFailed(f"{self._where}: {outcome.detail}")
        pause = min(0.5 * 2.0 ** min(pauses, 10), _LONGEST_PAUSE)
        pause *= 0.5 + 0.5 * draw_uniform(pauses, "batch", self._base)
        if time.monotonic() + pause > until:
            raise StageFailed(
                f"{self._where} does not answer: {outcome.detail or reply.detail}",
                "run the same command again: batches that were made are found again",
            )
        await asyncio.sleep(pause)


def _state(data: dict[str, Any]) -> BatchState:
    listed = (data.get("errors") or {}).get("data") or ()
    faults = tuple(
        (
            int(one.get("line") or 0),
            str(one.get("code") or ""),
            " ".join(str(one.get("message") or "").split())[:300],
        )
        for one in listed
        if isinstance(one, dict)
    )
    return BatchState(
        str(data["id"]),
        str(data.get("status")),
        str(data.get("output_file_id") or ""),
        str(data.get("error_file_id") or ""),
        faults,
    )
