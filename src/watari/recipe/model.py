"""The top level of a recipe file, as pydantic models. Stages are checked against their own `Params` afterwards."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from watari.endpoint.settings import Budget, Endpoint, Strict

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

TOP_LEVEL = (
    "name",
    "description",
    "language",
    "seed",
    "extends",
    "override",
    "matrix",
    "defaults",
    "endpoints",
    "budget",
    "datasets",
    "stages",
)


def _stage_name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name: write lower-case letters, digits and _, a letter first")
    if name in TOP_LEVEL:
        raise ValueError(f"'{name}' is a key of the recipe itself; name the stage otherwise")
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]


class RecipeFile(Strict):
    """A recipe file. `stages` and `matrix` are checked further against the stage table."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the run folder")]
    description: str = ""
    language: str = Field(default="ja", pattern=r"^[a-z]{2,3}$", description="the new language, ISO 639")
    seed: int = Field(default=0, ge=0, description="one seed for every draw of the run")
    extends: str | list[str] | None = Field(default=None, description="recipe(s) that this one is laid on")
    override: dict[str, Any] = Field(default_factory=dict, description="`stage.field: value`, laid on last")
    matrix: dict[str, Any] = Field(
        default_factory=dict, description="axis → variant → overrides, or stage.field → values"
    )
    defaults: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="parameters by stage kind (`train.sft`) or group (`train.*`)"
    )
    endpoints: dict[StageName, Endpoint] = Field(default_factory=dict)
    budget: Budget = Field(
        default=Budget(), description="what all stages of the run may spend on endpoints together"
    )
    datasets: dict[StageName, dict[str, Any]] = Field(
        default_factory=dict, description="name → {path, format, license, ...}: imported where it is used"
    )
    stages: dict[StageName, dict[str, Any]] = Field(
        min_length=1, description="name → {uses: kind, parameters}"
    )
