"""From conversations and ratings to what is kept of them: the evaluation folder, and a manifest's metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from watari.artifact.hashing import hash_json
from watari.artifact.stage import InputArtifact
from watari.endpoint.performance import bill_of
from watari.endpoint.request import TRUNCATED
from watari.evals.folder import About, Evaluation, Generation, Item, Judgment
from watari.evals.mtbench.answering import Answering, Conversation
from watari.evals.mtbench.judging import Judged
from watari.evals.mtbench.params import Params
from watari.evals.mtbench.plan import Plan
from watari.evals.recording import figures_json, named, ratings_json
from watari.evals.refusal import refusal
from watari.evals.result import Result
from watari.generate.answerer import Said
from watari.generate.preflight import Sent
from watari.judge.single import Opinion, SingleJudge


def evaluation_of(
    plan: Plan,
    params: Params,
    answering: Answering,
    artifact: InputArtifact | None,
    judge: SingleJudge,
    talks: Sequence[Conversation],
    judged: Sequence[Judged],
    sent: Sequence[Sent],
) -> Evaluation:
    """Return what is written down of an evaluation. Nothing in it depends on time or on what failed on the way."""
    ids = {(talk.question.id, talk.run): _generation_ids(plan, answering, talk) for talk in talks}
    return Evaluation(
        about=_about(plan, params, answering, artifact, judge),
        items=tuple(
            Item(one.id, one.category, one.turns[: plan.turns], one.reference)
            for one in plan.questions.questions
        ),
        generations=tuple(
            generation
            for talk in talks
            for generation in _generations(plan, answering, talk, ids[talk.question.id, talk.run])
        ),
        judgments=tuple(
            judgment
            for one in judged
            for judgment in _judgments(plan, answering, judge, one, ids[one.talk.question.id, one.talk.run])
        ),
        prompts=tuple(sent),
    )


def metrics_of(result: Result, talks: Sequence[Conversation], judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the metrics of the stage: see `watari.evals.mtbench.stage.run`."""
    said = [one for talk in talks for one in talk.said]
    asked: list[Said | Opinion] = [*said, *(opinion for one in judged for opinion in one.opinions)]
    metrics: dict[str, Any] = {
        "spec": result.spec,
        "model": result.model,
        "judge": result.judge,
        "figures": figures_json(result, run_sd=True),
        "answers": {
            "asked": len(said),
            "cut_off": sum(one.finish_reason == TRUNCATED for one in said),
            "missing": sum(bool(talk.problem) for talk in talks),
        },
        "judgments": ratings_json([one.opinions for one in judged], again="asked_again"),
        **bill_of(asked),
        "notes": list(result.notes),
    }
    if why := refusal(result):
        metrics["refused"] = why
    return metrics


def _about(
    plan: Plan, params: Params, answering: Answering, artifact: InputArtifact | None, judge: SingleJudge
) -> About:
    spec = plan.spec
    samplers = {category: one.body() for category, one in answering.samplers.items()}
    return About(
        spec=spec.name,
        label=plan.label,
        version=spec.version,
        digest=spec.digest,
        model=answering.label,
        judge=judge.model,
        model_digest=artifact.manifest.digest if artifact is not None else "",
        runs=plan.runs,
        sampler=samplers,
        questions=plan.questions.name if params.questions is None else named(params.questions),
        questions_digest=plan.questions.digest,
        seed=params.seed,
        settings={
            "language": plan.language,
            "system": plan.system,
            "max_tokens": plan.max_tokens,
            "judge": judge.settings,
            "judge_prompts": plan.prompts.name
            if plan.prompts.own or plan.prompts.known
            else named(plan.prompts.name),
            "judge_prompts_digest": plan.prompts.digest,
            "reask": params.reask,
            "notes": list(plan.notes),
        },
    )


def _generations(
    plan: Plan, answering: Answering, talk: Conversation, ids: Sequence[str]
) -> list[Generation]:
    question = talk.question
    sampler = json.dumps(answering.samplers[question.category].body(), sort_keys=True)
    found = []
    for place, said in enumerate(talk.said):
        rendered = ""
        if answering.local is not None:
            rendered = answering.local.local.encode(plan.messages(question, talk.answers[:place])).rendered
        found.append(
            Generation(
                id=ids[place],
                item_id=question.id,
                group=question.category,
                model=answering.model,
                run=talk.run,
                turn=place + 1,
                response=said.text,
                finish_reason=said.finish_reason,
                sampler=sampler,
                seed=answering.seed(question, talk.run, place + 1),
                rendered_prompt=rendered,
                prompt_tokens=said.prompt_tokens,
                completion_tokens=said.completion_tokens,
            )
        )
    if talk.problem:
        found += [
            Generation(
                id=ids[turn - 1],
                item_id=question.id,
                group=question.category,
                model=answering.model,
                run=talk.run,
                turn=turn,
                response="",
                finish_reason="",
                sampler=sampler,
                seed=answering.seed(question, talk.run, turn),
                problem=talk.problem,
            )
            for turn in range(len(talk.said) + 1, plan.turns + 1)
        ]
    return found


def _generation_ids(plan: Plan, answering: Answering, talk: Conversation) -> tuple[str, ...]:
    """Return the ids of a conversation's answers, turn by turn: of those that are missing, too."""
    return tuple(
        hash_json(
            [answering.model, talk.question.id, list(talk.question.turns[:turn]), talk.run, turn, answers]
        )
        for turn in range(1, plan.turns + 1)
        for answers in (talk.answers[:turn],)
    )


def _judgments(
    plan: Plan, answering: Answering, judge: SingleJudge, one: Judged, ids: Sequence[str]
) -> list[Judgment]:
    talk = one.talk
    return [
        Judgment(
            id=opinion.id,
            generation_ids=tuple(ids[: one.turn]),
            spec=plan.label,
            judge=judge.model,
            turn=one.turn,
            rating=opinion.rating,
            text=opinion.text,
            question_id=talk.question.id,
            model=answering.label,
            category=talk.question.category,
            run=talk.run,
            prompt_name=one.prompt.name,
            user_prompt=one.user_prompt,
            reference=one.prompt.reference,
            problem=opinion.problem,
            parents=tuple(earlier.id for earlier in one.opinions[:place]),
        )
        for place, opinion in enumerate(one.opinions)
    ]
