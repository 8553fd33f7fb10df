"""Parameters of the mixture: token quotas by language and by source."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.artifact.params import Count

TOKENS_PER_CHARACTER = {"ja": 1.17, "en": 0.26}
"""Tokens that a character becomes where nothing better is known. See `MixParams.tokens_per_character`."""
OTHER = 0.5

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]+)*")
_CLOSE = 1e-6


class MixParams(BaseModel):
    """How many tokens of which language and source go into the corpus.

    `{ja: 0.9, en: 0.1}` and `{ja: 0.9, en: 0.1, tokens: 8B}` are understood as shares of languages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    languages: dict[str, float] = Field(
        default_factory=dict,
        description="share of each language in the tokens, summing to 1; a language that is not named is left out."
        " Swallow and Shisa 7B: {ja: 0.9, en: 0.1}",
    )
    sources: dict[str, float | dict[str, float]] = Field(
        default_factory=dict,
        description="share of a source in the tokens, {wiki: 0.2}; with `languages` its share in a language's,"
        " {ja: {wiki: 0.2}}. Sources that are not named share the rest, each by its size",
    )
    tokens: Count | None = Field(
        default=None,
        ge=1,
        description="tokens in all. Default: as many as the scarcest part allows",
    )
    repeats: int = Field(
        default=1,
        ge=1,
        le=100,
        description="copies of a document at most. No document is repeated while another of its part is left out."
        " Up to 4 passes are worth about as much as new text (Muennighoff et al. 2023, arXiv:2305.16264)",
    )
    repeat_by: Literal["cluster", "all alike"] = Field(
        default="cluster",
        description="which documents are repeated first: those of which more near-duplicates were found, by the log2 of"
        " their cluster (as FineWeb2's rehydration), or all alike",
    )
    on_short: Literal["warn", "stop"] = Field(
        default="warn",
        description="what a part that holds too little for its quota does: all of it is taken and the shares are"
        " missed, with a warning; or an error",
    )
    tokens_per_character: dict[str, float] = Field(
        default_factory=dict,
        description="tokens that a character of a language becomes, where documents bring no count of tokens. Default:"
        " measured with the tokenizer where one is given; else ja 1.17, en 0.26, others 0.5 (ja and en: Mistral 7B's"
        " tokenizer on Kyoto articles, Aozora and English novels; one extended for Japanese takes fewer)",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "languages" in value:
            return value
        named = {
            name: share
            for name, share in value.items()
            if isinstance(name, str) and name not in cls.model_fields and _LANGUAGE.fullmatch(name)
        }
        if not named:
            return value
        return {"languages": named} | {name: item for name, item in value.items() if name not in named}

    @model_validator(mode="after")
    def _sensible(self) -> MixParams:
        _shares("languages", self.languages, whole=True)
        nested = {name: item for name, item in self.sources.items() if isinstance(item, dict)}
        flat = {name: item for name, item in self.sources.items() if not isinstance(item, dict)}
        if nested and flat:
            raise ValueError("sources: write either {source: share} or {language: {source: share}}, not both")
        if self.languages and flat:
            raise ValueError("sources: with languages, write {language: {source: share}}")
        _shares("sources", flat)
        for language, shares in nested.items():
            if language not in self.languages:
                raise ValueError(f"sources: '{language}' has no share in languages")
            _shares(f"sources: {language}", shares)
        for language, rate in self.tokens_per_character.items():
            if not rate > 0:
                raise ValueError(f"tokens_per_character: {language}: above 0 is wanted")
        return self

    def rate(self, language: str) -> float:
        """Return the tokens that a character of a language becomes."""
        return self.tokens_per_character.get(language, TOKENS_PER_CHARACTER.get(language, OTHER))

    def sources_of(self, language: str | None) -> dict[str, float]:
        """Return the shares of sources in a language's tokens; in all tokens for None."""
        if language is None:
            return {name: share for name, share in self.sources.items() if not isinstance(share, dict)}
        found = self.sources.get(language, {})
        return found if isinstance(found, dict) else {}


def _shares(name: str, shares: dict[str, float], *, whole: bool = False) -> None:
    for part, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: {part}: a share between 0 and 1 is wanted, not {share:g}")
    total = math.fsum(shares.values())
    if shares and (total > 1 + _CLOSE or (whole and total < 1 - _CLOSE)):
        raise ValueError(f"{name}: the shares sum to {total:g}{', 1 is wanted' if whole else ', over 1'}")
