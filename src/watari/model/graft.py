"""`model.graft`: a base model and the extended form of its tokenizer, joined: one new row for each new piece.

The model is never loaded. Tables are read one at a time, new rows are made from their base rows, and the weight files
are written shard by shard: in memory are at most the largest table and the new rows (70B: 0.5 GB of a 138 GB model).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Documents, Model, OneOrMore, StageParams, Tokenizer
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult
from watari.model.graft_model import graft_model
from watari.model.rows import ALIASES, INITS, METHODS, Init

_KIND = "model.graft"


def _plain_name(value: Any) -> Any:
    return ALIASES.get(value, value) if isinstance(value, str) else value


InitName = Annotated[
    Init,
    BeforeValidator(_plain_name),
    WithJsonSchema({"type": "string", "enum": [*INITS, *ALIASES]}),
]


class Params(StageParams):
    """Which model gets which tokenizer, and how its new rows begin."""

    base: Model = Field(description="the model to graft on")
    tokenizer: Tokenizer = Field(description="an extension of that model's tokenizer (`tokenizer.extend`)")
    init: InitName | None = Field(
        None,
        description="how new rows begin: "
        + ". ".join(f"{name}: {method.about}" for name, method in METHODS.items())
        + ". `mean` is another name of subword-mean. On a head tied to its embedding count-bias moves the parents' mean "
        "(count-bias-focus: the focus row) until it is as likely as the base's spelling. Default: count-bias-focus with "
        "`text`, subword-mean without it",
    )
    text: Annotated[list[Documents], OneOrMore] = Field(
        default_factory=list,
        description="documents for the inits that need them (count-bias, count-bias-focus, muted-output, focus, omp), in both languages: "
        "half of the hidden states are taken from the new one, half from all others",
    )
    states: Count = Field(
        10_000, ge=64, description="hidden states that the bias direction is fitted to (facts: tokenizer §7)"
    )
    characters: Count = Field(
        4_000_000,
        ge=1000,
        description="characters of `text` that focus, count-bias-focus and omp take their statistics from",
    )
    align: Count = Field(
        1,
        ge=1,
        description="make the tables' rows a multiple of this with padding rows, which are never sampled; better let "
        "`tokenizer.extend` align with real pieces",
    )

    @model_validator(mode="after")
    def _text_where_needed(self) -> Params:
        if self.init is not None and METHODS[self.init].text and not self.text:
            raise ValueError(
                f"init: {self.init} needs `text:` (documents in both languages); or write `init: subword-mean`"
            )
        return self


@dataclass(frozen=True)
class Row:
    """A document of an artifact."""

    id: str
    text: str
    language: str


class _Selected:
    """The documents that a recipe selects; may be read more than once."""

    def __init__(self, artifacts: list[InputArtifact], seed: int) -> None:
        self.artifacts, self.seed = artifacts, seed

    def __iter__(self) -> Iterator[Row]:
        from watari.artifact.rows import select_rows

        for artifact in self.artifacts:
            for row in select_rows(artifact, seed=self.seed, stage=_KIND):
                yield Row(str(row["id"]), row["text"] or "", row.get("language") or "und")


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the grafted model with its tokenizer; see `graft_model`."""
    base, tokenizer, text = inputs.one("base"), inputs.one("tokenizer"), inputs.many("text")
    metrics = graft_model(
        base.path,
        tokenizer.path,
        out,
        init=params.init,
        text=_Selected(text, params.seed) if text else None,
        states=params.states,
        characters=params.characters,
        align=params.align,
        seed=params.seed,
        progress=progress,
        names=(base.name, tokenizer.name),
    )
    return StageResult(metrics=metrics)


STAGE = Stage(kind=_KIND, version=2, output=Kind.MODEL, params=Params, run=run)
