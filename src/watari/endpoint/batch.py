"""The Batch API as a backend: requests are gathered, sent as one file, and answered within a day at a lower price.

Requests gather until none has come for a moment, or a batch is full. However a batch ends (completed, expired, cancelled),
what was answered is read and recorded, and only the rest is asked again. A batch belongs to the ledger, not to the process:
who comes after a kill -9 attaches to it. Of prices, the endpoint's `price` is what its batches cost.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import orjson

from watari.endpoint.batch_notes import Line
from watari.endpoint.batch_queue import BatchQueue
from watari.endpoint.batch_reading import Counts
from watari.endpoint.batch_service import BatchService
from watari.endpoint.budget import Purse, check_budget, worst_case
from watari.endpoint.http import open_session
from watari.endpoint.ledger.records import Recorded
from watari.endpoint.params import AskingParams
from watari.endpoint.request import Request
from watari.endpoint.settings import Endpoint
from watari.errors import WatariError

if TYPE_CHECKING:
    import aiohttp

    from watari.endpoint.ledger import Ledger


class BatchBackend:
    """The backend for providers' Batch APIs.

    Args:
        ledger: Where everything is recorded, batches too.
        params: Budgets and label.
        servers: Where replay servers are left to be stopped.
    """

    def __init__(self, ledger: Ledger, params: AskingParams, servers: ExitStack) -> None:
        self.ledger = ledger
        self.params = params
        self.purse = Purse(ledger, params.label, params.budget, params.run_budget)
        self._servers = servers
        self._session: aiohttp.ClientSession | None = None
        self._queues: dict[str, asyncio.Task[BatchQueue]] = {}
        self._addresses: dict[str, str] = {}
        self._over: WatariError | None = None

    async def send(
        self, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> Recorded:
        """See `Backend.send`."""
        check_budget(endpoint, body, (self.params.budget, self.params.run_budget))
        name = endpoint.model_dump_json()
        opening = self._queues.get(name)
        if opening is None:
            opening = self._queues[name] = asyncio.get_running_loop().create_task(self._opened(endpoint))
        queue = await asyncio.shield(opening)
        if self._over is not None:
            raise self._over
        line = Line(key, request.unit, request.row, request.rung, request.purpose, orjson.dumps(body))
        return await queue.ask(line, worst_case(endpoint, body))

    def spending(self) -> dict[str, dict[str, Any]]:
        """See `Backend.spending`."""
        told = {}
        for opening in self._queues.values():
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                queue = opening.result()
                told[queue.endpoint.label] = {
                    name: getattr(queue.counts, name) for name in Counts.__dataclass_fields__
                }
        return told

    def close(self, error: WatariError) -> None:
        """See `Backend.close`. Batches at the provider go on; the next run attaches to them."""
        if self._over is None:
            self._over = error
            for queue in self._open_queues():
                queue.stop(error)

    async def end(self) -> None:
        """See `Backend.end`."""
        for opening in self._queues.values():
            await asyncio.gather(opening, return_exceptions=True)
        for queue in self._open_queues():
            await queue.end()
        if self._session is not None:
            await self._session.close()
        await self.purse.close()

    def _open_queues(self) -> list[BatchQueue]:
        return [
            opening.result()
            for opening in self._queues.values()
            if opening.done() and not opening.cancelled() and opening.exception() is None
        ]

    async def _opened(self, endpoint: Endpoint) -> BatchQueue:
        base_url = self._addresses.get(endpoint.base_url)
        if base_url is None:
            base_url = endpoint.base_url
            if base_url.startswith("replay://"):
                from watari.endpoint.replay import serving

                base_url = self._servers.enter_context(serving(base_url))
            self._addresses[endpoint.base_url] = base_url
        if self._session is None:
            self._session = open_session()
        if endpoint.key_env is not None:
            import os

            self.ledger.hide(os.environ.get(endpoint.key_env, "").strip())
        service = BatchService(endpoint, base_url, self._session)
        queue = BatchQueue(self, endpoint, service)
        await queue.attach()
        return queue
