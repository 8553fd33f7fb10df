"""Parameters of `sweep.run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from watari.artifact.params import Count, OutsidePath
from watari.endpoint.params import AskingParams, EndpointRef, ModelOrEndpoint
from watari.generate.answering_params import Batch, Device, SendSeed
from watari.leakage.sweep.asking import KIND

__all__ = ["DEFAULT_GRID", "ICC", "KIND", "SHARED", "Params", "effect_of"]

DEFAULT_GRID = "shisa"
ICC = 0.2
SHARED = 0.8
"""Assumed where none is given. Measured on four Shisa models at four temperatures, 47 English prompts x 5: answers to one
prompt are alike at 0.22, and between temperatures prompts do nearly the same (about 1): the variance of a difference was
0.44 to 1.22 times that of independent responses, 0.82 on average; these two say 1.0."""


class Params(AskingParams):
    """Parameters of `sweep.run`."""

    model: ModelOrEndpoint = Field(
        description="who is asked: an endpoint, or a stage that makes a chat model (it then runs in this process)"
    )
    prompts: OutsidePath = Field(
        description="rows {id?, prompt | messages | user and system, expected_lang?, licensed?}: the same in every cell"
    )
    grid: OutsidePath | None = Field(
        default=None,
        description="a YAML file {base, grid, cells, marks} whose lists multiply (docs); default: the packaged grid `shisa`",
    )
    repeats: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="answers to each prompt in each cell, each with its own seed; default: what `effect` needs, else 1",
    )
    effect: str | None = Field(
        default=None,
        description="shares of leaking responses that shall be told apart, `0.10:0.07`: plans the size of a cell",
    )
    icc: float = Field(
        default=ICC,
        ge=0,
        lt=1,
        description="how alike answers to one prompt are in leaking (intraclass correlation), for that plan; what a sweep found"
        " stands in its sweep.json",
    )
    shared: float = Field(
        default=SHARED,
        ge=0,
        le=1,
        description="how alike what prompts do is under two settings (correlation), for that plan; 0 is on the safe side",
    )
    max_tokens: Count | None = Field(
        default=None, ge=1, description="tokens of an answer at most; default: the grid's"
    )
    language: str | None = Field(
        default=None, description="ISO 639 code of the answers' language where neither row nor prompt says it"
    )
    limit: int | None = Field(default=None, ge=1, description="only the first so many prompts")
    judge: EndpointRef | None = Field(
        default=None,
        description="who rates every answer from 1 to 10; default: quality is the share of sound responses",
    )
    canary: Literal["stop", "tell", "skip"] = Field(
        default="stop",
        description="a setting that the engine is shown not to apply stops the sweep, is told, or is not looked for",
    )
    on_bos: Literal["stop", "tell"] = Field(
        default="stop",
        description="a prompt that loses or doubles its BOS in this process: `stop` the sweep, or `tell` (kept in prompts.json)",
    )
    send_seed: SendSeed = True
    batch: Batch = 64
    device: Device = "auto"

    @field_validator("grid", mode="before")
    @classmethod
    def _packaged(cls, value: Any) -> Any:
        """A recipe makes a path of a packaged grid's name, relative to its file."""
        from watari.leakage.sweep.grid import packaged

        if isinstance(value, str) and not Path(value).exists() and Path(value).name in packaged():
            return None if Path(value).name == DEFAULT_GRID else Path(value).name
        return value

    @field_validator("effect")
    @classmethod
    def _two_shares(cls, value: str | None) -> str | None:
        if value is not None:
            effect_of(value)
        return value


def effect_of(text: str) -> tuple[float, float]:
    """Return the two shares of `0.10:0.07`.

    Raises:
        ValueError: if it is none.
    """
    parts = text.split(":")
    try:
        found = [float(part) for part in parts]
    except ValueError:
        found = []
    if len(found) != 2 or not all(0 <= share <= 1 for share in found) or found[0] == found[1]:
        raise ValueError(f"{text!r} is no pair of two different shares from 0 to 1: write 0.10:0.07")
    return found[0], found[1]
