"""`sweep.run`: a model under every setting of a grid, how much it leaks and how good it is, and which setting to use.

Answers and judgments go through the ledger: a kill loses nothing, a cell that is done is not asked again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.leakage.sweep.params import KIND, Params

if TYPE_CHECKING:
    from watari.leakage.sweep.asking import Asked
    from watari.leakage.sweep.result import Sweep

__all__ = ["KIND", "STAGE", "Params", "Swept", "run", "sweep"]


@dataclass(frozen=True)
class Swept:
    """What came of a sweep.

    Args:
        sweep: Everything.
        metrics: For a manifest.
        performance: Likewise; differs from run to run.
    """

    sweep: Sweep
    metrics: dict[str, Any]
    performance: dict[str, Any]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Sweep: scores by cell (rows.parquet), generations.parquet, sweep.json, sweep.txt, prompts.json, generation_config.json in `out`.

    Metrics: model, cells, answers {asked, missing}, default, recommended, keeps_default, leaking {recommended, default},
    reason, alike {icc, shared}, tokens, cost.

    Raises:
        UserError: for a grid or prompts that cannot be used, a setting that the engine has not, a model that does not chat.
        StageFailed: if the engine does not apply a setting, the budget is spent, or a server cannot be asked.
    """
    found = sweep(params, inputs.optional("model"), out, progress)
    return StageResult(metrics=found.metrics, performance=found.performance)


def sweep(params: Params, artifact: InputArtifact | None, out: Path, progress: Progress) -> Swept:
    """Do the work of the stage; `artifact` is the model where it runs in this process."""
    return asyncio.run(_sweep(params, artifact, out, progress))


async def _sweep(params: Params, artifact: InputArtifact | None, out: Path, progress: Progress) -> Swept:
    from watari.endpoint.asking import open_asking
    from watari.endpoint.performance import performance_of
    from watari.generate.answerer import Answering, answerer_of
    from watari.generate.local_answerer import Rounds
    from watari.leakage.sweep.asking import ask_all, jobs_of
    from watari.leakage.sweep.canary import canary, refuse
    from watari.leakage.sweep.figures import figures_of
    from watari.leakage.sweep.folder import write_sweep
    from watari.leakage.sweep.front import front_of
    from watari.leakage.sweep.judging import judge_all
    from watari.leakage.sweep.plan import plan_of
    from watari.leakage.sweep.recommendation import recommend
    from watari.leakage.sweep.responses import look_at
    from watari.leakage.sweep.result import Sweep

    started = time.monotonic()
    plan = plan_of(params, artifact.path if artifact is not None else None)
    for note in plan.notes:
        progress.log(note)
    notes = list(plan.notes)
    rounds = None if isinstance(params.model, Endpoint) else Rounds()
    # The limit of an answer is never raised: being cut off is a figure here.
    settings = Answering(EndpointSampler(), params.send_seed, params.batch, params.device)
    cells = plan.grid.cells
    async with open_asking(params, progress) as asking:
        answerer = answerer_of(params.model, asking, settings, artifact, rounds)
        checks = []
        if params.canary != "skip":
            checks = await canary(
                answerer,
                plan.engine,
                asking,
                cells,
                [one for one in plan.prompts if not plan.sending.rendered or one.id in plan.sending.rendered],
                progress,
                rounds=rounds,
                seed=params.seed,
            )
            for check in checks:
                if check.verdict != "applied":
                    progress.log(f"canary: {check.line()}")
            if params.canary == "stop":
                refuse(checks, answerer.label)
        answers = await ask_all(
            jobs_of(cells, plan.prompts, plan.repeats),
            answerer,
            plan.engine,
            asking,
            progress,
            rounds=rounds,
            chunk=4 * params.batch,
            seed=params.seed,
        )
        responses = look_at(answers)
        problems: dict[str, int] = {}
        if params.judge is not None:
            judged = await judge_all(responses, params.judge, asking, progress)
            responses, problems = judged.responses, judged.problems
        spending = asking.spending()
    missing = _missing(answers)
    _refuse_nothing(responses, missing)
    figures = figures_of(cells, responses, seed=params.seed)
    default = plan.grid.default
    front = front_of(figures, default=default.name if default else None, seed=params.seed)
    found = Sweep(
        plan=plan,
        model=answerer.model,
        engine=plan.engine.label,
        checks=tuple(checks),
        responses=tuple(responses),
        missing=missing,
        figures=figures,
        front=front,
        recommendation=recommend(figures, front, default, seed=params.seed),
        judge=params.judge.model if params.judge is not None else None,
        judge_problems=problems,
        notes=tuple(notes),
    )
    write_sweep(out, found)
    return Swept(found, _metrics(found, answers), performance_of(spending, time.monotonic() - started))


def _missing(answers: list[Asked]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in answers:
        if one.said is None:
            own = found.setdefault(one.cell.name, {})
            own[one.problem] = own.get(one.problem, 0) + 1
    return found


def _refuse_nothing(responses: list[Any], missing: dict[str, dict[str, int]]) -> None:
    from watari.errors import StageFailed

    if not responses:
        reasons = sorted({reason for own in missing.values() for reason in own})
        raise StageFailed(f"not one answer could be had: {'; '.join(reasons)}", "see `watari ledger tail`")


def _metrics(found: Sweep, answers: list[Asked]) -> dict[str, Any]:
    shown = found.as_json()
    by_name = {cell["name"]: cell["figures"] for cell in shown["cells"]}
    default, best = shown["default"], shown["recommended"]["cell"]
    said = [one.said for one in answers if one.said is not None]
    return {
        "model": found.model,
        "cells": len(found.plan.grid.cells),
        "answers": {"asked": len(answers), "missing": len(answers) - len(said)},
        "default": default,
        "recommended": best,
        "keeps_default": found.recommendation.keeps_default,
        "leaking": {
            "recommended": by_name[best].get("leaking"),
            "default": by_name[default].get("leaking") if default else None,
        },
        "reason": list(found.recommendation.reason),
        "canary": {check.setting: check.verdict for check in found.checks},
        "alike": shown["alike"],
        "tokens": {
            "prompt": sum(one.prompt_tokens for one in said),
            "completion": sum(one.completion_tokens for one in said),
        },
        "cost": round(sum(one.cost for one in said), 6),
    }


STAGE = Stage(kind=KIND, version=1, output=Kind.SCORES, params=Params, run=run)
