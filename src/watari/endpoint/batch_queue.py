"""The batches of one endpoint: sent, followed to their end, taken up after a kill -9; what is left is asked again."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from watari.endpoint import batch_notes as notes
from watari.endpoint.batch_gathering import Asked, Batch, Gathering, refuse
from watari.endpoint.batch_notes import Line, Note
from watari.endpoint.batch_reading import BatchReader, Counts
from watari.endpoint.batch_service import BatchService, BatchState
from watari.endpoint.budget import BudgetSpent, Hold
from watari.endpoint.ledger.records import NOTHING, Recorded, Spend, added
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, WatariError

if TYPE_CHECKING:
    from watari.endpoint.batch import BatchBackend

FIRST_LOOK, LAST_LOOK = 0.5, 30.0
_FULL = 60.0
"""Seconds to wait where the provider has too much of ours queued."""

_FAILED_IN_A_ROW = 3


class BatchQueue:
    """The batches of one endpoint."""

    def __init__(self, backend: BatchBackend, endpoint: Endpoint, service: BatchService) -> None:
        self.endpoint = endpoint
        self.counts = Counts()
        self._backend = backend
        self._ledger = backend.ledger
        self._label = backend.params.label
        self._service = service
        self._reader = BatchReader(self._ledger, self._label, endpoint, self.counts)
        self._gathering = Gathering()
        self._batches: dict[str, Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: dict[str, asyncio.Task[None]] = {}
        self._gatherer: asyncio.Task[None] | None = None
        self._failed = 0
        self._over: WatariError | None = None

    async def ask(self, line: Line, worst: Spend) -> Recorded:
        """Have a question answered with the next batch, or with one that has it already."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Recorded] = loop.create_future()
        for batch in self._batches.values():
            if line.key in batch.lines and not batch.read:
                # Of a run before: what it may cost is set aside already.
                asked = batch.waiting[line.key] = Asked(line, worst.amounts, None, future, sent=True)
                return await self._answer(asked)
        hold = await self._backend.purse.hold(worst)
        if self._over is not None:
            hold.release()
            raise self._over
        asked = Asked(line, worst.amounts, hold, future)
        self._gather(asked)
        return await self._answer(asked)

    async def _answer(self, asked: Asked) -> Recorded:
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

    def _gather(self, asked: Asked) -> None:
        asked.sent = False
        self._gathering.put(asked)
        if self._gatherer is None or self._gatherer.done():
            self._gatherer = asyncio.get_running_loop().create_task(self._gathered())

    async def _gathered(self) -> None:
        """Send batches of what has gathered, until nothing is left."""
        while self._gathering.waiting and self._over is None:
            if await self._gathering.ready():
                self._submit(self._gathering.cut())

    def _submit(self, taken: list[Asked]) -> None:
        token = f"{self._ledger.holder.name}-{secrets.token_hex(8)}"
        batch = Batch(token, {asked.line.key: asked.line for asked in taken})
        for asked in taken:
            asked.sent = True
            batch.waiting[asked.line.key] = asked
        self._start(batch, self._made(batch))

    def _start(self, batch: Batch, work: Any) -> None:
        self._batches[batch.token] = batch
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._guarded(batch, work))
        self._following[batch.token] = task
        task.add_done_callback(lambda _: self._following.pop(batch.token, None))

    async def _guarded(self, batch: Batch, work: Any) -> None:
        try:
            await work
        except WatariError as error:
            refuse(batch.waiting.values(), error)
            self._backend.close(error)
        except BaseException as error:
            refuse(batch.waiting.values(), error)
            raise

    async def _made(self, batch: Batch) -> None:
        """Write down, upload, create, follow."""
        worst = NOTHING
        for asked in batch.waiting.values():
            worst = added(worst, asked.worst)
        lines = list(batch.lines.values())
        await notes.begin(
            self._ledger, batch.token, self._label, self.endpoint.label, self.endpoint.base_url, lines, worst
        )
        file = await self._service.upload(f"watari-{batch.token}.jsonl", self._service.file_of(lines))
        await notes.note(self._ledger, batch.token, "uploaded", file_id=file)
        state = await self._service.create(batch.token, file)
        await notes.note(self._ledger, batch.token, "created", batch_id=state.id)
        self.counts.batches += 1
        self.counts.requests += len(lines)
        await self._follow(batch, state)

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
            batch = Batch(one.token, lines, hold=await self._held(one))
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

    async def _follow(self, batch: Batch, state: BatchState) -> None:
        """Wait until a batch has ended, and read what came of it."""
        pause = FIRST_LOOK
        while not state.ended:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LAST_LOOK)
            state = await self._service.look(state.id)
        batch.ended = True
        for file in (state.output, state.errors):
            if file:
                await self._reader.read(batch, await self._service.content(file))
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

    async def _after_failure(self, batch: Batch, rest: list[Asked], state: BatchState) -> list[Asked]:
        """The provider took none of it: refuse the lines that it names, return the others."""
        said = (
            "; ".join(f"{code}: {message}" for _, code, message in state.faults[:3]) or "it does not say why"
        )
        if any("limit" in code or "enqueued" in message.lower() for _, code, message in state.faults):
            # Too much is queued there: smaller, later.
            self._gathering.most = max(self._gathering.most // 2, 1)
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

    def _again(self, asked: Asked, why: str) -> None:
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

    async def _with_hold(self, asked: Asked) -> None:
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

    def stop(self, error: WatariError) -> None:
        """Send nothing more; who waits is told."""
        if self._over is None:
            self._over = error
            self._gathering.wake()
            refuse(self._gathering.waiting.values(), error)
            for batch in self._batches.values():
                refuse(batch.waiting.values(), error)

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
