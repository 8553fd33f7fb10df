"""The figures of one tokenizer on some documents."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PAGE = 1000
"""Characters of what is called a page here."""
CONTEXT = 4096
"""Tokens of the context window that a page is compared with: Llama 2's and the seed models' own."""


class Interval(BaseModel):
    """A figure with its 95 % interval; the ends are null where one document alone says nothing about it."""

    model_config = ConfigDict(frozen=True)
    value: float
    low: float | None
    high: float | None


class Figures(BaseModel):
    """What a tokenizer makes of some documents. Shares are in 0…1; a figure without anything to count is null."""

    model_config = ConfigDict(frozen=True)
    tokenizer: str = Field(description="its name, as it was given")
    file: str = Field(description="the file, as it was given; the source's name where there is no file")
    language: str = Field(description="its code; 'und' where nobody said, 'mul' for several together")
    documents: int
    chars: int = Field(description="code points")
    bytes: int = Field(description="bytes of UTF-8")
    tokens: int = Field(description="without BOS and EOS")
    chars_per_token: float | None
    chars_per_token_low: float | None = Field(
        description="95 %, bootstrap over documents; null for one document"
    )
    chars_per_token_high: float | None
    bytes_per_token: float | None
    fertility: float | None = Field(description="tokens per `fertility_unit`")
    fertility_unit: Literal["word", "character"] = Field(
        description="words are what blanks part; languages written without blanks are counted by characters"
    )
    byte_fallback: float | None = Field(description="share of tokens that are no whole characters")
    unknown: float | None = Field(
        description="share of tokens that stand for no text of their own: the unknown token, added tokens"
    )
    vocabulary: int = Field(description="one above the highest id")
    entries: int = Field(description="entries that stand for text: no special tokens, no gaps")
    unused: int = Field(description="entries that never came out of these documents")
    unreachable: int | None = Field(
        description="entries that their own text does not give, wherever it stands; null if not asked for"
    )
    round_trip: float | None = Field(
        description="share of documents that decode to themselves; null if not asked for"
    )
    tokens_per_page: float | None = Field(description="tokens of 1,000 characters")
    context: int = Field(description="tokens of the context window that a page is compared with")
    context_share: float | None = Field(description="share of that window which 1,000 characters take")
    relative_tokens: Interval | None = Field(
        description="tokens over those of the first tokenizer named, on the same text: what generating it costs, as "
        "long as a token costs the same; the interval is over documents, paired"
    )
