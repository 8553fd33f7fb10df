"""The top level of a recipe file, as pydantic models. Stages are checked against their own `Params` afterwards."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from watari.artifact.params import Count

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
_INTERPOLATED = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}\Z")

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
    "datasets",
    "stages",
)


def _stage_name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name: write lower-case letters, digits and _, a letter first")
    if name in TOP_LEVEL:
        raise ValueError(f"'{name}' is a key of the recipe itself; name the stage otherwise")
    return name


def _variable(name: str) -> str:
    match = _INTERPOLATED.match(name)
    name = match[1] if match else name
    if not _VARIABLE.match(name):
        # The value itself is not repeated: it may be the secret.
        raise ValueError("write the NAME of the environment variable that holds the key, never the key")
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]
VariableName = Annotated[str, AfterValidator(_variable)]


class Strict(BaseModel):
    """Unknown keys are errors; values are fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(Strict):
    """What an endpoint costs, in any one currency per million tokens."""

    input: float = Field(default=0.0, ge=0, description="per million prompt tokens")
    output: float = Field(default=0.0, ge=0, description="per million completion tokens")


class Limits(Strict):
    """What an endpoint's provider allows."""

    requests_per_minute: Count | None = Field(default=None, gt=0)
    tokens_per_minute: Count | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, gt=0)


class EndpointSampler(Strict):
    """Sampling settings that are sent with every request to an endpoint."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)


class Endpoint(Strict):
    """An OpenAI-compatible server."""

    base_url: str = Field(description="up to and including /v1")
    model: str = Field(description="the model's name there")
    key_env: VariableName | None = Field(
        default=None,
        description="name of the environment variable that holds the key; `${NAME}` is read as NAME",
    )
    price: Price = Price()
    limits: Limits = Limits()
    sampler: EndpointSampler = EndpointSampler()


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
    datasets: dict[StageName, dict[str, Any]] = Field(
        default_factory=dict, description="name → {path, format, license, ...}: imported where it is used"
    )
    stages: dict[StageName, dict[str, Any]] = Field(
        min_length=1, description="name → {uses: kind, parameters}"
    )
