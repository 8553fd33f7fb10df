"""Parameters that the evaluations which ask have in common, and their checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from watari.endpoint.params import EndpointRef, ModelOrEndpoint
from watari.endpoint.settings import EndpointSampler

BUNDLED = "bundled"
"""The word for the questions or items that come with Watari."""
ON_BOS = "what is done where the prompt's BOS is lost or doubled: stop, or tell and go on (a model that was trained so)"
OnBos = Literal["stop", "tell"]
Chat = Annotated[
    ModelOrEndpoint,
    Field(
        description="who is examined: an endpoint, or a stage that makes a chat model (it then runs in this process)"
    ),
]
Judge = Annotated[EndpointRef, Field(description="who rates: any OpenAI-compatible endpoint")]


def is_bundled(value: Any) -> bool:
    """True for the word `bundled`, also where a recipe has made a path of it, relative to its file."""
    return isinstance(value, str) and Path(value).name == BUNDLED and not Path(value).exists()


def none_if_bundled(value: Any) -> Any:
    """Return None, which is the default, for the word `bundled`; a field's validator, before all others."""
    return None if is_bundled(value) else value


def check_one_limit(sampler: EndpointSampler) -> None:
    """Make sure that the limit of an answer is given in one place.

    Raises:
        ValueError: if the sampler has one, too.
    """
    if sampler.max_tokens is not None:
        raise ValueError("sampler: the limit of an answer is `max_tokens:` of the stage")
