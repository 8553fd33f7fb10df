"""`eval.mtbench`: questions of two turns, answered, each answer rated by a judge, scored as a spec says.

- All runs are judged (FastChat judges the first choice alone).
- Answers and judgments go through the ledger: a kill loses nothing, and nothing recorded is asked again.
- Upstream's judge prompts are read from the user's file; our own are used without one, and the scores say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint
from watari.evals.mtbench.params import KIND, Params

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.evals.folder import Evaluation
    from watari.evals.mtbench.plan import Plan
    from watari.evals.preflight import Sent
    from watari.evals.result import Result

__all__ = ["KIND", "STAGE", "Params", "check", "evaluate", "look", "run"]

METRIC = "rating"
_STAND_IN = "…"
"""In place of the first answer where only the prompt's frame is looked at, before anything is asked."""


@dataclass(frozen=True)
class Evaluated:
    """What came of an evaluation.

    Args:
        result: The figures; one model, one judge.
        evaluation: Everything that they rest on, as it was written.
        metrics: For a manifest.
        performance: Likewise; differs from run to run.
    """

    # asyncio.run has its finished task, and so this, written out as text, twice: for 1,600 ratings that is 0.2 s.
    result: Result = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    metrics: dict[str, Any]
    performance: dict[str, Any]


class _Phase:
    """Progress of one phase, with what was spent so far."""

    def __init__(self, progress: Progress, asking: Asking, what: str) -> None:
        self._progress = progress
        self._asking = asking
        self._what = what

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        spent = sum(one.get("cost", 0.0) for one in self._asking.spending().values())
        told = f"{self._what}, {spent:.4f} spent" if spent else self._what
        self._progress.update(done, total, unit=unit, note=told)

    def log(self, message: str, **fields: Any) -> None:
        self._progress.log(message, **fields)

    def stop_requested(self) -> bool:
        return self._progress.stop_requested()


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Answer, judge and score: an evaluation folder (`watari.evals.folder`) in `out`.

    Metrics: spec, model, judge, figures {name: {value, n, invalid, ci_low, ci_high, run_sd}}, refused (why, where more
    than 5 % of the ratings are invalid), answers {asked, cut_off, missing}, judgments {rated, unreadable, reasons,
    asked_again}, tokens, cost.

    Raises:
        UserError: for questions, references or prompts that cannot be used, a model that does not chat or whose prompt
            loses or doubles BOS, an endpoint that refuses the key.
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
    from watari.artifact.ahead import import_ahead
    from watari.endpoint.asking import open_asking
    from watari.evals.folder import write_evaluation, write_results
    from watari.evals.mtbench.answering import Answering
    from watari.evals.mtbench.judging import judge_all, judge_of
    from watari.evals.mtbench.plan import plan_of
    from watari.evals.mtbench.recording import evaluation_of, metrics_of
    from watari.evals.mtbench.scoring import score_files
    from watari.generate.local_answerer import Rounds

    started = time.monotonic()
    plan = plan_of(params)
    for note in plan.notes:
        progress.log(note)
    check(plan, params, artifact, progress)
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    async with open_asking(params, progress) as asking:
        answering = Answering(plan, params, asking, artifact, rounds)
        judge = judge_of(plan, asking, params.judge, params.reask)
        talks = await answering.all(_Phase(progress, asking, "answers"))
        cut = sum(said.finish_reason == "length" for talk in talks for said in talk.said)
        if cut:
            progress.log(
                f"{cut:,} of {sum(len(talk.said) for talk in talks):,} answers were cut off at {plan.max_tokens:,} tokens"
            )
        # The prompt of turn 2 as it really was: after the model's own first answer.
        sent = look(plan, params, artifact, talks[0].answers)
        ahead = asyncio.create_task(import_ahead())
        judged = await judge_all(plan, judge, talks, asking, _Phase(progress, asking, "judgments"))
        await ahead
        spending = asking.spending()
    evaluation = evaluation_of(plan, params, answering, artifact, judge, talks, judged, sent)
    write_evaluation(out, evaluation, metric=METRIC)
    (result,) = score_files(plan.spec, [out], seed=params.seed)
    result = replace(result, notes=(*plan.notes, *result.notes))
    write_results(out, [result], metric=METRIC)
    return Evaluated(
        result,
        evaluation,
        metrics_of(result, talks, judged),
        _performance(spending, time.monotonic() - started),
    )


def _performance(spending: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return what differs from run to run: requests sent, answers found on record, seconds, by endpoint."""
    sent = sum(one.get("requests", 0) for one in spending.values())
    return {
        "requests_sent": sent,
        "recorded": sum(one.get("recorded", 0) for one in spending.values()),
        "seconds": round(seconds, 3),
        "requests_per_second": round(sent / seconds, 3) if seconds else 0.0,
        "endpoints": spending,
    }


def look(
    plan: Plan, params: Params, artifact: InputArtifact | None, answers: Sequence[str] = ()
) -> list[Sent]:
    """Return the prompts of the first question as they are sent, turn by turn.

    Args:
        plan: What is asked.
        params: Who is asked.
        artifact: The model, where it is one; its weights are not read.
        answers: To that question, for the turns after the first; a stand-in where there are none yet.
    """
    from watari.evals.preflight import preflight

    question = plan.questions.questions[0]
    said = [*answers, *[_STAND_IN] * plan.turns]
    prompts = {
        f"turn {turn}": (question.id, plan.messages(question, said[: turn - 1]))
        for turn in range(1, plan.turns + 1)
    }
    if isinstance(params.model, Endpoint):
        return preflight(params.model, prompts)
    assert artifact is not None  # the graph check has made sure that there is one
    return preflight(artifact.path, prompts)


def check(
    plan: Plan, params: Params, artifact: InputArtifact | None, progress: Progress | None = None
) -> list[Sent]:
    """Return what `look` does.

    Raises:
        UserError: if one of the prompts loses or doubles BOS, unless that is to be told only.
    """
    from watari.evals.preflight import refuse

    sent = look(plan, params, artifact)
    if params.on_bos == "stop":
        refuse(sent, artifact.name if artifact is not None else "")
    elif progress is not None:
        for one in sent:
            if one.verdict == "fail":
                progress.log(f"{one.name}: {one.found}")
    return sent


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
