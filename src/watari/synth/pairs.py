"""`synth.pairs`: two answers to one prompt, the better and the worse, with where each comes from.

Two ways. Named sides, as Shisa's DPO set: chosen by a teacher (or the row's own answer), rejected by one's own model after
its first stage. Or candidates: n answers of one or several models, of which the best and the worst make the pair, told
by a judge in both orders or by rules. Either way both sides pass the checks that need no source (the rejected one may be
let off), speak the same language and are not nearly the same, and the set is told how far length alone explains it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.rows import select_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.synth.pairs_params import KIND, Params

__all__ = ["KIND", "STAGE", "Params", "run"]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Make pairs: `rows.parquet` (preferences, in the order of the prompts), `dropped.parquet`, `samples.parquet`,
    `dataset.json`.

    Metrics: rows_in, kept, dropped, dropped_by_reason, rungs [{name, model, purpose, asked, accepted, faults}] by who
    answered, findings {code: {hard, warn}} by answers, judge {comparisons, a verdict each: rows of it, unreadable}, lengths
    (see `lengths.LengthReport`), similarity {mean, p90}, chosen_by, rejected_by, tokens, cost.

    Raises:
        UserError: for a model that does not chat, an endpoint that refuses the key, a budget without `max_tokens`.
        StageFailed: if the budget is spent, or a server cannot be asked.
    """
    return asyncio.run(_run(params, inputs, out, progress))


async def _run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    from watari.endpoint.asking import open_asking
    from watari.generate.answerer import work_rows
    from watari.generate.local_answerer import Rounds
    from watari.synth.checking import open_checks
    from watari.synth.pairing import Cast, Pairing
    from watari.synth.pairs_account import Account
    from watari.synth.report import report
    from watari.synth.spending import check_answered, performance_of

    started = time.monotonic()
    rounds = Rounds() if params.local else None
    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(open_asking(params, progress))
        checks = await stack.enter_async_context(open_checks(params.check_workers))
        cast = Cast.of(params, asking, inputs, rounds)
        work = Pairing(params, asking, checks, cast)
        account = Account(params, out, cast.everyone, checks.version)
        rows = (
            row
            for artifact in inputs.many("prompts")
            for row in select_rows(artifact, seed=params.seed, stage=KIND)
        )
        with account:
            done = work_rows(rows, work.row, asking, progress, rounds=rounds, chunk=4 * params.batch)
            async for paired in done:
                account.add(paired)
        metrics = account.close()
        report(out, metrics, stage=KIND)
        if warning := metrics["lengths"].get("warning"):
            progress.log(warning)
        spending = asking.spending()
        check_answered(spending)
    seconds = time.monotonic() - started
    return StageResult(metrics=metrics, performance=performance_of(spending, metrics["rows_in"], seconds))


STAGE = Stage(kind=KIND, version=1, output=Kind.PREFERENCES, params=Params, run=run)
