"""The preflight of a training stage: what is about to be trained, on what, at which cost; told before the first step.

`session.run_training` calls it between the objective and the loop, on every rank:

    preflight(model, objective, params, out, progress,
              facts=facts, folder=folder, world=world, new_rows_from=first_new, resumed=resumed)

It refuses what cannot go well (no BOS, nothing to train, no end to learn, more memory or disk than there is), warns of
what may not, and computes one forward and backward pass of the real objective at the heaviest batch of the run. Its
gradients are thrown away: the run that follows is the same to the last bit as one without it.

Files below `out`: `preflight.json` (content: the same whenever the same run begins), `logs/preflight.json` (what depends
on this machine and this moment: memory, seconds, disk; and the sequences shown, which are data and no part of a model).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from watari.artifact import atomic
from watari.artifact.manifest import LOGS
from watari.artifact.stage import Progress
from watari.errors import DryRun, UserError
from watari.train.facts import DataFacts
from watari.train.memory import Machine, Memory, size_words, training_memory
from watari.train.preflight_checks import (
    check_disk,
    check_memory,
    probe_warnings,
    refuse,
    warnings_of,
    waste,
)
from watari.train.preflight_probe import Probe, heaviest, probe
from watari.train.preflight_rows import RowNorms, row_norms
from watari.train.settings import TrainingParams, learning_rate

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel
    from watari.train.objective import Objective

__all__ = ["DataFacts", "Preflight", "preflight", "refuse", "warnings_of"]

REPORT = "preflight.json"
_PERCENTILES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Args:
        report: What stands in `preflight.json`.
        machine: What stands in `logs/preflight.json`.
    """

    report: dict[str, Any]
    machine: dict[str, Any]

    @property
    def warnings(self) -> list[str]:
        """What may not go well, in words."""
        return [*self.report["warnings"], *self.machine["warnings"]]


def preflight(
    model: LanguageModel,
    objective: Objective,
    params: TrainingParams,
    out: Path,
    progress: Progress,
    *,
    facts: DataFacts,
    folder: Path,
    world: World,
    new_rows_from: int | None = None,
    resumed: bool = False,
) -> Preflight:
    """Judge a run that is about to begin, write the report, and stop there if it is a dry run.

    Args:
        model: The model as it will be trained: adapters attached, compiled, sharded.
        objective: What will be trained.
        params: The stage's parameters.
        out: The stage's folder.
        progress: Told of every warning.
        facts: What the stage knows of its data.
        folder: The folder that the model was loaded from.
        world: The processes of the run; every rank calls.
        new_rows_from: The first of the rows that a graft added.
        resumed: True if the run goes on from a checkpoint: the trial pass is left out, and an earlier report stays.

    Raises:
        UserError: if the run cannot go well.
        StageFailed: if the trial pass gives a loss that is no number.
        DryRun: if `params.dry_run`, after the report is written.
    """
    refuse(facts)
    trained = sum(parameter.numel() for parameter in model.trainable().values())
    if not trained:
        raise UserError("no weight of the model is trained", "check the `targets` of `lora`")
    there = Machine.of(model.compute.device, processes=world.size)
    memory = _memory(model, params, folder, world, trained, new_rows_from)
    check_memory(memory, there)
    disk = _disk(params, objective.steps, memory, out)
    check_disk(disk)
    norms = row_norms(folder, new_rows_from) if new_rows_from is not None else []
    progress.update(0, None, note="preflight")
    tried, accumulated = None, False
    if resumed:
        progress.log("preflight: this run goes on from a checkpoint, so the trial pass is left out")
    else:
        chosen = heaviest(objective, params, facts, world)
        tried = probe(model, objective, chosen, facts, world, compiled=params.compile)
        accumulated = chosen.passes > world.size
    report = _earlier(out) if resumed else None
    if report is None:
        report = _report(facts, params, objective.steps, norms, tried)
        if world.is_main:
            atomic.write_json(out / REPORT, report)
    machine = _machine(facts, params, memory, there, tried, disk, world, accumulated=accumulated)
    if world.is_main:
        (out / LOGS).mkdir(parents=True, exist_ok=True)
        atomic.write_json(out / LOGS / REPORT, machine)
    found = Preflight(report, machine)
    for warning in found.warnings if world.is_main else ():
        progress.log(f"preflight: {warning}")
    if params.dry_run:
        raise DryRun(f"dry run: stopped before the first of {objective.steps:,} steps")
    return found


