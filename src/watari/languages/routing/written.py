"""A routing file as it is written, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.errors import UserError


class RuleText(BaseModel):
    """One rule as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    category: str = Field(pattern=r"^[a-z]+(-[a-z]+)*$")
    reason: str = Field(min_length=1)
    patterns: list[str] = Field(min_length=1)
    unless: list[str] = Field(default_factory=list)


class RoutingText(BaseModel):
    """A routing file as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fragments: dict[str, str] = Field(default_factory=dict)
    innocent: list[str] = Field(default_factory=list)
    guards: dict[str, list[str]] = Field(default_factory=dict)
    rules: list[RuleText] = Field(min_length=1)


def checked(content: Any, where: str) -> Mapping[str, Any]:
    """Return the content of a routing file, every field of it filled in.

    Args:
        content: As YAML gives it.
        where: The file, for messages.

    Raises:
        UserError: naming the file, and the rule or field that is wrong.
    """
    try:
        text = RoutingText.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for rule in text.rules:
        for name in rule.unless:
            if name not in text.guards:
                raise UserError(f"{where}: rule {rule.category}: no guard '{name}'")
    return text.model_dump()


def check_pattern(pattern: str, where: str) -> None:
    """Raise UserError if a pattern is none."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError(f"{where}: {pattern!r:.80}: {error}") from None
