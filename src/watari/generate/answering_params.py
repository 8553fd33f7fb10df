"""Parameters that every stage has whose answers come from an endpoint or from a model in this process."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watari.artifact.params import RUNTIME, Count
from watari.endpoint.settings import EndpointSampler

Sampler = Annotated[
    EndpointSampler,
    Field(
        description="sampling settings, laid over the endpoint's own or the model's generation_config.json"
    ),
]
LongestAnswer = Annotated[
    Count,
    Field(
        ge=16,
        description="tokens to which the limit of an answer that was cut off may be raised (doubled)",
    ),
]
SendSeed = Annotated[
    bool, Field(description="send a seed with every request; off for servers that refuse the field")
]
Batch = Annotated[
    int, RUNTIME, Field(ge=1, description="conversations that a model in this process answers at a time")
]
Device = Annotated[
    str,
    RUNTIME,
    Field(description="torch device of such a model: cpu, cuda; auto: an accelerator if there is one"),
]
