"""Language packs: what the rooms must know of a language, as data. A new language is a new YAML file in this folder.

Fields of a pack:
    name        {language code: its name in that language}: at least `en` and its own.
    script      strict: ranges of characters that only texts of this language (and of those in `shares`) hold,
                loose: marks that other languages use too, which may stand in a piece beside a strict character,
                shares: codes of languages written with some of the same characters,
                spaces: true if words are parted by blanks.
    boilerplate phrases of licences, colophons and page furniture; a new piece that holds one is told as suspicious.
    footer      words of which the footers of web pages are made: links, notices, counters (`text/footer.py`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from watari.errors import UserError


class ScriptPack(BaseModel):
    """The characters of a language; ranges are written `3040-30FF` or as one code point, in hexadecimal."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    strict: list[str] = Field(min_length=1)
    loose: str = ""
    shares: list[str] = Field(default_factory=list)
    spaces: bool

    @field_validator("strict", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML reads `0900` as a number.
        return [str(item) for item in value] if isinstance(value, list) else value

    def ranges(self) -> list[tuple[int, int]]:
        """Return (first, last) of every strict range."""
        found = []
        for item in self.strict:
            first, _, last = item.partition("-")
            found.append((int(first, 16), int(last or first, 16)))
        return found


class Language(BaseModel):
    """One language pack."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: str
    name: dict[str, str]
    script: ScriptPack
    boilerplate: list[str] = Field(default_factory=list)
    footer: list[str] = Field(default_factory=list)


def languages() -> list[str]:
    """Return the codes of the languages that have a pack, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".yaml")
    )


@cache
def load_language(code: str) -> Language:
    """Return a language's pack.

    Raises:
        UserError: if there is none for this code.
    """
    import yaml

    if code not in languages():
        raise UserError(f"'{code}' has no language pack", f"known: {', '.join(languages())}")
    content = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"))
    try:
        return Language(code=code, **content)
    except ValidationError as error:
        raise UserError(f"languages/{code}.yaml: {error.errors()[0]['msg']}") from None
