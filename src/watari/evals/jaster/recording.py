"""An evaluation of items as it is kept: folder, metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from watari.artifact import draws
from watari.artifact.hashing import hash_json
from watari.artifact.stage import InputArtifact
from watari.endpoint.performance import bill_of
from watari.endpoint.request import AskFailed
from watari.evals.folder import About, Evaluation, Generation, Item
from watari.evals.jaster.params import KIND, Params
from watari.evals.jaster.plan import Plan
from watari.evals.jaster.postprocess import prediction
from watari.evals.recording import figures_json
from watari.generate.answerer import Answerer, seed_of
from watari.generate.preflight import Sent

if TYPE_CHECKING:
    from watari.evals.jaster.stage import Asked
    from watari.evals.result import Result


def evaluation_of(
    plan: Plan,
    params: Params,
    artifact: InputArtifact | None,
    who: Answerer,
    answers: Sequence[Asked],
    sent: Sequence[Sent],
) -> Evaluation:
    """Return everything that an evaluation folder holds but the scores."""
    sampler = params.sampler.body()
    digest = "" if artifact is None else artifact.manifest.digest
    about = About(
        spec=plan.spec.name,
        label=plan.label,
        version=plan.spec.version,
        digest=plan.spec.digest,
        model=who.label,
        model_digest=digest,
        runs=params.runs,
        sampler=sampler,
        questions=", ".join(plan.places),
        questions_digest=plan.digest,
        seed=params.seed,
        settings={
            "style": "chat" if plan.chats else "completion",
            "shots": {name: one.shots for name, one in plan.templates.items()},
            "words": {name: one.words for name, one in plan.templates.items()},
            "max_tokens": plan.limits,
            "items": {one.name: len(one.test) for one in plan.datasets},
            "bos_in_prompt": params.bos_in_prompt,
            "notes": list(plan.notes),
        },
    )
    items = tuple(Item(one.id, one.dataset, (one.input,), gold=one.gold) for one in plan.items)
    made = tuple(_generation(plan, params, digest, who, one) for one in answers)
    return Evaluation(about, items, made, prompts=tuple(sent))


def _generation(plan: Plan, params: Params, digest: str, who: Answerer, asked: Asked) -> Generation:
    item, said = asked.item, asked.said
    prompt = plan.prompt(item)
    settings = {**params.sampler.body(), "max_tokens": plan.limits[item.dataset]}
    common: dict[str, Any] = {
        "id": hash_json([KIND, digest or who.model, item.dataset, item.id, asked.run, settings]),
        "item_id": item.id,
        "group": item.dataset,
        "run": asked.run,
        "turn": 1,
        "sampler": json.dumps(settings, sort_keys=True),
        "seed": seed_of(draws.draw_uint64(params.seed, KIND, f"{item.dataset}/{item.id}/{asked.run}")),
        "rendered_prompt": prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False),
        "gold": item.gold,
    }
    if isinstance(said, AskFailed):
        # By the code alone: reasons are counted, and a detail would make each its own.
        return Generation(
            **common, model=who.model, response="", finish_reason="", pred="", problem=said.code
        )
    return Generation(
        **common,
        model=said.model,
        response=said.text,
        finish_reason=said.finish_reason,
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        pred=prediction(said.text, plan.spec.answer),
    )


def metrics_of(result: Result, answers: Sequence[Asked], cut: int) -> dict[str, Any]:
    """Return what a manifest says: label, figures, how many answers are missing or cut off, tokens, cost."""
    said = [one.said for one in answers if not isinstance(one.said, AskFailed)]
    return {
        "spec": result.spec,
        "model": result.model,
        "figures": figures_json(result),
        "answers": {"asked": len(answers), "cut_off": cut, "missing": len(answers) - len(said)},
        "notes": list(result.notes),
        **bill_of(said),
    }
