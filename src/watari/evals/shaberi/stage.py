"""`eval.shaberi`: questions of one turn, answered by a model or an endpoint, each answer rated once by a judge.

Answers and judgments go through the ledger: a kill loses nothing, and nothing recorded is asked again. Upstream's judge
prompts are read from a file of the user's; without one our own are used, and the scores are marked so.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.evals.shaberi.params import KIND, Params

if TYPE_CHECKING:
    from watari.evals.folder import Evaluation
    from watari.evals.preflight import Sent
    from watari.evals.result import Result
    from watari.evals.shaberi.plan import Plan
    from watari.evals.shaberi.questions import Question

__all__ = ["KIND", "STAGE", "Params", "evaluate", "look", "run"]

METRIC = "rating"


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation.

    Args:
        result: The figures; one model, one judge.
        evaluation: Everything that they rest on, as it was written.
        metrics: For a manifest.
        performance: Likewise; differs from run to run.
    """

    result: Result
    evaluation: Evaluation
    metrics: dict[str, Any]
    performance: dict[str, Any]


@dataclass(frozen=True)
class _Answering:
    """What `answerer_of` wants of a stage: the limit of an answer is never raised, upstream does not."""

    sampler: EndpointSampler
    longest_answer: int
    send_seed: bool
    batch: int
    device: str


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
    from watari.evals.folder import write_evaluation, write_results
    from watari.evals.preflight import refuse
    from watari.evals.shaberi.judging import Judging, check_outages
    from watari.evals.shaberi.plan import plan_of
    from watari.evals.shaberi.recording import Setting, evaluation_of, metrics_of
    from watari.evals.shaberi.scoring import score_files
    from watari.generate.answerer import answerer_of, work_rows
    from watari.generate.local_answerer import LocalAnswerer, Rounds

    started = time.monotonic()
    plan = plan_of(params)
    for note in plan.notes:
        progress.log(note)
    sent = look(plan, params, artifact)
    if params.on_bos == "stop":
        refuse(sent, artifact.name if artifact is not None else "")
    for one in sent:
        if one.verdict == "fail":
            progress.log(f"{one.name}: {one.found}: {one.meaning}")
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    settings = _Answering(plan.sampler, plan.max_tokens, params.send_seed, params.batch, params.device)
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
    write_evaluation(out, evaluation, metric=METRIC)
    (result,) = score_files(plan.spec, [out], seed=params.seed)
    result = replace(result, notes=(*plan.notes, *result.notes))
    write_results(out, [result], metric=METRIC)
    return Evaluated(
        result,
        evaluation,
        metrics_of(result, rated),
        _performance(spending, time.monotonic() - started),
    )


def look(plan: Plan, params: Params, artifact: InputArtifact | None) -> list[Sent]:
    """Return the prompt of the first question of each benchmark as it is sent; nothing is asked, no weights are read.

    Raises:
        UserError: for a model without a tokenizer or a chat template.
    """
    from watari.evals.preflight import preflight

    first: dict[str, Question] = {}
    for question in plan.questions.questions:
        first.setdefault(question.dataset.short, question)
    prompts = {name: (one.id, plan.messages(one)) for name, one in first.items()}
    if isinstance(params.model, Endpoint):
        return preflight(params.model, prompts)
    assert artifact is not None  # the graph check has made sure that there is one
    return preflight(artifact.path, prompts)


def _performance(spending: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return what differs from run to run: requests sent, answers found on record, seconds, by endpoint."""
    return {
        "requests_sent": sum(one.get("requests", 0) for one in spending.values()),
        "recorded": sum(one.get("recorded", 0) for one in spending.values()),
        "seconds": round(seconds, 3),
        "endpoints": spending,
    }


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
