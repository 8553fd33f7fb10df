"""Parameters of the selection by likeness to a target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.artifact.params import Count, OneOrMore
from watari.corpus.sources import SourceFile
from watari.errors import UserError


class Amount(BaseModel):
    """How much of a language to keep: one of the three."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: float | None = Field(default=None, gt=0, le=1, description="share of its documents")
    documents: Count | None = Field(default=None, ge=1, description="number of documents (Shisa 7B: 4M)")
    characters: Count | None = Field(default=None, ge=1, description="number of characters")

    @model_validator(mode="after")
    def _one(self) -> Amount:
        if sum(value is not None for value in (self.share, self.documents, self.characters)) != 1:
            raise ValueError("give one of share, documents and characters")
        return self


class SelectionParams(BaseModel):
    """Which documents to keep, by their likeness to a target."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    target: Annotated[list[SourceFile], OneOrMore] = Field(
        default_factory=list,
        description="files of documents like those wanted, in one or more languages; documents in other languages are"
        " left as they are",
    )
    keep: Amount | dict[str, Amount] = Field(
        description="how much of each of the target's languages to keep; {ja: {share: 0.25}} says it by language"
    )
    normalise: Literal["length", "none"] = Field(
        default="length",
        description="a document's weight: the mean log ratio of its n-grams, or (none) their sum as published, with"
        " which length decides. Measured, 200 picks among encyclopaedia and literature: 0.97 of them right, with sums"
        " 0.955, in 10,000 buckets 0.97 and 0.715 (benchmarks/corpus_selection.py)",
    )
    noise: float | None = Field(
        default=None,
        ge=0,
        description="scale of the Gumbel noise that makes the choice a sample, in nats (per n-gram with `length`); 0"
        " takes the highest weights. Default: 1 with `none`, as published; 0.01 with `length`, the same for a document"
        " of 100 n-grams",
    )
    ngrams: int = Field(default=2, ge=1, le=5, description="characters of the longest n-gram")
    buckets: Count = Field(
        default=65_536,
        ge=1_000,
        le=1 << 24,
        description="hash buckets of n-grams. The 10,000 published are for words; with characters 65,536 is better"
        " and no slower (benchmarks/corpus_selection.py)",
    )
    smoothing: float = Field(
        default=1_000.0,
        gt=0,
        description="n-grams of the corpus at large that are mixed into the target's counts, so that what a small"
        " target happens to lack is not counted as impossible (Dirichlet prior)",
    )
    min_target: Count = Field(
        default=1_000, ge=1, description="a target of fewer characters in a language is an error"
    )

    @model_validator(mode="after")
    def _some(self) -> SelectionParams:
        if not self.keep:
            raise ValueError("keep: say how much, {share: 0.25} or {ja: {share: 0.25}}")
        return self

    def amount(self, language: str) -> Amount:
        """Return how much of a language is kept.

        Raises:
            UserError: if `keep` goes by language and does not name this one.
        """
        if isinstance(self.keep, Amount):
            return self.keep
        if language not in self.keep:
            raise UserError(
                f"select: the target holds documents in '{language}', `keep` does not name it",
                f"add {language}: to keep, or leave them out of the target",
            )
        return self.keep[language]

    @property
    def noise_scale(self) -> float:
        """The scale of the noise, in the unit of the weights."""
        return self.noise if self.noise is not None else {"length": 0.01, "none": 1.0}[self.normalise]
