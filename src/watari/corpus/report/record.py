"""What a build says of itself in `corpus.json`, as the report reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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

    read: Sums | None = Field(None, alias="in")
    kept: Sums | None = None
    dropped: dict[str, Sums] | None = None


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
        tokenizer: Its name, if one was given to measure rates with.
        tokens_per_character, bytes_per_token: The rates, by language (`all` for the rest); one of them.
        source_datasets: Ids of datasets of the Hub that it was made from.
    """

    name: str = ""
    seed: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)
    profile: RecordedProfile | None = None
    steps: list[str] = Field(default_factory=list)
    totals: RecordedTotals = Field(default_factory=lambda: RecordedTotals.model_validate({}))
    contamination: dict[str, dict[str, Any] | int] = Field(default_factory=dict)
    clusters: dict[int, int] | None = None
    masked: dict[str, int] | None = None
    tokenizer: str | None = None
    tokens_per_character: dict[str, float] | None = None
    bytes_per_token: dict[str, float] | None = None
    source_datasets: list[str] | None = None

    @property
    def rates(self) -> dict[str, float]:
        """UTF-8 bytes or characters per token (see `rate_unit`) by language; empty where no tokenizer was given."""
        if self.bytes_per_token:
            return {name: rate for name, rate in self.bytes_per_token.items() if rate > 0}
        return {name: 1 / rate for name, rate in (self.tokens_per_character or {}).items() if rate > 0}

    @property
    def rate_unit(self) -> Literal["bytes", "characters"]:
        """What the rates count."""
        return "bytes" if self.bytes_per_token else "characters"

    def tokens(self, size: int, characters: int, language: str) -> float | None:
        """Return about how many tokens a text of a language makes, or None where no tokenizer was given."""
        known = self.rates
        if not known:
            return None
        rate = known.get(language) or known.get("all") or sum(known.values()) / len(known)
        return (size if self.rate_unit == "bytes" else characters) / rate


def read_record(folder: Path) -> BuildRecord:
    """Return a build's record; an empty one if it has none.

    Raises:
        UserError: if the folder is not there, or the record cannot be read; names the field.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "name the folder that `watari corpus build` wrote")
    path = folder / RECORD
    if not path.is_file():
        return BuildRecord.model_validate({})
    try:
        return BuildRecord.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where}: {first['msg']}", "build the corpus again") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}", "build the corpus again") from error
