"""`eval.shaberi`: questions of one turn, answered by a model or an endpoint, each answer rated once by a judge.

Answers and judgments go through the ledger: a kill loses nothing, and nothing recorded is asked again. Upstream's judge
prompts are read from a file of the user's; without one our own are used, and the scores are marked so.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint
from watari.evals.evaluated import Evaluated, write_and_score
from watari.evals.shaberi.params import KIND, Params

if TYPE_CHECKING:
    from watari.evals.shaberi.plan import Plan
    from watari.evals.shaberi.questions import Question
    from watari.generate.preflight import Sent

__all__ = ["KIND", "STAGE", "Evaluated", "Params", "evaluate", "look", "run"]

METRIC = "rating"


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Answer, judge and score: an evaluation folder (`watari.evals.folder`) in `out`.

    Metrics: spec, model, judge, figures {name: {value, n, invalid, ci_low, ci_high, run_sd}}, refused (why, where more
    than 5 % of the ratings are invalid, in all or on one benchmark), japanese_share, answers {asked, cut_off, missing},
    judgments {rated, unreadable, reasons, second_calls}, tokens, cost.

    Raises:
        UserError: for questions or prompts that cannot be used, a model that does not chat or whose prompt loses or
            doubles BOS, an endpoint that refuses the key.
        StageFailed: if the budget is spent, or a server cannot be asked.
    """
    found = evaluate(params, inputs.optional("model"), out, progress)
    return StageResult(metrics=found.metrics, performance=found.performance)


def evaluate(params: Params, artifact: InputArtifact | None, out: Path, progress: Progress) -> Evaluated:
    """Do the work of the stage; `artifact` is the model where it runs in this process."""
    return asyncio.run(_evaluate(params, artifact, out, progress))


async def _evaluate(
    params: Params, artifact: InputArtifact | None, out: Path, progress: Progress
) -> Evaluated:
    from watari.endpoint.asking import open_asking
    from watari.endpoint.performance import performance_of
    from watari.evals.shaberi.judging import Judging, check_outages
    from watari.evals.shaberi.plan import plan_of
    from watari.evals.shaberi.recording import Setting, evaluation_of, metrics_of
    from watari.evals.shaberi.scoring import score_files
    from watari.generate.answerer import Answering, answerer_of, work_rows
    from watari.generate.local_answerer import LocalAnswerer, Rounds

    started = time.monotonic()
    plan = plan_of(params)
    for note in plan.notes:
        progress.log(note)
    sent = check(plan, params, artifact, progress)
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    # The limit of an answer is never raised: upstream does not.
    settings = Answering(
        plan.sampler, params.send_seed, params.batch, params.device, longest_answer=plan.max_tokens
    )
    async with open_asking(params, progress) as asking:
        answerer = answerer_of(params.model, asking, settings, artifact, rounds)
        judging = Judging(
            plan, answerer, asking, params.judge, seed=params.seed, second_call=params.second_call
        )
        rows = [(question, number) for question in plan.questions.questions for number in range(plan.runs)]
        done = work_rows(
            rows, judging.work, asking, progress, rounds=rounds, chunk=4 * params.batch, total=len(rows)
        )
        rated = [one async for one in done]
        spending = asking.spending()
    check_outages(rated, {"model": answerer.label, "judge": judging.judge.label})
    setting = Setting(
        plan=plan,
        params=params,
        model=answerer.label,
        model_name=answerer.model,
        model_digest=artifact.manifest.digest if artifact is not None else "",
        judge=judging.judge.model,
        judge_settings=dict(judging.judge.settings),
    )
    local = answerer.local if isinstance(answerer, LocalAnswerer) else None

    def rendered(question: Question) -> str:
        return local.encode(plan.messages(question)).rendered if local is not None else ""

    evaluation = evaluation_of(setting, rated, sent, judging.seed, rendered)
    score = partial(score_files, plan.spec, seed=params.seed)
    result = write_and_score(out, evaluation, score, notes=plan.notes, metric=METRIC)
    performance = performance_of(spending, time.monotonic() - started)
    return Evaluated(result, evaluation, metrics_of(result, rated), performance)


def look(plan: Plan, params: Params, artifact: InputArtifact | None) -> list[Sent]:
    """Return the prompt of the first question of each benchmark as it is sent; nothing is asked, no weights are read.

    Raises:
        UserError: for a model without a tokenizer or a chat template.
    """
    from watari.evals.preflight import look_at

    first: dict[str, Question] = {}
    for question in plan.questions.questions:
        first.setdefault(question.dataset.short, question)
    prompts = {name: (one.id, plan.messages(one)) for name, one in first.items()}
    return look_at(params.model, artifact, prompts)


def check(
    plan: Plan, params: Params, artifact: InputArtifact | None, progress: Progress | None = None
) -> list[Sent]:
    """Return what `look` does.

    Raises:
        UserError: if one of the prompts loses or doubles BOS, unless that is to be told only.
    """
    from watari.evals.preflight import heed

    sent = look(plan, params, artifact)
    heed(sent, params.on_bos, artifact, progress, why=True)
    return sent


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
