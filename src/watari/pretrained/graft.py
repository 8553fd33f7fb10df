"""`graft.json`: how an extended tokenizer follows from its base, piece by piece.

`tokenizer.extend` writes it, `model.graft` makes the new rows of a model from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watari.artifact import atomic
from watari.errors import UserError

GRAFT = "graft.json"


class Graft(BaseModel):
    """The new pieces, in the order of their ids: piece k has id `base_vocabulary + k` and rank k."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = 1
    family: Literal["sentencepiece", "byte-level"] = Field(
        "sentencepiece",
        description="how `pieces` are written: with U+2581 for a blank, or in the byte-level alphabet",
    )
    language: str = Field(description="the language that the pieces were made for")
    base_digest: str = Field(description="hash of the base's pieces in the order of their ids")
    base_vocabulary: int = Field(ge=1, description="number of the base's pieces")
    pieces: list[str]
    ranks: list[int] = Field(description="order in which merges are tried, after every merge of the base")
    parents: list[list[int]] = Field(description="the base's own segmentation of each piece: base ids")
    frequency: list[int] = Field(
        description="how often each piece comes out when the training text is encoded"
    )
    first_frequency: list[int] = Field(
        description="how often the first parent of each piece comes out when the base encodes the training text"
    )
    saved: list[int] = Field(
        default_factory=list,
        description="tokens of the training text that each piece saved when it was learned, by weight, in 1/1024",
    )
    characters: int = Field(0, ge=0, description="code points of the training text, by weight")
    tokens: int = Field(0, ge=0, description="tokens of the training text under the base, by weight")

    @model_validator(mode="after")
    def _same_length(self) -> Graft:
        lengths = {
            len(column)
            for column in (self.pieces, self.ranks, self.parents, self.frequency, self.first_frequency)
        } | ({len(self.saved)} if self.saved else set())
        if len(lengths) > 1:
            raise ValueError("pieces, ranks, parents, frequencies and savings differ in length")
        if any(not ids or min(ids) < 0 or max(ids) >= self.base_vocabulary for ids in self.parents):
            raise ValueError("a piece has no parents, or one outside the base's vocabulary")
        return self

    def first(self, count: int) -> Graft:
        """Return the graft of the first `count` pieces: what a run for `count` would have given."""
        columns = ("pieces", "ranks", "parents", "frequency", "first_frequency", "saved")
        return self.model_copy(update={name: getattr(self, name)[:count] for name in columns})

    @property
    def vocabulary(self) -> int:
        """Number of pieces of the extended tokenizer."""
        return self.base_vocabulary + len(self.pieces)


def write_graft(graft: Graft, folder: Path) -> None:
    """Write `graft.json` on one line a field, so that tens of thousands of rows stay small."""
    atomic.write_json(folder / GRAFT, graft.model_dump(mode="json"), indent=None)


def read_graft(folder: Path) -> Graft:
    """Return the graft that lies in a tokenizer's folder.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    path = folder / GRAFT
    try:
        return Graft.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no {GRAFT}: this tokenizer was not made by tokenizer.extend",
            "give what the stage `tokenizer.extend`, or `watari tokenizer extend`, wrote",
        ) from None
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable graft: {str(error).splitlines()[0]}") from None
