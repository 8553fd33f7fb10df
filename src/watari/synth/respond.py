"""`synth.respond`: keep what people said, and have every answer written anew by a given model.

So Swallow made its Japanese chat data: the human turns of oasst1, translated, with answers by Mixtral ("imitation"). Each
answer follows on the new ones before it, passes the checks that need no source, and is tried again with another seed
where it fails; a conversation of which one answer fails is dropped with the reason, or stays as it was.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.rows import select_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint
from watari.synth.respond_params import KIND, Params

__all__ = ["KIND", "STAGE", "Params", "run"]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Answer anew: `rows.parquet` in the order of the input, `dropped.parquet`, `samples.parquet`, `dataset.json`.

    Metrics: rows_in, kept, dropped, dropped_by_reason, originals (rows kept as they were), answers, rungs [{name, model,
    purpose, asked, accepted, faults}] by attempt, repaired (rows that took more than one attempt), findings {code: {hard,
    warn}} by answers, judge {comparisons, unreadable, inconsistent}, tokens, cost.

    Raises:
        UserError: for a model that does not chat, an endpoint that refuses the key, a budget without `max_tokens`.
        StageFailed: if the budget is spent, or a server cannot be asked.
    """
    return asyncio.run(_run(params, inputs, out, progress))


async def _run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    from watari.endpoint.asking import open_asking
    from watari.generate.answerer import answerer_of, work_rows
    from watari.generate.local_answerer import Rounds
    from watari.synth.checking import open_checks
    from watari.synth.report import report
    from watari.synth.respond_account import Account
    from watari.synth.respondent import Respondent
    from watari.synth.spending import check_answered, performance_of

    started = time.monotonic()
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(open_asking(params, progress))
        checks = await stack.enter_async_context(open_checks(params.check_workers))
        answerer = answerer_of(params.model, asking, params, inputs.optional("model"), rounds)
        work = Respondent(params, asking, checks, answerer)
        account = Account(params, out, answerer, checks.version, work.prompts())
        rows = (
            row
            for artifact in inputs.many("data")
            for row in select_rows(artifact, seed=params.seed, stage=KIND)
        )
        with account:
            done = work_rows(
                rows, work.row, asking, progress, rounds=rounds, chunk=4 * params.batch, total=_total(inputs)
            )
            async for answered in done:
                account.add(answered)
        metrics = account.close()
        report(out, metrics, stage=KIND)
        spending = asking.spending()
        check_answered(spending)
    seconds = time.monotonic() - started
    return StageResult(metrics=metrics, performance=performance_of(spending, metrics["rows_in"], seconds))


def _total(inputs: Inputs) -> int | None:
    from watari.artifact.rows import count_rows

    artifacts = inputs.many("data")
    if any(one.selection.where or one.selection.ratio is not None for one in artifacts):
        return None
    counts = [(count_rows(one.path), one.selection.limit) for one in artifacts]
    return sum(count if limit is None else min(count, limit) for count, limit in counts)


STAGE = Stage(kind=KIND, version=1, output=Kind.CONVERSATIONS, params=Params, run=run)
