"""`eval.mtbench`: questions of two turns, answered, each answer rated by a judge, scored as a spec says.

- All runs are judged (FastChat judges the first choice alone).
- Answers and judgments go through the ledger: a kill loses nothing, and nothing recorded is asked again.
- Upstream's judge prompts are read from the user's file; our own are used without one, and the scores say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint
from watari.evals.evaluated import Evaluated, write_and_score
from watari.evals.mtbench.params import KIND, Params

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.evals.mtbench.plan import Plan
    from watari.generate.preflight import Sent

__all__ = ["KIND", "STAGE", "Evaluated", "Params", "check", "evaluate", "look", "run"]

METRIC = "rating"
_STAND_IN = "…"
"""In place of the first answer where only the prompt's frame is looked at, before anything is asked."""


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
    from watari.endpoint.performance import performance_of
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
    score = partial(score_files, plan.spec, seed=params.seed)
    result = write_and_score(out, evaluation, score, notes=plan.notes, metric=METRIC)
    seconds = time.monotonic() - started
    performance = performance_of(spending, seconds, rate="requests")
    return Evaluated(result, evaluation, metrics_of(result, talks, judged), performance)


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
    from watari.evals.preflight import look_at

    question = plan.questions.questions[0]
    said = [*answers, *[_STAND_IN] * plan.turns]
    prompts = {
        f"turn {turn}": (question.id, plan.messages(question, said[: turn - 1]))
        for turn in range(1, plan.turns + 1)
    }
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
    heed(sent, params.on_bos, artifact, progress)
    return sent


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
