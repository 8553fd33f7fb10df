"""What came of a batch: every line of its files recorded, and told to who waits for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from watari.endpoint.batch_gathering import Asked, Batch
from watari.endpoint.batch_notes import Line
from watari.endpoint.budget import worst_case
from watari.endpoint.failures import Outcome, classify
from watari.endpoint.http import Reply
from watari.endpoint.ledger.records import Attempt, Recorded
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint

if TYPE_CHECKING:
    from watari.endpoint.ledger import Ledger

_AT_ONCE = 1000


@dataclass
class Counts:
    requests: int = 0
    answered: int = 0
    limited: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    batches: int = 0
    attached: int = 0


class BatchReader:
    """Reads the files of one endpoint's batches.

    Args:
        ledger: Where it is recorded.
        label: Under which stage.
        endpoint: Who was asked.
        counts: What is counted.
    """

    def __init__(self, ledger: Ledger, label: str, endpoint: Endpoint, counts: Counts) -> None:
        self._ledger = ledger
        self._label = label
        self._endpoint = endpoint
        self._counts = counts

    async def read(self, batch: Batch, content: bytes) -> None:
        """Record every line of an output or error file, and tell who waits for it."""
        lines = content.splitlines()
        for start in range(0, len(lines), _AT_ONCE):
            await asyncio.gather(*(self._read_line(batch, line) for line in lines[start : start + _AT_ONCE]))

    async def _read_line(self, batch: Batch, text: bytes) -> None:
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
        outcome = classify(self._endpoint, Reply(int(status), body, {}, "", "", time.time(), 0.0))
        attempt = self._attempt(line, outcome, int(status), body)
        number = await self._ledger.record(attempt)
        if outcome.sort == "answered":
            self._counts.answered += 1
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
        self._counts.limited += outcome.sort == "limited"
        self._counts.errors += outcome.sort != "limited"
        if asked is None or asked.future.done():
            return
        if outcome.stop is not None:
            raise outcome.stop
        if outcome.sort == "refused":
            batch.waiting.pop(line.key, None)
            asked.future.set_exception(AskFailed(outcome.code, outcome.detail, number))

    def _tell(self, batch: Batch, asked: Asked | None, recorded: Recorded) -> None:
        batch.waiting.pop(asked.line.key if asked is not None else "", None)
        if asked is not None and not asked.future.done():
            asked.future.set_result(recorded)

    def _attempt(self, line: Line, outcome: Outcome, status: int, body: bytes) -> Attempt:
        usage, endpoint = outcome.read.usage, self._endpoint
        prompt, completion, cost = usage.prompt or 0, usage.completion or 0, usage.cost(endpoint)
        if usage.prompt is None and outcome.sort == "answered":
            worst = worst_case(endpoint, orjson.loads(line.request))
            prompt, completion, cost = worst.tokens, 0, worst.money
        self._counts.prompt_tokens += prompt
        self._counts.completion_tokens += completion
        self._counts.cost += cost
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
