"""From answers and ratings to what is kept of them: the evaluation folder, and a manifest's metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from watari.artifact.hashing import hash_json
from watari.endpoint.performance import bill_of
from watari.endpoint.request import TRUNCATED
from watari.evals.folder import About, Evaluation, Generation, Item, Judgment
from watari.evals.recording import figures_json, named, ratings_json
from watari.evals.result import Result
from watari.evals.scores import rounded
from watari.evals.shaberi.judging import Rated
from watari.evals.shaberi.params import Params
from watari.evals.shaberi.plan import Plan
from watari.evals.shaberi.questions import Question
from watari.evals.shaberi.scoring import refused
from watari.generate.answerer import Said
from watari.generate.preflight import Sent
from watari.judge.single import Opinion


@dataclass(frozen=True)
class Setting:
    """What an evaluation was done with.

    Args:
        plan: What was asked, and with what.
        params: Of the stage.
        model: Who answered, as tables call it.
        model_name: Likewise, with its digest where it is an artifact.
        model_digest: "" for an endpoint.
        judge: The judge model.
        judge_settings: How it was asked.
    """

    plan: Plan
    params: Params
    model: str
    model_name: str
    model_digest: str
    judge: str
    judge_settings: dict[str, Any]


def evaluation_of(
    setting: Setting,
    rated: Sequence[Rated],
    sent: Sequence[Sent],
    seed: Callable[[Question, int], int],
    rendered: Callable[[Question], str],
) -> Evaluation:
    """Return what is written down of an evaluation. Nothing in it depends on time or on what failed on the way.

    Args:
        setting: What it was done with.
        rated: Everything that was answered and rated.
        sent: The prompts that were looked at.
        seed: Of a question's draws in a run.
        rendered: What a model in this process was given; "" for an endpoint.
    """
    return Evaluation(
        about=_about(setting),
        items=tuple(_item(one) for one in setting.plan.questions.questions),
        generations=tuple(
            _generation(setting, one, seed(one.question, one.run), rendered(one.question)) for one in rated
        ),
        judgments=tuple(judgment for one in rated for judgment in _judgments(setting, one)),
        prompts=tuple(sent),
    )


def metrics_of(result: Result, rated: Sequence[Rated]) -> dict[str, Any]:
    """Return the metrics of the stage: see `watari.evals.shaberi.stage.run`."""
    said = [one.said for one in rated if one.said is not None]
    asked: list[Said | Opinion] = [*said, *(opinion for one in rated for opinion in one.opinions)]
    metrics: dict[str, Any] = {
        "spec": result.spec,
        "model": result.model,
        "judge": result.judge,
        "figures": figures_json(result, run_sd=True),
        "japanese_share": {
            name: rounded(share) for name, share in result.settings.get("japanese_share", {}).items()
        },
        "answers": {
            "asked": len(said),
            "cut_off": sum(one.finish_reason == TRUNCATED for one in said),
            "missing": len(rated) - len(said),
        },
        "judgments": ratings_json([one.opinions for one in rated], again="second_calls"),
        **bill_of(asked),
        "notes": list(result.notes),
    }
    if (why := refused(result)) is not None:
        metrics["refused"] = why
    return metrics


def _about(setting: Setting) -> About:
    spec, params = setting.plan.spec, setting.params
    return About(
        spec=spec.name,
        label=setting.plan.label,
        version=spec.version,
        digest=spec.digest,
        model=setting.model,
        judge=setting.judge,
        model_digest=setting.model_digest,
        runs=params.runs,
        sampler=setting.plan.sampler.body(),
        questions=named(setting.plan.questions.name),
        questions_digest=setting.plan.questions.digest,
        seed=params.seed,
        settings={
            "system": params.system,
            "judge": setting.judge_settings,
            "judge_prompts": _prompts_name(setting),
            "judge_prompts_digest": setting.plan.prompts.digest,
            "second_call": params.second_call,
            "notes": list(setting.plan.notes),
        },
    )


def _prompts_name(setting: Setting) -> str:
    prompts = setting.plan.prompts
    return prompts.name if prompts.own else named(prompts.name)


def _item(one: Question) -> Item:
    return Item(
        id=one.id,
        group=one.category or one.dataset.short,
        turns=(one.text,),
        reference=(one.reference,) if one.reference else (),
        meta={"dataset": one.dataset.id} | ({"criteria": one.criteria} if one.criteria else {}),
    )


def _generation(setting: Setting, one: Rated, seed: int, rendered: str) -> Generation:
    said = one.said
    return Generation(
        id=_generation_id(setting, one),
        item_id=one.question.id,
        group=one.question.category or one.question.dataset.short,
        model=setting.model_name,
        run=one.run,
        turn=1,
        response=said.text if said is not None else "",
        finish_reason=said.finish_reason if said is not None else "",
        sampler=json.dumps(setting.plan.sampler.body(), sort_keys=True),
        seed=seed,
        rendered_prompt=rendered,
        prompt_tokens=said.prompt_tokens if said is not None else 0,
        completion_tokens=said.completion_tokens if said is not None else 0,
        problem=one.problem,
    )


def _generation_id(setting: Setting, one: Rated) -> str:
    text = one.said.text if one.said is not None else None
    return hash_json([setting.model_name, one.question.id, one.question.text, one.run, text])


def _judgments(setting: Setting, one: Rated) -> list[Judgment]:
    # Two runs with the same answer have the same judgment: their rows are told apart by the run.
    ids = [hash_json([opinion.id, one.run]) for opinion in one.opinions]
    name = _prompts_name(setting)
    names = (name, f"{name}, number alone")
    return [
        Judgment(
            id=ids[place],
            generation_ids=(_generation_id(setting, one),),
            spec=setting.plan.label,
            judge=setting.judge,
            turn=1,
            rating=opinion.rating,
            text=opinion.text,
            question_id=one.question.id,
            model=setting.model,
            category=one.question.category or one.question.dataset.short,
            run=one.run,
            prompt_name=names[place],
            user_prompt=one.prompts[place],
            reference=bool(one.question.reference),
            problem=opinion.problem,
            parents=tuple(ids[:place]),
        )
        for place, opinion in enumerate(one.opinions)
    ]
