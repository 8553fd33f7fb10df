"""Parameters of deduplication."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DedupParams(BaseModel):
    """How duplicates are found, and what stops a corpus in which too many are found."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    exact: bool = Field(
        default=True, description="drop documents whose normalised text another document has too (xxh128)"
    )
    near: bool = Field(default=True, description="drop near duplicates too, found by MinHash; needs `exact`")
    shingle: int = Field(
        default=5,
        ge=1,
        le=64,
        description="characters of a shingle, white space not counted. Default 5, as in Swallow's corpus"
        " (doubri) and HojiChar: where 2 % of the characters of Japanese articles were edited, 5 finds 98 %"
        " of the copies and 8 finds 76 % (benchmarks/corpus_minhash.py)",
    )
    shingles: dict[str, Annotated[int, Field(ge=1, le=64)]] = Field(
        default_factory=dict,
        description="another length for the documents of a language: {en: 8}. Default: none. English articles"
        " meet by chance some fifty times as often as Japanese ones (2 of 10 million pairs against 3 of a"
        " billion; each is checked), so that past some ten million English documents 8 is worth the copies that"
        " it misses (benchmarks/corpus_minhash.py)",
    )
    bands: int = Field(
        default=16,
        ge=1,
        le=256,
        description="bands of the signature; two documents are compared where all words of one band agree."
        " Default: 16 bands of 7 words; FineWeb's 14 of 8 cost the same and find fewer copies with 2 % of"
        " their characters edited (95 against 98 %; benchmarks/corpus_minhash.py)",
    )
    rows: int = Field(
        default=7, ge=1, le=64, description="32-bit words of a band; bands x rows permutations are computed"
    )
    threshold: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="share of the words of two signatures that must agree, which estimates the Jaccard"
        " similarity of their shingles. Default 0.7: no false pair, and no pair of J >= 0.8 lost"
        " (facts/corpus.md §2)",
    )
    max_cluster_share: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="stop where one cluster holds a larger share of all documents; 1 never stops. Default 1 %"
        " (facts/corpus.md §4)",
    )
    max_source_loss: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="stop where a source loses a larger share of its documents to duplicates; 1 never stops."
        " Default 90 %: marin's #6854 lost 97 to 99.99 % of whole sources unnoticed",
    )
    guard_documents: int = Field(
        default=100,
        ge=2,
        description="documents that a cluster or a source must have before the two limits above look at it",
    )

    @model_validator(mode="after")
    def _near_needs_exact(self) -> Self:
        if self.near and not self.exact:
            raise ValueError("near duplicates include exact ones: with exact: false, write near: false too")
        return self

    @property
    def words(self) -> int:
        """Words of a signature: 0 where near duplicates are not looked for."""
        return self.bands * self.rows if self.near else 0
