"""The Batch API as a backend: requests are gathered, sent as one file, and answered within a day at a lower price.

Requests gather until none has come for a moment, or a batch is full. However a batch ends (completed, expired, cancelled),
what was answered is read and recorded, and only the rest is asked again. A batch belongs to the ledger, not to the process:
who comes after a kill -9 attaches to it. Of prices, the endpoint's `price` is what its batches cost.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from watari.endpoint import batch_notes as notes
from watari.endpoint.batch_notes import Line, Note
from watari.endpoint.batch_service import PATHS, BatchService, BatchState
from watari.endpoint.budget import BudgetSpent, Hold, Purse, check_budget, worst_case
from watari.endpoint.failures import Outcome, classify
from watari.endpoint.http import Reply, open_session
from watari.endpoint.ledger.records import NOTHING, Amounts, Attempt, Recorded, Spend, added
from watari.endpoint.params import AskingParams
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, WatariError

if TYPE_CHECKING:
    import aiohttp

    from watari.endpoint.ledger import Ledger

MOST_REQUESTS = 50_000
MOST_BYTES = 190_000_000
"""OpenAI's limits of a batch are 50,000 requests and 200 MB."""

_QUIET = 1.0
"""Seconds without a new request after which a batch is sent."""

_FIRST_LOOK, _LAST_LOOK = 0.5, 30.0
_FULL = 60.0
"""Seconds to wait where the provider has too much of ours queued."""

_FAILED_IN_A_ROW = 3
_AT_ONCE = 1000


@dataclass
class _Asked:
    """A request that waits for its answer."""

    line: Line
    worst: Amounts
    hold: Hold | None
    future: asyncio.Future[Recorded]
    tries: int = 0
    sent: bool = False


@dataclass
class _Counts:
    requests: int = 0
    answered: int = 0
    limited: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    batches: int = 0
    attached: int = 0


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
        self._queues: dict[str, asyncio.Task[_Queue]] = {}
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
                    name: getattr(queue.counts, name) for name in _Counts.__dataclass_fields__
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

    def _open_queues(self) -> list[_Queue]:
        return [
            opening.result()
            for opening in self._queues.values()
            if opening.done() and not opening.cancelled() and opening.exception() is None
        ]

    async def _opened(self, endpoint: Endpoint) -> _Queue:
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
        queue = _Queue(self, endpoint, service)
        await queue.attach()
        return queue


@dataclass
class _Batch:
    """A batch under way.

    Args:
        token: Our name for it.
        lines: Its questions by key.
        waiting: Who waits for them.
        hold: For an attached one: what was set aside for all of it.
    """

    token: str
    lines: dict[str, Line]
    waiting: dict[str, _Asked] = field(default_factory=dict)
    hold: Hold | None = None
    ended: bool = False
    read: bool = False


