"""Asking endpoints: the one way in which teachers, judges and candidate models are asked.

    async with open_asking(params, progress) as asking:
        answer = await asking.ask(params.teacher, Request(unit, messages))

- What is on record is not asked again: `Asking.ask` looks into the ledger first, and two who ask the same at the same time
  share one request.
- Whatever comes back is recorded, durably, before anybody judges it; also if the one who asked has gone meanwhile.
- The first error that no request can get around (a wrong key, no credit, the budget) ends the run: nothing more is sent,
  what is in flight is received and recorded.

How a request is sent is a `Backend`'s affair: HTTP (`online`), the provider's Batch API (`batch`), vLLM in this process.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from watari.artifact.hashing import hash_bytes
from watari.artifact.stage import Progress
from watari.endpoint.failures import refusal
from watari.endpoint.params import AskingParams
from watari.endpoint.reading import Read, read_reply
from watari.endpoint.request import Answer, AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.endpoint.through import PLACE, WINDOW, work_through
from watari.errors import Interrupted, UserError, WatariError

if TYPE_CHECKING:
    from watari.endpoint.ledger import Ledger, Recorded

__all__ = ["Asking", "Backend", "open_asking", "work_through"]

_STOPPED = "stopped as asked; every answer is on record, run the same command to go on"
_TICK = 0.2
_BATCH_WINDOW = 50_000
"""Rows in work where a batch endpoint is asked: the most requests that OpenAI takes in one batch."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer that is on record and, since its backend had to look into it anyway, what was read from it."""

    recorded: Recorded
    read: Read


@dataclass(slots=True)
class _Asked:
    """A question that is being answered, and those who wait for it."""

    task: asyncio.Task[None] | None = None
    waiting: list[asyncio.Future[Answer]] = field(default_factory=list)