def _earlier(out: Path) -> dict[str, Any] | None:
    """Return the report that the run wrote when it began, if it is there and whole."""
    try:
        report: dict[str, Any] = json.loads((out / REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return report


def _memory(
    model: LanguageModel,
    params: TrainingParams,
    folder: Path,
    world: World,
    trained: int,
    new_rows_from: int | None,
) -> Memory:
    return training_memory(
        folder,
        pass_tokens=params.pass_tokens,
        sequence=params.sequence,
        batch=params.batch,
        lora=params.lora,
        trainable=trained,
        new_rows_from=new_rows_from,
        checkpoint_activations=params.activation_checkpointing,
        bf16=model.compute.dtype == torch.bfloat16,
        device=model.compute.device.type,
        processes=world.size,
        divided=params.sharding == "fsdp" and world.size > 1,
    )


def _disk(params: TrainingParams, steps: int, memory: Memory, out: Path) -> dict[str, int]:
    """Return bytes: of the model as it is saved, of a checkpoint, of all that will lie there at once, and free ones."""
    model = memory.parameters * (2 if params.save_dtype == "bfloat16" else 4)
    checkpoint = 12 * memory.trainable
    snapshots = steps // params.snapshot_steps if params.snapshot_steps else 0
    return {
        "model": model,
        "checkpoint": checkpoint,
        # While one is written, those that are kept are still there.
        "needed": model * (1 + snapshots) + checkpoint * (params.checkpoint_keep + 1),
        "free": shutil.disk_usage(out).free,
    }


def _report(
    facts: DataFacts, params: TrainingParams, steps: int, norms: list[RowNorms], tried: Probe | None
) -> dict[str, Any]:
    tokens, trained = int(facts.lengths.sum()), int(facts.supervised.sum())
    percentiles = np.percentile(facts.lengths, _PERCENTILES)
    warnings = [*warnings_of(facts), *(warning for norm in norms for warning in norm.warnings())]
    return {
        "format": 1,
        "data": {
            "unit": facts.unit,
            "rows_in": facts.rows_in,
            "rows_kept": facts.rows_kept,
            "dropped": dict(sorted(facts.dropped.items())),
            "sequences": len(facts.lengths),
            "tokens": tokens,
            "trained_tokens": trained,
            "trained_share": _rounded(trained / tokens),
            "longest": facts.longest,
            "percentiles": {str(p): round(float(v)) for p, v in zip(_PERCENTILES, percentiles, strict=True)},
            "packing": None
            if facts.packed is None
            else {"rows": facts.packed[0], "positions": facts.packed[1], "waste": _rounded(waste(facts))},
        },
        "marks": asdict(facts.marks),
        "new_rows": [asdict(norm) for norm in norms],
        "plan": {
            "steps": steps,
            "tokens": facts.planned_tokens,
            "batch": params.batch,
            "sequence": params.sequence,
            "schedule": params.schedule,
            "rates": _rates(params, steps),
            "lr_new_rows": params.lr_new_rows,
            "snapshots": steps // params.snapshot_steps if params.snapshot_steps else 0,
        },
        "trial": None if tried is None else tried.content(),
        "warnings": [*warnings, *(probe_warnings(tried, facts) if tried is not None else [])],
    }


def _rates(params: TrainingParams, steps: int) -> list[dict[str, Any]]:
    """Return the learning rate at the first step, at the end of the warm-up, half-way and at the last step."""
    warm = round(params.warmup * steps) if params.warmup < 1 else int(params.warmup)
    places = {1, min(max(warm, 1), steps), max(1, steps // 2), steps}
    return [
        {"step": place, "lr": _rounded(learning_rate(params, place - 1, steps))} for place in sorted(places)
    ]


def _machine(
    facts: DataFacts,
    params: TrainingParams,
    memory: Memory,
    there: Machine,
    tried: Probe | None,
    disk: dict[str, int],
    world: World,
    *,
    accumulated: bool,
) -> dict[str, Any]:
    warnings = []
    room = there.available + there.held
    # What the trial pass has shown; AdamW's moments, which come with the first step; and where a step has several passes,
    # the gradients, which the first one leaves in place for the next.
    later = memory.optimizer + (memory.gradients if accumulated else 0)
    shown = None if tried is None else tried.peak + later
    expected = memory.total if shown is None else shown
    if expected > room:
        warnings.append(
            f"training is expected to need {size_words(expected)}, {there.place} has {size_words(room)}: "
            "lower `pass_tokens`, or set `activation_checkpointing: true`"
        )
    if disk["needed"] > disk["free"]:
        warnings.append(
            f"model, snapshots and checkpoints need {size_words(disk['needed'])}, "
            f"the disk has {size_words(disk['free'])} left: lower `checkpoint_keep`"
        )
    seconds = None
    if tried is not None and tried.tokens:
        # By its digits: a run of a moment takes more than no time.
        seconds = float(f"{tried.seconds * facts.planned_tokens / tried.tokens / world.size:.3g}")
    return {
        "format": 1,
        "place": there.place,
        "processes": world.size,
        "memory": {
            **asdict(memory),
            "total": memory.total,
            "peak_of_trial": None if tried is None else tried.peak,
            "expected": expected,
            "available": there.available,
            "held": there.held,
        },
        "trial_seconds": None if tried is None else round(tried.seconds, 3),
        "estimated_seconds": seconds,
        "checkpoints": {
            "seconds": params.checkpoint_seconds,
            "steps": params.checkpoint_steps,
            "keep": params.checkpoint_keep,
        },
        "disk": disk,
        "shown": [asdict(sequence) for sequence in facts.shown],
        "warnings": warnings,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
