"""`eval.jaster`: items with a gold answer, asked of a model or an endpoint, scored as llm-jp-eval scored them.

- The prompt is a text with examples, as upstream's; what is really sent is looked at first (`evals.preflight`).
- Every answer is in the ledger before anybody looks at it: a kill loses nothing, and nothing recorded is asked again.
- It leaves an evaluation folder, which `watari eval score SPEC FOLDER` counts again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, UserError
from watari.evals.evaluated import Evaluated, write_and_score
from watari.evals.jaster.items import JasterItem
from watari.evals.jaster.params import KIND, Params
from watari.evals.jaster.plan import Plan, plan_of
from watari.generate.answerer import Answerer, Question, Said, seed_of

if TYPE_CHECKING:
    from watari.generate.preflight import Sent

__all__ = ["KIND", "STAGE", "Evaluated", "Params", "check", "evaluate", "look", "run"]

GAVE_UP = "gave up"
METRIC = "score"
PURPOSE = "answer"


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer to one item; `said` says why there is none."""

    item: JasterItem
    run: int
    said: Said | AskFailed


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Ask, compare and score: an evaluation folder (`watari.evals.folder`) in `out`.

    Metrics: spec (the label), model, figures {name: {value, n, invalid, ci_low, ci_high}}, answers {asked, cut_off,
    missing}, notes, tokens, cost.

    Raises:
        UserError: for datasets or prompts that cannot be used, a prompt that loses or doubles BOS, an endpoint that
            refuses the key.
        StageFailed: if the budget is spent, or a server cannot be asked.
    """
    found = evaluate(params, inputs.optional("model"), out, progress)
    return StageResult(metrics=found.metrics, performance=found.performance)


def evaluate(params: Params, artifact: InputArtifact | None, out: Path, progress: Progress) -> Evaluated:
    """Do the work of the stage; `artifact` is the model where it runs in this process."""
    from watari.endpoint.performance import performance_of
    from watari.evals.jaster.recording import evaluation_of, metrics_of
    from watari.evals.jaster.scoring import score_files

    started = time.monotonic()
    plan = plan_of(params)
    for note in plan.notes:
        progress.log(note)
    sent = check(plan, params, artifact, progress)
    answers, who, spending = asyncio.run(_ask(plan, params, artifact, progress))
    cut = sum(isinstance(one.said, Said) and one.said.finish_reason == "length" for one in answers)
    evaluation = evaluation_of(plan, params, artifact, who, answers, sent)
    score = partial(score_files, plan.spec, seed=params.seed)
    result = write_and_score(out, evaluation, score, notes=plan.notes, metric=METRIC)
    seconds = time.monotonic() - started
    performance = performance_of(spending, seconds, rate="items", done=len(answers))
    return Evaluated(result, evaluation, metrics_of(result, answers, cut), performance)


def look(plan: Plan, params: Params, artifact: InputArtifact | None) -> list[Sent]:
    """Return the prompt of the first item of each dataset as it is sent."""
    from watari.evals.preflight import look_at

    return look_at(params.model, artifact, plan.probes(), allowed_inside=1 if params.bos_in_prompt else 0)


def check(
    plan: Plan, params: Params, artifact: InputArtifact | None, progress: Progress | None = None
) -> list[Sent]:
    """Return what `look` does.

    Raises:
        UserError: if one of the prompts loses or doubles BOS, unless that is to be told only, or if none of them fits
            into the model's context.
    """
    from watari.evals.preflight import heed

    sent = look(plan, params, artifact)
    if artifact is not None:
        for note in _room(sent, artifact, plan):
            if progress is not None:
                progress.log(note)
    heed(sent, params.on_bos, artifact, progress)
    return sent


def _room(sent: Sequence[Sent], artifact: InputArtifact, plan: Plan) -> list[str]:
    """Return which datasets' prompts leave no room for an answer in the model's context.

    Raises:
        UserError: if all of them do.
    """
    from watari.generate.local import context_of

    context = context_of(artifact.path)
    long = [one for one in sent if len(one.tokens) >= context]
    if sent and len(long) == len(sent):
        shortest = min(sent, key=lambda one: len(one.tokens))
        raise UserError(
            f"{artifact.name}: no prompt fits into its context of {context:,} tokens: the shortest, of {shortest.name},"
            f" has {len(shortest.tokens):,}",
            "fewer examples: --set shots=0, in a recipe `shots: 0`",
        )
    return [
        f"{one.name}: a prompt has {len(one.tokens):,} tokens, the model's context is {context:,}: such items get no"
        " answer"
        for one in long
    ]


async def _ask(
    plan: Plan, params: Params, artifact: InputArtifact | None, progress: Progress
) -> tuple[list[Asked], Answerer, dict[str, Any]]:
    from watari.endpoint.asking import open_asking
    from watari.generate.answerer import answerer_of, work_rows
    from watari.generate.local_answerer import Rounds

    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    sampler = params.sampler
    if rounds is not None and sampler.repetition_penalty is None:
        # A model's own generation_config.json may set one; llm-jp-eval generates with none.
        sampler = sampler.model_copy(update={"repetition_penalty": 1.0})
    async with open_asking(params, progress) as asking:
        answerer = answerer_of(
            params.model, asking, params, artifact, rounds, sampler, completes=not plan.chats
        )

        async def work(row: tuple[JasterItem, int]) -> Asked:
            item, run_number = row
            (said,) = await answerer.answers([_question(plan, params, item, run_number)])
            return Asked(item, run_number, said)

        rows = [(item, run_number) for item in plan.items for run_number in range(params.runs)]
        answers = [
            one
            async for one in work_rows(
                rows, work, asking, progress, rounds=rounds, chunk=4 * params.batch, total=len(rows)
            )
        ]
        spending = asking.spending()
    _stop_at_outage(answers)
    return answers, answerer, spending


def _question(plan: Plan, params: Params, item: JasterItem, run_number: int) -> Question:
    prompt = plan.prompt(item)
    text = prompt if isinstance(prompt, str) else None
    messages = [] if isinstance(prompt, str) else [dict(message) for message in prompt]
    settings: dict[str, Any] = {"max_tokens": plan.limits[item.dataset]}
    if text is not None and plan.spec.answer.until:
        settings["stop"] = list(plan.spec.answer.until)
    seed = seed_of(draws.draw_uint64(params.seed, KIND, f"{item.dataset}/{item.id}/{run_number}"))
    return Question(
        messages,
        hash_json([KIND, prompt if text is not None else messages, run_number]),
        f"{item.dataset}/{item.id}",
        PURPOSE,
        seed,
        text=text,
        settings=settings,
    )


def _stop_at_outage(answers: Sequence[Asked]) -> None:
    """An outage is no wrong answer: nothing is scored until it is over."""
    failed = [one.said for one in answers if isinstance(one.said, AskFailed) and one.said.code == GAVE_UP]
    if failed:
        raise StageFailed(
            f"{len(failed):,} of {len(answers):,} answers could not be had: {failed[0]}",
            "run the same command again: what was answered is not asked again",
        )


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
