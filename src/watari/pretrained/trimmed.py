"""`trim.json`: which ids of a base tokenizer a trimmed one has kept.

`tokenizer.trim` writes it, `model.trim` picks the rows of a model by it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watari.artifact import atomic
from watari.errors import UserError
from watari.pretrained.sentencepiece import read_spm, vocabulary_digest

TRIM = "trim.json"
GONE = -1
"""Stands in a table of ids for one that was left out."""


class Trim(BaseModel):
    """The kept ids in their order: new id k is the base's id `kept[k]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = 1
    base_digest: str = Field(description="hash of the base's pieces in the order of their ids")
    base_vocabulary: int = Field(ge=1, description="size of the base's table: one above its highest id")
    kept: list[int] = Field(min_length=1, description="base ids, rising")

    @model_validator(mode="after")
    def _rising(self) -> Trim:
        if self.kept[0] < 0 or self.kept[-1] >= self.base_vocabulary:
            raise ValueError("an id outside the base's vocabulary")
        if any(a >= b for a, b in zip(self.kept, self.kept[1:], strict=False)):
            raise ValueError("the kept ids do not rise")
        return self

    @property
    def vocabulary(self) -> int:
        """Number of ids of the trimmed tokenizer."""
        return len(self.kept)

    def new_ids(self) -> npt.NDArray[np.int64]:
        """Return the new id of each base id (base_vocabulary,), `GONE` for those left out."""
        table = np.full(self.base_vocabulary, GONE, dtype=np.int64)
        table[self.kept] = np.arange(len(self.kept))
        return table


def write_trim(trim: Trim, folder: Path) -> None:
    """Write `trim.json` on one line."""
    atomic.write_json(folder / TRIM, trim.model_dump(mode="json"), indent=None)


def read_trim(folder: Path) -> Trim:
    """Return what was kept of the base of the tokenizer in `folder`.

    Raises:
        UserError: if it was not trimmed, or the file is damaged.
    """
    path = folder / TRIM
    try:
        return Trim.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no {TRIM}: this tokenizer was not made by tokenizer.trim",
            "feed the stage that trims the base's tokenizer",
        ) from None
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable: {str(error).splitlines()[0]}") from None


def folder_pieces(folder: Path) -> list[str]:
    """Return what each token id means to the tokenizer in `folder`: its piece, "" for a gap.

    Pieces are those of tokenizer.model where there is one, else those of tokenizer.json, added tokens included.

    Raises:
        UserError: if it has neither.
    """
    if (folder / "tokenizer.model").is_file():
        return [piece.text for piece in read_spm(folder / "tokenizer.model").pieces]
    path = folder / "tokenizer.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        return json_pieces(content)
    except FileNotFoundError:
        raise UserError(f"{folder}: no tokenizer (tokenizer.model or tokenizer.json)") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a readable tokenizer.json with a table of ids") from None


def json_pieces(content: dict[str, object]) -> list[str]:
    """Return the pieces of a tokenizer.json's content in the order of their ids, "" for a gap."""
    model, added = content["model"], content.get("added_tokens") or []
    if not isinstance(model, dict) or not isinstance(added, list):
        raise ValueError("no model")
    ids: dict[int, str] = {index: piece for piece, index in model["vocab"].items()}
    ids |= {int(token["id"]): str(token["content"]) for token in added}
    return [ids.get(index, "") for index in range(max(ids) + 1)]


def folder_digest(folder: Path) -> tuple[str, int]:
    """Return the hash of the pieces of the tokenizer in `folder` in the order of their ids, and their number."""
    pieces = folder_pieces(folder)
    return vocabulary_digest(pieces), len(pieces)
