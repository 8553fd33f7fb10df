"""Parameters that the stages which train on pairs of replies share, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from pydantic import Field

from watari.artifact.draws import draw_uniform, shuffled
from watari.artifact.params import Count, OutsidePath
from watari.artifact.stage import Inputs
from watari.train.settings import TrainingParams

Template = Annotated[
    Literal["model", "shisa", "swallow"],
    Field(description="chat template: the one that the model has (it should), or a preset"),
]
TemplateFile = Annotated[OutsidePath | None, Field(description="a .jinja chat template to use instead")]


class PairParams(TrainingParams):
    """Parameters of `train.dpo` and `train.repair`. Each sets its own defaults where they differ."""

    holdout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the pairs, drawn by id, that is only measured, before and after",
    )
    measured: Count = Field(
        1_000,
        ge=0,
        description="training pairs measured before and after, drawn by id; those held out all are",
    )
    template: Template = "model"
    template_file: TemplateFile = None
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "constant", description="see TrainingParams (Shisa V2: constant with warm-up)"
    )
    warmup: float = Field(0.1, ge=0, description="share of the steps, or steps if 1 or more")
    batch: Count = Field(64, ge=1, description="pairs in a step (Shisa V2: 64)")


class HasId(Protocol):
    """A row with an id to draw by."""

    @property
    def id(self) -> str:
        """Its id."""


_Row = TypeVar("_Row", bound=HasId)


def pair_memory(params: PairParams, inputs: Inputs) -> int:
    """Return the bytes that a stage over pairs needs: both replies of a pair share a pass."""
    from watari.train.memory import training_bytes

    return training_bytes(
        inputs.one("model").path,
        pass_tokens=params.pass_tokens,
        sequence=2 * params.sequence,
        batch=params.batch,
        params=params,
    )


@dataclass(frozen=True)
class Parts(Generic[_Row]):
    """Rows by what becomes of them.

    Args:
        train: To be trained on.
        held: Held out.
        sample: Those of `train` that are measured.
    """

    train: list[_Row]
    held: list[_Row]
    sample: list[_Row]


def parted(rows: Sequence[_Row], params: PairParams, kind: str) -> Parts[_Row]:
    """Return rows in their order, parted by draws on their ids; rows with one id stay together.

    Args:
        rows: All of them.
        params: Say how many, and the seed.
        kind: Of the stage: every stage draws on its own.
    """
    held: list[_Row] = []
    train: list[_Row] = []
    for row in rows:
        apart = draw_uniform(params.seed, f"{kind} holdout", row.id) < params.holdout
        (held if apart else train).append(row)
    drawn = shuffled([row.id for row in train], params.seed, f"{kind} measured")
    return Parts(train, held, [train[index] for index in sorted(drawn[: params.measured])])


def steps_of(rows: Sequence[_Row], epochs: int, params: TrainingParams, kind: str) -> list[list[_Row]]:
    """Return the rows of each step: in a seeded order for each epoch, `params.batch` a step, an epoch's last with fewer."""
    ids = [row.id for row in rows]
    plan: list[list[_Row]] = []
    for epoch in range(epochs):
        order = shuffled(ids, params.seed, f"{kind} epoch {epoch}")
        plan += [
            [rows[index] for index in order[start : start + params.batch]]
            for start in range(0, len(order), params.batch)
        ]
    return plan
