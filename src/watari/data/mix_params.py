"""Parameters of `data.mix`, part by part."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.artifact.params import Count

EVERY_OTHER = "*"
"""In a cap: every name that has none of its own."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Caps(_Part):
    """Rows at most, by name; `"*"` stands for every name that is not written. Which rows stay is a keyed draw."""

    source: dict[str, Count] = Field(
        default_factory=dict, description="by the rows' source: {airoboros: 10k}"
    )
    language: dict[str, Count] = Field(default_factory=dict, description="by language: {en: 20k}")
    category: dict[str, Count] = Field(
        default_factory=dict, description="by `category` in the rows' meta; rows without one are never over"
    )

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        for kind in ("source", "language", "category"):
            for name, count in getattr(self, kind).items():
                if count < 0:
                    raise ValueError(f"{kind}: {name}: a cap is not negative")
        return self


class Dedup(_Part):
    """How duplicates are found, across all inputs; of two the one in the earlier input stays, in an input the earlier row."""

    exact: bool = Field(
        default=True, description="drop rows whose turns another row has too (blanks do not count)"
    )
    near: bool = Field(default=True, description="drop near duplicates too, found by MinHash; needs `exact`")
    of: Literal["conversation", "prompt"] = Field(
        default="conversation",
        description="what is compared: all turns, or the user's alone (then the same question answered twice is one)",
    )
    threshold: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="similarity (Jaccard of character 5-grams, estimated) from which two rows are near duplicates."
        " Default 0.8: above corpora's 0.7, since rows made from one template are alike without being the same",
    )
    min_characters: int = Field(
        default=100,
        ge=0,
        description="shorter rows are only compared exactly: in `12 + 5?` and `12 + 6?` nearly all is the same",
    )
    bands: int = Field(default=16, ge=1, le=64, description="bands of the signature, as in corpus.build")
    words: int = Field(default=7, ge=1, le=32, description="32-bit words of a band")

    @model_validator(mode="after")
    def _near_needs_exact(self) -> Self:
        if self.near and not self.exact:
            raise ValueError("near duplicates include exact ones: with exact: false, write near: false too")
        return self


class TranslationTasks(_Part):
    """Tasks `translate this` made from conversations and their accepted translations (Shisa's ultra-orca-boros)."""

    share: float = Field(
        default=0.05, gt=0, lt=1, description="of all rows at most; which pairs are taken is a keyed draw"
    )
    min_characters: int = Field(
        default=2000,
        ge=1,
        description="characters of the original turn at least. Default: Shisa's, whose tasks were long texts",
    )
    max_characters: int = Field(
        default=20_000,
        ge=1,
        description="of the original and of its translation at most, so that a task can be trained on",
    )
    code: bool = Field(
        default=False,
        description="take turns with code too; Shisa took none: their code is the same on both sides",
    )
    turns: Literal["assistant", "all"] = Field(default="assistant", description="whose turns become tasks")
    directions: Literal["both", "there", "back"] = Field(
        default="both",
        description="there: original → translation, back: the other way; both: each turn once, drawn",
    )
