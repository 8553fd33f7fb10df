"""Leakage without training: a bias against the tokens that leak, for any server that has `logit_bias`.

What it costs is exact: a token with bias b is exp(b) times as likely against the others, everywhere, so it stands in the way
where such a token is right (a Japanese name in an English answer). So only tokens that were seen to leak get one, those of
the expected language never, and the bias is finite unless asked otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.errors import UserError
from watari.leakage.mass import Mass

STRENGTH = -5.0
"""A leak becomes e⁵ = 148 times less likely."""
LIMIT = 300
"""Tokens that get one; OpenAI's own servers take no more, and the mass is in few."""
_FORBID = -100.0
"""What servers take for "never" (OpenAI's lowest)."""


@dataclass(frozen=True)
class LogitBias:
    """A bias by token id, each within -100 and 100; `language` is what answers should be in."""

    language: str
    bias: Mapping[int, float]

    def as_json(self) -> dict[str, Any]:
        """Return what goes into a request's body as it is: {"logit_bias": {"id": bias}}, for vLLM, SGLang, llama.cpp."""
        return {"logit_bias": {str(token): value for token, value in sorted(self.bias.items())}}

    def for_local(self) -> dict[int, float]:
        """Return what `LocalModel.generate` takes, in which -100 forbids."""
        return {token: -math.inf if value <= _FORBID else value for token, value in self.bias.items()}

    def write(self, path: Path) -> None:
        """Write the body's fragment."""
        atomic.write_json(path, self.as_json())


def logit_bias(
    mass: Mass,
    *,
    strength: float = STRENGTH,
    share: float = 0.95,
    limit: int = LIMIT,
    added_only: bool = True,
) -> LogitBias:
    """Return a bias against the tokens that leak most.

    Args:
        mass: Measured; with at least as many `tokens` as shall get a bias.
        strength: What is added to their logits; -100 forbids them.
        share: Of the wrong-script mass that is to be covered.
        limit: Tokens at most.
        added_only: Leave the base's own tokens alone, where it is known which were added: bytes and single characters,
            without which other texts could not be written.

    Raises:
        UserError: for a strength that servers refuse.
    """
    if not -100 <= strength < 0:
        raise UserError(f"strength: {strength:g} is not between -100 and 0", "-5 weakens, -100 forbids")
    covered = 0.0
    found: dict[int, float] = {}
    for token in mass.tokens:
        if len(found) >= limit or covered >= share:
            break
        if added_only and token.added is False:
            continue
        found[token.id] = strength
        covered += token.share
    return LogitBias(mass.language, found)


def read_bias(path: Path, language: str = "und") -> LogitBias:
    """Return a bias from a file: {"logit_bias": {"id": bias}}, the inner object alone, or llama.cpp's [[id, bias]].

    Raises:
        UserError: if it cannot be read as one of these.
    """
    mend = 'write {"logit_bias": {"1234": -5.0}}'
    try:
        given = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {error}", mend) from None
    if isinstance(given, dict) and "logit_bias" in given:
        given = given["logit_bias"]
    pairs = given.items() if isinstance(given, dict) else given if isinstance(given, list) else None
    found: dict[int, float] = {}
    try:
        for token, value in pairs or ():
            # llama.cpp writes false for "never".
            number = _FORBID if value is False else float(value)
            if (isinstance(value, bool) and value) or not -100 <= number <= 100:
                raise ValueError(f"{value} is no bias")
            found[int(token)] = number
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not a logit bias: {error}", mend) from None
    if not found:
        raise UserError(f"{path}: no token has a bias", mend)
    return LogitBias(language, found)
