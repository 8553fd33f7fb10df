"""`leakage.mine`: rows for `train.repair` (and `train.dpo`) from a model's own leaks.

Responses are scanned; of those that leak every leak is mended, by the model itself with the tokens of wrong scripts
forbidden (`redecoding`) or by a teacher, and looked at again by the detector. Everything else of a response stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from watari.artifact.kinds import Kind
from watari.artifact.params import OneOrMore, OutsidePath, Responses
from watari.artifact.records import Fault, OnError, Policy
from watari.artifact.rows import ROWS, Ledger, RowWriter
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.endpoint.params import AskingParams, ModelOrEndpoint
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.generate.answering_params import Device, LongestAnswer, Sampler, SendSeed
from watari.text.leakage import Licensed

if TYPE_CHECKING:
    from watari.leakage.mining import Mined
    from watari.leakage.scan import Scanned

KIND = "leakage.mine"
UNKNOWN = "its language is not known"
AGAIN = "the same as an earlier row"


class Params(AskingParams):
    """Parameters of `leakage.mine`."""

    data: Annotated[list[Responses], OneOrMore] = Field(
        min_length=1,
        description="responses to mine: generations, evaluations, or the assistant's answers in conversations",
    )
    model: ModelOrEndpoint = Field(
        description="who mends: the stage that made the model which leaks (it writes on from each leak, tokens of wrong "
        "scripts forbidden), or an endpoint, which is asked for the words"
    )
    prompts: OutsidePath | None = Field(
        default=None,
        description="prompts of rows that hold none, one a line; joined by the columns that both have",
    )
    expected: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="ISO 639 code of the language of rows that do not say theirs. Default: what the prompt asks for",
    )
    licensed: Licensed = Field(
        default="none",
        description="what rows that do not say so may hold in other languages: nothing, names, anything",
    )
    on_error: OnError = Field(
        default="stop", description="rows that cannot be read: stop, or drop them into dropped.parquet"
    )
    sampler: Sampler = EndpointSampler()
    longest_answer: LongestAnswer = 1024
    send_seed: SendSeed = True
    device: Device = "auto"


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Mine: `rows.parquet` (preferences with `spans`) in the order of the input, `dropped.parquet`.

    Metrics: rows_in, kept, dropped, dropped_by_reason (clean responses among them); leaking, leaks_mended, by_class.

    Raises:
        UserError: for a row that cannot be read, under `on_error: stop`; a model without a chat template; an endpoint that
            refuses the key.
        StageFailed: if the budget is spent, or a server cannot be asked.
        Interrupted: if asked to stop.
    """
    return asyncio.run(_run(params, inputs, out, progress))


async def _run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    started = time.monotonic()
    reading = _Reading(params, inputs)
    classes: Counter[str] = Counter()
    seen: set[str] = set()
    leaks = mended = kept = 0
    with RowWriter(out / ROWS, Kind.PREFERENCES) as writer:
        async for scanned, found in _mended(params, inputs, reading, progress):
            leaks += 1
            row = found.row
            if row is None or row["id"] in seen:
                reason = AGAIN if row is not None else found.reason
                reading.ledger.drop(reason, id=found.id, detail=found.detail)
                continue
            seen.add(row["id"])
            writer.write(row)
            kept += 1
            mended += len(scanned.events)
            classes.update(event.cls for event in scanned.events)
    metrics: dict[str, Any] = reading.ledger.close(out, rows_in=reading.rows_in, kept=kept)
    metrics |= {"leaking": leaks, "leaks_mended": mended, "by_class": dict(sorted(classes.items()))}
    seconds = time.monotonic() - started
    return StageResult(metrics=metrics, performance={"seconds": round(seconds, 3)})


class _Reading:
    """The responses that leak; the others go into the ledger."""

    def __init__(self, params: Params, inputs: Inputs) -> None:
        self._params = params
        self._inputs = inputs
        self.ledger = Ledger()
        self.rows_in = 0

    def leaking(self) -> Iterator[Scanned]:
        """Yield every response that leaks, in order.

        Raises:
            UserError: for a row that cannot be read, if that stops.
        """
        from watari.leakage.mining import CLEAN
        from watari.leakage.reading import read
        from watari.leakage.scan import scan_row
        from watari.leakage.stage import selected

        policy = Policy(self._params.on_error, self.ledger)
        for artifact in self._inputs.many("data"):
            keep = selected(artifact, self._params.seed)
            for row in read([str(artifact.path)], prompts=self._params.prompts, keep=keep):
                self.rows_in += 1
                if isinstance(row, Fault):
                    policy.settle(row, source=artifact.name)
                    continue
                scanned = scan_row(row, expected=self._params.expected, licensed=self._params.licensed)
                if not scanned.judged:
                    self.ledger.drop(UNKNOWN, id=row.id, source=artifact.name)
                elif not scanned.events:
                    self.ledger.drop(CLEAN, id=row.id, source=artifact.name)
                else:
                    yield scanned


async def _mended(
    params: Params, inputs: Inputs, reading: _Reading, progress: Progress
) -> AsyncIterator[tuple[Scanned, Mined]]:
    from watari.leakage.mining import Teacher, mend

    async def work(scanned: Scanned) -> tuple[Scanned, Mined]:
        return scanned, await mend(scanned, mender, licensed=params.licensed)

    if not isinstance(params.model, Endpoint):
        from watari.generate.local import LocalModel
        from watari.leakage.redecoding import Redecoder

        artifact = inputs.one("model")
        mender: Any = Redecoder(LocalModel(artifact.path, device=params.device), label=artifact.name)
        for count, scanned in enumerate(reading.leaking(), 1):
            stop_if_asked(progress)
            yield await work(scanned)
            progress.update(count, unit="responses")
        return
    from watari.endpoint.asking import open_asking
    from watari.generate.answerer import answerer_of, work_rows

    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(open_asking(params, progress))
        mender = Teacher(answerer_of(params.model, asking, params, None, None), seed=params.seed)
        async for done in work_rows(reading.leaking(), work, asking, progress, rounds=None, chunk=1):
            yield done


STAGE = Stage(kind=KIND, version=1, output=Kind.PREFERENCES, params=Params, run=run)