class Backend(Protocol):
    """A way to have requests answered; one object for all endpoints of its kind in a run."""

    async def send(
        self, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> Recorded | Received:
        """Have `body` answered and recorded, as often as it takes, and return the answer that is on record.

        Args:
            endpoint: Who is asked.
            request: What the attempt is recorded under: unit, row, rung, purpose.
            body: The JSON body; holds no secret.
            key: The question's identity in the ledger.
            order: Its age: smaller goes first.

        Raises:
            AskFailed: if this request cannot be answered.
            WatariError: if no request can.
        """

    def spending(self) -> dict[str, dict[str, Any]]:
        """Return what was sent and what came of it, by endpoint label."""

    def close(self, error: WatariError) -> None:
        """Send nothing more; `error` is raised to all who wait."""

    async def end(self) -> None:
        """Wait for what is in flight and free everything."""


@runtime_checkable
class Outages(Protocol):
    """A backend that knows which servers are down."""

    def down(self) -> set[str]:
        """Return the addresses of servers that have stopped answering."""


class Asking:
    """Asks endpoints, from the ledger where it can.

    Args:
        params: Budgets, label and endpoints of the stage.
        ledger: Where everything is recorded.
        progress: Is looked at for the user's wish to stop.
    """

    def __init__(self, params: AskingParams, ledger: Ledger, progress: Progress) -> None:
        self.ledger = ledger
        self.params = params
        self._progress = progress
        self._asked: dict[str, _Asked] = {}
        self._recorded: dict[str, int] = {}
        self._orders = itertools.count()
        self._backends: dict[str, Backend] = {}
        self._servers = ExitStack()
        self._over: WatariError | None = None
        # A new ledger need not be searched for what was refused before.
        self._had_failures = bool(ledger.rows("SELECT 1 FROM attempt LIMIT 1"))
        self._watch: asyncio.Task[None] | None = None

    @property
    def window(self) -> int:
        """Rows that should be in work at once for the endpoints of these parameters: what `work_through` is given."""
        waiting = any(endpoint.backend != "online" for endpoint in self.params.endpoints())
        return _BATCH_WINDOW if waiting else WINDOW

    async def ask(self, endpoint: Endpoint, request: Request) -> Answer:
        """Return the answer to `request`; nothing is sent if it is on record.

        Raises:
            AskFailed: if this request cannot be answered (see there for the codes).
            UserError, StageFailed: if no request can: a wrong key, no credit, the budget, a ledger that cannot be written.
            Interrupted: if the user asked to stop.
        """
        body = request.body(endpoint)
        again = request.again + self.ledger.generation(request.unit)
        key = request.key(body) if again == request.again else _key(request, again, body)
        asked = self._asked.get(key)
        if asked is None:
            found = self.ledger.find(key)
            if found is not None:
                label = endpoint.label
                self._recorded[label] = self._recorded.get(label, 0) + 1
                return _answer(endpoint, key, found, read_reply(found.response, endpoint.api), recorded=True)
            if self._had_failures and (failure := self.ledger.failure(key)) is not None:
                refused = refusal(failure)
                if refused is not None:
                    raise refused
            if self._over is not None:
                raise self._over
            place = PLACE.get()
            order = next(self._orders) if place is None else place
            asked = self._asked[key] = _Asked()
            asked.task = asyncio.get_running_loop().create_task(
                self._serve(asked, endpoint, request, body, key, order)
            )
        # The one who asks may be cancelled; the answer is paid for and is recorded all the same.
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked.waiting.append(waiter)
        return await waiter

    async def _serve(
        self, asked: _Asked, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> None:
        """Have it answered, and tell all who wait for it."""
        answer: Answer | None = None
        error: BaseException | None = None
        try:
            answer = await self._send(endpoint, request, body, key, order)
        except asyncio.CancelledError:
            raise
        except BaseException as raised:
            error = raised
            if isinstance(error, WatariError) and not isinstance(error, AskFailed):
                self.stop(error)
        finally:
            del self._asked[key]
            for waiter in asked.waiting:
                if waiter.done():
                    continue
                if answer is not None:
                    waiter.set_result(answer)
                elif error is not None:
                    waiter.set_exception(error)
                else:
                    waiter.cancel()

    async def _send(
        self, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> Answer:
        backend = self._backends.get(endpoint.backend) or self._backend(endpoint)
        sent = await backend.send(endpoint, request, body, key, order)
        if isinstance(sent, Received):
            return _answer(endpoint, key, sent.recorded, sent.read, recorded=False)
        return _answer(endpoint, key, sent, read_reply(sent.response, endpoint.api), recorded=False)

    def _backend(self, endpoint: Endpoint) -> Backend:
        backend: Backend
        if endpoint.backend == "online":
            from watari.endpoint.online import Online

            backend = Online(self.ledger, self.params, self._servers)
        elif endpoint.backend == "batch":
            from watari.endpoint.batch import BatchBackend

            backend = BatchBackend(self.ledger, self.params, self._servers)
        else:
            from watari.endpoint.offline import OfflineBackend

            backend = OfflineBackend(self.ledger, self.params, self._servers)
        self._backends[endpoint.backend] = backend
        return backend

    def stop(self, error: WatariError) -> None:
        """Send nothing more: `error` is raised to all who ask or wait. The first one given stays."""
        if self._over is None:
            self._over = error
            for backend in self._backends.values():
                backend.close(error)

    def spending(self) -> dict[str, Any]:
        """Return for each endpoint what was sent in this run and what came from the ledger: for `performance`.

        Keys: requests, answered, recorded (found on record, nothing sent), prompt_tokens, completion_tokens, cost, limited
        (429s), errors, peak (most in flight at once).
        """
        told: dict[str, dict[str, Any]] = {}
        for backend in self._backends.values():
            told |= backend.spending()
        for label, count in self._recorded.items():
            told.setdefault(label, {"requests": 0})["recorded"] = count
        return dict(sorted(told.items()))

    async def _watching(self) -> None:
        down: set[str] = set()
        while not self._progress.stop_requested():
            await asyncio.sleep(_TICK)
            online = self._backends.get("online")
            now: set[str] = online.down() if isinstance(online, Outages) else set()
            for place in sorted(now - down):
                self._progress.log(f"{place} has stopped answering; it is tried again at least once a minute")
            for place in sorted(down - now):
                self._progress.log(f"{place} answers again")
            down = now
        self.stop(Interrupted(_STOPPED))

    async def __aenter__(self) -> Asking:
        self._watch = asyncio.get_running_loop().create_task(self._watching())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for the answers in flight and record them."""
        assert self._watch is not None
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch
        self.stop(Interrupted(_STOPPED))
        try:
            while self._asked:
                await asyncio.wait([asked.task for asked in self._asked.values() if asked.task])
                await asyncio.sleep(0)
        finally:
            for backend in self._backends.values():
                await backend.end()
            self._servers.close()


@asynccontextmanager
async def open_asking(
    params: AskingParams, progress: Progress, *, ledger: Ledger | None = None
) -> AsyncIterator[Asking]:
    """Open the ledger and everything that is needed to ask the endpoints of `params`.

    Args:
        params: The stage's parameters.
        progress: Of the stage.
        ledger: One that is open already; it is not closed here. Default: the one that `params.ledger` names.

    Raises:
        UserError: if no ledger is named.
    """
    own = None
    if ledger is None:
        from watari.endpoint.ledger import open_ledger

        if params.ledger is None:
            raise UserError(
                "no ledger is named, and nothing is asked that is not recorded",
                "give `ledger`: a path, or postgresql://host/base",
            )
        ledger = own = open_ledger(params.ledger)
    try:
        with _rarer_collections():
            async with Asking(params, ledger, progress) as asking:
                yield asking
    finally:
        if own is not None:
            own.close()


@contextmanager
def _rarer_collections() -> Iterator[None]:
    """Have Python look for cycles less often: thousands of requests in flight live long, and each look walks over them.

    By default every 700 new objects: a third of the processor time of a row.
    """
    before = gc.get_threshold()
    if not before[0]:  # somebody has switched it off
        yield
        return
    gc.set_threshold(max(before[0], 50_000), 20, before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _key(request: Request, again: int, body: Mapping[str, Any]) -> str:
    import orjson

    return hash_bytes(orjson.dumps([request.unit, again, body], option=orjson.OPT_SORT_KEYS))


def _answer(endpoint: Endpoint, key: str, found: Recorded, read: Read, *, recorded: bool) -> Answer:
    if read.problem:
        raise AskFailed("unreadable answer", read.problem, found.attempt)
    answer = Answer(
        attempt=found.attempt,
        key=key,
        model=read.model or endpoint.model,
        choices=read.choices,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        cost=found.cost,
        seconds=found.seconds,
        recorded=recorded,
    )
    if answer.finish_reason == "content_filter" and not any(choice.text for choice in answer.choices):
        raise AskFailed("content filter", "the server's filter let nothing through", found.attempt)
    return answer
