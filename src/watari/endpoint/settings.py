"""What a recipe says of an endpoint: where it is, what it costs, what it allows, how it is asked.

Of these fields the model, the form of the interface and the sampling settings decide what is answered, so they count in
a stage's key; the rest (address, key, price, limits, patience) may change without making a finished stage stale.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from watari.artifact.params import RUNTIME, Count

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
_INTERPOLATED = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}\Z")
_SCHEMES = ("http://", "https://", "replay://")


def _variable(name: str) -> str:
    match = _INTERPOLATED.match(name)
    name = match[1] if match else name
    if not _VARIABLE.match(name):
        # The value itself is not repeated: it may be the secret.
        raise ValueError("write the NAME of the environment variable that holds the key, never the key")
    return name


def _address(url: str) -> str:
    if not url.startswith(_SCHEMES):
        raise ValueError("an address begins with http:// or https:// and goes up to and including /v1")
    if "@" in url.split("://", 1)[1].split("/", 1)[0]:
        raise ValueError("a name or password in the address would stand in logs; use `key_env`")
    if not url.startswith("replay://") and ("?" in url or "#" in url):
        raise ValueError(
            "an address ends with /v1: what follows `?` would stand in logs; a key goes in `key_env`"
        )
    return url.rstrip("/")


VariableName = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]


class Strict(BaseModel):
    """Unknown keys are errors; values are fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Price(Strict):
    """What an endpoint costs, in any one currency per million tokens."""

    input: float = Field(default=0.0, ge=0, description="per million prompt tokens")
    output: float = Field(default=0.0, ge=0, description="per million completion tokens")
    cached: float | None = Field(
        default=None,
        ge=0,
        description="per million prompt tokens that the provider had cached; default: as input",
    )

    @property
    def free(self) -> bool:
        """True if nothing costs anything."""
        return not (self.input or self.output)


class Limits(Strict):
    """What an endpoint's provider allows."""

    requests_per_minute: Count | None = Field(default=None, gt=0)
    tokens_per_minute: Count | None = Field(default=None, gt=0)
    concurrency: int | None = Field(
        default=None,
        gt=0,
        description="requests in flight at most; default: begins with 64, grows to 512 where it helps",
    )


class EndpointSampler(Strict):
    """Sampling settings that are sent with every request to an endpoint."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, description="vLLM, SGLang, llama.cpp; OpenAI has none")
    min_p: float | None = Field(
        default=None, ge=0, le=1, description="vLLM, SGLang, llama.cpp; OpenAI has none"
    )
    repetition_penalty: float | None = Field(default=None, gt=0, description="vLLM, SGLang; OpenAI has none")
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, gt=0)

    def body(self) -> dict[str, Any]:
        """Return what stands in a request's body: the fields that are set."""
        return self.model_dump(exclude_none=True)


class Patience(Strict):
    """How long is waited for an endpoint, in seconds."""

    connect: float = Field(default=10.0, gt=0, description="for a connection")
    read: float = Field(default=120.0, gt=0, description="between two pieces of an answer")
    overall: float = Field(default=600.0, gt=0, description="for one attempt from its first to its last byte")
    unit: float = Field(
        default=3600.0,
        gt=0,
        description="for all attempts at one request, pauses included; then it is given up",
    )


class Budget(Strict):
    """What may be spent at most; nothing is sent whose worst case would exceed it."""

    money: float | None = Field(default=None, ge=0, description="in the currency of the prices")
    tokens: Count | None = Field(default=None, ge=0, description="prompt and completion tokens together")
    requests: Count | None = Field(default=None, ge=0)

    @property
    def unlimited(self) -> bool:
        """True if nothing is limited."""
        return self.money is None and self.tokens is None and self.requests is None


class Endpoint(Strict):
    """An OpenAI-compatible server."""

    name: Annotated[str, RUNTIME] = Field(default="", description="filled in from the recipe")
    base_url: Annotated[Address, RUNTIME] = Field(description="up to and including /v1")
    model: str = Field(min_length=1, description="the model's name there")
    api: Literal["chat", "completions"] = Field(default="chat", description="the interface that is asked")
    backend: Annotated[Literal["online", "batch", "vllm"], RUNTIME] = Field(
        default="online",
        description="online: one HTTP request each; batch: the provider's Batch API; vllm: in this process",
    )
    key_env: Annotated[VariableName | None, RUNTIME] = Field(
        default=None,
        description="name of the environment variable that holds the key; `${NAME}` is read as NAME",
    )
    price: Annotated[Price, RUNTIME] = Price()
    limits: Annotated[Limits, RUNTIME] = Limits()
    patience: Annotated[Patience, RUNTIME] = Patience()
    attempts: Annotated[int, RUNTIME] = Field(
        default=5,
        ge=1,
        description="times that a request is sent when the server fails, before it is given up",
    )
    sampler: EndpointSampler = EndpointSampler()
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="further fields of every request's body, as the server names them"
    )

    @property
    def label(self) -> str:
        """What it is called in messages: its name in the recipe, or the model's."""
        return self.name or self.model
