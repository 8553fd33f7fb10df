"""`model.average`: one model of several, or of the last snapshots of a training run.

Averaging the last snapshots of a run takes the place of part of its decay (Izmailov et al. 2018, arXiv:1803.05407; Sanyal et
al. 2023, arXiv:2306.03241); averaging a model before and after a stage gives back some of what the stage forgot
(Wortsman et al. 2022, arXiv:2109.01903). Models are streamed chunk by chunk: memory does not grow with them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Model, OneOrMore, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.model.average_members import Member, last_snapshots
from watari.model.averaging import Dtype, Method, average_models

_KIND = "model.average"
_RUNTIME = 400 << 20
"""torch and transformers themselves (facts/training.md §1)."""


class Params(StageParams):
    """What is averaged, and how."""

    models: Annotated[list[Model], OneOrMore] = Field(
        min_length=1, description="the models; config, tokenizer and chat template are the first one's"
    )
    snapshots: Count = Field(
        0,
        ge=0,
        description="instead of each model, the last so many snapshots of the stage that trained it "
        "(its `snapshot_steps`); 0: the models themselves",
    )
    method: Method = Field(
        "linear",
        description="linear: the weighted mean. slerp: of two models, tensor by tensor along the arc between them, as "
        "mergekit does; a tensor that is nearly parallel in both is averaged linearly",
    )
    weights: list[float] | None = Field(
        default=None,
        description="one a model (with `snapshots` one a snapshot, oldest first), divided by their sum; for slerp the "
        "second one's share is t. Default: all alike",
    )
    dtype: Dtype | None = Field(
        default=None, description="type of the weights written; by default each as in the first model"
    )

    @model_validator(mode="after")
    def _fitting(self) -> Params:
        check_members(len(self.models) * (self.snapshots or 1), self.method, self.weights)
        return self


def check_members(count: int, method: Method, weights: list[float] | None) -> None:
    """Make sure that so many models can be averaged in this way.

    Raises:
        ValueError: if there are too few or too many, or the weights do not fit.
    """
    if count < 2:
        raise ValueError("models: one is no average; name another, or write `snapshots: N`")
    if method == "slerp" and count != 2:
        raise ValueError(f"method: slerp is between two models, here are {count}; use `linear`")
    if weights is not None and len(weights) != count:
        raise ValueError(f"weights: {len(weights)} for {count} models")
    if weights is not None and not (all(0 <= weight < math.inf for weight in weights) and sum(weights) > 0):
        raise ValueError("weights: they must not be negative, and not all zero")


def members_of(models: list[tuple[str, Path]], snapshots: int) -> list[Member]:
    """Return what is averaged: the models, given as (name, folder), or the last snapshots of each.

    Raises:
        UserError: if a model has fewer snapshots.
    """
    if not snapshots:
        return [Member(name, folder) for name, folder in models]
    return [member for name, folder in models for member in last_snapshots(name, folder, snapshots)]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the averaged model with the first one's config, generation config and tokenizer; see `average_models`."""
    models = [(artifact.name, artifact.path) for artifact in inputs.many("models")]
    metrics = average_models(
        members_of(models, params.snapshots),
        out,
        method=params.method,
        weights=params.weights,
        dtype=params.dtype,
        progress=progress,
    )
    return StageResult(metrics=metrics)


def _memory(params: Params, inputs: Inputs) -> int:
    from watari.model.average_files import CHUNK

    return _RUNTIME + (len(params.models) * (params.snapshots or 1) + 4) * CHUNK * 8


STAGE = Stage(kind=_KIND, version=1, output=Kind.MODEL, params=Params, run=run, memory=_memory)