class _Queue:
    """The batches of one endpoint."""

    def __init__(self, backend: BatchBackend, endpoint: Endpoint, service: BatchService) -> None:
        self.endpoint = endpoint
        self.counts = _Counts()
        self._backend = backend
        self._ledger = backend.ledger
        self._label = backend.params.label
        self._service = service
        self._gathering: dict[str, _Asked] = {}
        self._bytes = 0
        self._came = asyncio.Event()
        self._last = 0.0
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: dict[str, asyncio.Task[None]] = {}
        self._gatherer: asyncio.Task[None] | None = None
        self._most = MOST_REQUESTS
        self._failed = 0
        self._over: WatariError | None = None

    async def ask(self, line: Line, worst: Spend) -> Recorded:
        """Have a question answered with the next batch, or with one that has it already."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Recorded] = loop.create_future()
        for batch in self._batches.values():
            if line.key in batch.lines and not batch.read:
                # Of a run before: what it may cost is set aside already.
                asked = batch.waiting[line.key] = _Asked(line, worst.amounts, None, future, sent=True)
                return await self._answer(asked)
        hold = await self._backend.purse.hold(worst)
        if self._over is not None:
            hold.release()
            raise self._over
        asked = _Asked(line, worst.amounts, hold, future)
        self._gather(asked)
        return await self._answer(asked)

    async def _answer(self, asked: _Asked) -> Recorded:
        try:
            found = await asked.future
        except AskFailed:
            if asked.hold is not None:
                asked.hold.settle()
            raise
        except BaseException:
            # What is at the provider stays held, and so counts as spent until somebody attaches to the batch.
            if asked.hold is not None and not asked.sent:
                asked.hold.release()
            raise
        if asked.hold is not None:
            asked.hold.settle()
        return found

    def _gather(self, asked: _Asked) -> None:
        asked.sent = False
        self._gathering[asked.line.key] = asked
        self._bytes += len(asked.line.request) + 200
        self._last = asyncio.get_running_loop().time()
        self._came.set()
        if self._gatherer is None or self._gatherer.done():
            self._gatherer = asyncio.get_running_loop().create_task(self._gathered())

    async def _gathered(self) -> None:
        """Send batches of what has gathered, until nothing is left."""
        loop = asyncio.get_running_loop()
        while self._gathering and self._over is None:
            full = len(self._gathering) >= self._most or self._bytes >= MOST_BYTES
            quiet = loop.time() - self._last
            if not full and quiet < _QUIET:
                self._came.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._came.wait(), _QUIET - quiet)
                continue
            self._submit(self._cut())

    def _cut(self) -> list[_Asked]:
        """Take as many as a batch may hold."""
        taken: list[_Asked] = []
        size = 0
        for asked in list(self._gathering.values()):
            length = len(asked.line.request) + 200
            if taken and (len(taken) >= self._most or size + length > MOST_BYTES):
                break
            del self._gathering[asked.line.key]
            self._bytes -= length
            size += length
            taken.append(asked)
        return taken

    def _submit(self, taken: list[_Asked]) -> None:
        token = f"{self._ledger.holder.name}-{secrets.token_hex(8)}"
        batch = _Batch(token, {asked.line.key: asked.line for asked in taken})
        for asked in taken:
            asked.sent = True
            batch.waiting[asked.line.key] = asked
        self._start(batch, self._made(batch))

    def _start(self, batch: _Batch, work: Any) -> None:
        self._batches[batch.token] = batch
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._guarded(batch, work))
        self._following[batch.token] = task
        task.add_done_callback(lambda _: self._following.pop(batch.token, None))

    async def _guarded(self, batch: _Batch, work: Any) -> None:
        try:
            await work
        except WatariError as error:
            self._refuse(batch.waiting.values(), error)
            self._backend.close(error)
        except BaseException as error:
            self._refuse(batch.waiting.values(), error)
            raise

    async def _made(self, batch: _Batch) -> None:
        """Write down, upload, create, follow."""
        worst = NOTHING
        for asked in batch.waiting.values():
            worst = added(worst, asked.worst)
        lines = list(batch.lines.values())
        await notes.begin(
            self._ledger, batch.token, self._label, self.endpoint.label, self.endpoint.base_url, lines, worst
        )
        file = await self._service.upload(f"watari-{batch.token}.jsonl", self._file(lines))
        await notes.note(self._ledger, batch.token, "uploaded", file_id=file)
        state = await self._service.create(batch.token, file)
        await notes.note(self._ledger, batch.token, "created", batch_id=state.id)
        self.counts.batches += 1
        self.counts.requests += len(lines)
        await self._follow(batch, state)

    def _file(self, lines: Iterable[Line]) -> bytes:
        path = PATHS[self.endpoint.api]
        return b"".join(
            b'{"custom_id":%s,"method":"POST","url":%s,"body":%s}\n'
            % (orjson.dumps(line.key), orjson.dumps(path), line.request)
            for line in lines
        )

    async def attach(self) -> None:
        """Take up the batches that processes which are gone have left."""
        left = notes.unread(self._ledger, self._label, self.endpoint.base_url, self.endpoint.label)
        for one in left:
            state = await (
                self._service.look(one.batch_id) if one.batch_id else self._service.find(one.token, one.made)
            )
            if state is None:
                # It never came to be: nothing was paid, and its questions are asked anew.
                await notes.note(self._ledger, one.token, "abandoned")
                await self._free(one)
                continue
            await notes.note(self._ledger, one.token, "created", batch_id=state.id)
            lines = {line.key: line for line in notes.lines_of(self._ledger, one.token)}
            batch = _Batch(one.token, lines, hold=await self._held(one))
            await notes.hand_over(self._ledger, one.token, self._ledger.holder.name)
            self.counts.attached += 1
            self._start(batch, self._follow(batch, state))

    async def _free(self, one: Note) -> None:
        """What was set aside for a batch that never came to be is free again."""
        await self._backend.purse.take_over(one.holder, one.amounts)

    async def _held(self, one: Note) -> Hold | None:
        await self._backend.purse.take_over(one.holder, one.amounts)
        try:
            return await self._backend.purse.hold(Spend.of(one.amounts))
        except BudgetSpent:
            # It is being paid all the same; the budget is spent, and what is recorded will tell.
            return None

    async def _follow(self, batch: _Batch, state: BatchState) -> None:
        """Wait until a batch has ended, and read what came of it."""
        pause = _FIRST_LOOK
        while not state.ended:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_LOOK)
            state = await self._service.look(state.id)
        batch.ended = True
        for file in (state.output, state.errors):
            if file:
                await self._read(batch, await self._service.content(file))
        batch.read = True
        rest = list(batch.waiting.values())
        self._batches.pop(batch.token, None)
        faults = "; ".join(f"line {line}: {message}" for line, _, message in state.faults[:3])
        await notes.note(self._ledger, batch.token, "read", detail=f"{state.status} {faults}".strip())
        if batch.hold is not None:
            batch.hold.settle()
        if state.status == "failed":
            rest = await self._after_failure(batch, rest, state)
        else:
            self._failed = 0
        for asked in rest:
            self._again(asked, f"batch {state.id} {state.status} before it was answered")

    async def _after_failure(self, batch: _Batch, rest: list[_Asked], state: BatchState) -> list[_Asked]:
        """The provider took none of it: refuse the lines that it names, return the others."""
        said = (
            "; ".join(f"{code}: {message}" for _, code, message in state.faults[:3]) or "it does not say why"
        )
        if any("limit" in code or "enqueued" in message.lower() for _, code, message in state.faults):
            # Too much is queued there: smaller, later.
            self._most = max(self._most // 2, 1)
            for asked in rest:
                asked.tries -= 1
            if self._over is None:
                await asyncio.sleep(_FULL)
            return rest
        self._failed += 1
        named = {line: message for line, _, message in state.faults if line}
        if not named or self._failed >= _FAILED_IN_A_ROW:
            raise StageFailed(
                f"endpoint {self.endpoint.label}: the provider refused batch {state.id}: {said}",
                "see the batch at the provider; nothing was paid for it",
            )
        keys = list(batch.lines)
        refused = {keys[line - 1]: message for line, message in named.items() if line <= len(keys)}
        for key, message in refused.items():
            one = batch.waiting.get(key)
            if one is not None and not one.future.done():
                one.future.set_exception(AskFailed("refused by the server", message))
        return [asked for asked in rest if asked.line.key not in refused]

    def _again(self, asked: _Asked, why: str) -> None:
        """Ask with the next batch, unless that was done often enough."""
        asked.tries += 1
        if asked.future.done():
            return
        if self._over is not None:
            asked.sent = False
            asked.future.set_exception(self._over)
        elif asked.tries >= self.endpoint.attempts:
            asked.future.set_exception(AskFailed("gave up", f"{asked.tries} batches; the last: {why}"))
        elif asked.hold is None:
            # It came from an attached batch, whose hold is over.
            task = asyncio.get_running_loop().create_task(self._with_hold(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._gather(asked)

    async def _with_hold(self, asked: _Asked) -> None:
        try:
            asked.hold = await self._backend.purse.hold(Spend.of(asked.worst))
        except WatariError as error:
            asked.future.set_exception(error)
            return
        if self._over is not None:
            asked.sent = False
            asked.future.set_exception(self._over)
        else:
            self._gather(asked)

    async def _read(self, batch: _Batch, content: bytes) -> None:
        """Record every line of an output or error file, and tell who waits for it."""
        lines = content.splitlines()
        for start in range(0, len(lines), _AT_ONCE):
            await asyncio.gather(*(self._read_line(batch, line) for line in lines[start : start + _AT_ONCE]))

    async def _read_line(self, batch: _Batch, text: bytes) -> None:
        try:
            data = orjson.loads(text)
            line = batch.lines.get(data.get("custom_id"))
        except (orjson.JSONDecodeError, AttributeError):
            return  # whose line it was nobody knows: its question is asked again
        if line is None:
            return
        response = data.get("response") or {}
        status = response.get("status_code") or 0
        if not status:
            return  # `batch_expired` and the like: nothing was done with it
        asked = batch.waiting.get(line.key)
        known = self._ledger.find(line.key)
        if known is not None:
            # Recorded before a kill -9 in the midst of reading.
            self._tell(batch, asked, known)
            return
        body = orjson.dumps(response.get("body"))
        outcome = classify(self.endpoint, Reply(int(status), body, {}, "", "", time.time(), 0.0))
        attempt = self._attempt(line, outcome, int(status), body)
        number = await self._ledger.record(attempt)
        if outcome.sort == "answered":
            self.counts.answered += 1
            recorded = Recorded(
                number,
                body,
                attempt.model,
                attempt.prompt_tokens,
                attempt.completion_tokens,
                attempt.cost,
                0.0,
            )
            self._tell(batch, asked, recorded)
            return
        self.counts.limited += outcome.sort == "limited"
        self.counts.errors += outcome.sort != "limited"
        if asked is None or asked.future.done():
            return
        if outcome.stop is not None:
            raise outcome.stop
        if outcome.sort == "refused":
            batch.waiting.pop(line.key, None)
            asked.future.set_exception(AskFailed(outcome.code, outcome.detail, number))

    def _tell(self, batch: _Batch, asked: _Asked | None, recorded: Recorded) -> None:
        batch.waiting.pop(asked.line.key if asked is not None else "", None)
        if asked is not None and not asked.future.done():
            asked.future.set_result(recorded)

    def _attempt(self, line: Line, outcome: Outcome, status: int, body: bytes) -> Attempt:
        usage, endpoint = outcome.read.usage, self.endpoint
        prompt, completion, cost = usage.prompt or 0, usage.completion or 0, usage.cost(endpoint)
        if usage.prompt is None and outcome.sort == "answered":
            worst = worst_case(endpoint, orjson.loads(line.request))
            prompt, completion, cost = worst.tokens, 0, worst.money
        self.counts.prompt_tokens += prompt
        self.counts.completion_tokens += completion
        self.counts.cost += cost
        choices = outcome.read.choices
        return Attempt(
            key=line.key,
            unit=line.unit,
            label=self._label,
            row=line.row,
            rung=line.rung,
            purpose=line.purpose,
            endpoint=endpoint.label,
            model=outcome.read.model or endpoint.model,
            status=outcome.status,
            http=status,
            request=line.request,
            response=body,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost=cost,
            sent=time.time(),
            seconds=0.0,
            detail=f"{outcome.code}: {outcome.detail}" if outcome.code else outcome.detail,
            finish_reason=choices[0].finish_reason if choices else "",
        )

    def stop(self, error: WatariError) -> None:
        """Send nothing more; who waits is told."""
        if self._over is None:
            self._over = error
            self._came.set()
            self._refuse(self._gathering.values(), error)
            for batch in self._batches.values():
                self._refuse(batch.waiting.values(), error)

    async def end(self) -> None:
        """Leave the batches under way to the next run."""
        following = dict(self._following)
        for token, task in following.items():
            # What has come is read to its end.
            if not self._has_ended(token):
                task.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*following.values(), *self._tasks, return_exceptions=True)
        if self._gatherer is not None:
            await asyncio.gather(self._gatherer, return_exceptions=True)
        for batch in self._batches.values():
            if not batch.read:
                await notes.hand_over(self._ledger, batch.token, f"{self._ledger.holder.name} given up")

    def _has_ended(self, token: str) -> bool:
        batch = self._batches.get(token)
        return batch is None or batch.ended

    @staticmethod
    def _refuse(waiting: Iterable[_Asked], error: BaseException) -> None:
        for asked in list(waiting):
            if not asked.future.done():
                asked.future.set_exception(error)
