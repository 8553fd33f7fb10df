"""What a build says of itself in `corpus.json`, as the report reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from watari.errors import UserError

RECORD = "corpus.json"


def _hash(value: Any) -> Any:
    return int(value, 16) if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Sums(_Part):
    """Sums over rows: how many, UTF-8 bytes and characters of their texts as read, and their hashes modulo 2**64."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    hash_sum: Annotated[int, BeforeValidator(_hash)] = 0


class RecordedTotals(_Part):
    """What was read, what was kept, and what was dropped for each reason, as the build counted it."""

    read: Sums | None = Field(None, validation_alias=AliasChoices("in", "read"))
    kept: Sums | None = None
    dropped: dict[str, Sums] | None = Field(
        None, validation_alias=AliasChoices("dropped", "reasons", "by_reason")
    )


class RecordedRule(_Part):
    """A rule of the profile with its limits; see `corpus.rules.profile`."""

    name: str
    metric: str = ""
    unit: str = ""
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    about: str = ""

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name: min and max stay, above and below do not."""
        found = {"min": self.min, "above": self.above, "max": self.max, "below": self.below}
        return {name: value for name, value in found.items() if value is not None}


class RecordedProfile(_Part):
    """The profile as it was used: with every override."""

    name: str = ""
    language: str = ""
    description: str = ""
    source: str = ""
    rules: list[RecordedRule] = Field(default_factory=list)


class BuildRecord(_Part):
    """`corpus.json`. Whatever a build did not do may be left out; the report then says less.

    Args:
        name: What the corpus is called.
        seed: Of the build's draws.
        parameters: As given, for the card and the page.
        profile: The rules with their thresholds.
        steps: Names of the steps in their order, as the ledger's column `step` has them.
        totals: Counted by the build itself, beside the ledger.
        contamination: By task: figures such as items, documents, characters.
        clusters: Clusters of duplicates by size.
        masked: Personal data masked, by kind.
        tokenizer, bytes_per_token: UTF-8 bytes per token by language (`all` for the rest), if one was given.
    """

    name: str = ""
    seed: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)
    profile: RecordedProfile | None = None
    steps: list[str] = Field(default_factory=list)
    totals: RecordedTotals = Field(default_factory=RecordedTotals)
    contamination: dict[str, dict[str, Any] | int] = Field(default_factory=dict)
    clusters: dict[int, int] | None = None
    masked: dict[str, int] | None = Field(None, validation_alias=AliasChoices("masked", "pii"))
    tokenizer: str | None = None
    bytes_per_token: dict[str, float] | None = None

    def tokens(self, size: int, language: str) -> float | None:
        """Return about how many tokens `size` bytes of a language make, or None where no tokenizer was given."""
        known = self.bytes_per_token or {}
        rate = known.get(language) or known.get("all")
        if not rate and known:
            rate = sum(known.values()) / len(known)
        return size / rate if rate else None


def read_record(folder: Path) -> BuildRecord:
    """Return a build's record; an empty one if it has none.

    Raises:
        UserError: if the folder is not there, or the record cannot be read; names the field.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "name the folder that `watari corpus build` wrote")
    path = folder / RECORD
    if not path.is_file():
        return BuildRecord()
    try:
        return BuildRecord.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where}: {first['msg']}", "build the corpus again") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}", "build the corpus again") from error
