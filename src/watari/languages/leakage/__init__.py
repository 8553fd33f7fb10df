"""Leakage profiles: what the detector must know of a language, as data. A new language is a YAML file in this folder.

A profile speaks of a language as the one that a response should be in and as the one that leaks. A language without a
file is judged by its script alone. Fields:
    names      How the language is called, in any language, for instructions such as "answer in Japanese".
    asks       Patterns of its own instructions to answer in, or translate into, a language; `{name}` stands for one.
    direct     {language: pattern that by itself asks for an answer in that language} (和訳).
    stop       Words of grammar in small letters: what tells a sentence in this language, where it has blanks.
    latin      Of a language not written in Latin letters: languages whose words in Latin letters leak into it; a word list
               of each stands in `words/`.
    harmless   Words in Latin letters that its texts hold: formats, products.
    code_words Words that it holds where code is spoken of: where a backtick, an identifier or several of them stand.
    mixes      Whether it mixes English words in where it speaks of technology: lines with names of code or formats are let pass.
    units      Words that it holds behind a number.
    cues       Patterns of what stands before a word that is mentioned, not used ("the term").
    behind     Patterns of what stands behind one ("という").
    foreign    {other language: its words which this one never has, though it could write them}.
    friends    {other language: {word that this one has in another sense: pattern of that sense in an original}}.
    characters {other language: characters that it has and this one never has}, beside what character sets tell.
    particles  Patterns of grammar in its own script: a run that holds none can be a name.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from watari.errors import UserError


class LeakageProfile(BaseModel):
    """One language's profile; see this package's head for the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: str
    names: list[str] = Field(default_factory=list)
    asks: list[str] = Field(default_factory=list)
    direct: dict[str, str] = Field(default_factory=dict)
    stop: str = ""
    latin: list[str] = Field(default_factory=list)
    harmless: str = ""
    code_words: str = ""
    mixes: bool = False
    units: str = ""
    cues: list[str] = Field(default_factory=list)
    behind: list[str] = Field(default_factory=list)
    foreign: dict[str, str] = Field(default_factory=dict)
    friends: dict[str, dict[str, str]] = Field(default_factory=dict)
    characters: dict[str, str] = Field(default_factory=dict)
    particles: list[str] = Field(default_factory=list)

    @field_validator("asks", "cues", "behind", "particles")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        for item in value:
            try:
                re.compile(item.replace("{name}", "x"))
            except re.error as error:
                raise ValueError(f"{item!r} is no regular expression: {error}") from None
        return value


def leakage_languages() -> list[str]:
    """Return the codes of the languages with a profile, sorted."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def leakage_profile(code: str) -> LeakageProfile:
    """Return a language's profile; of a language without a file, an empty one.

    Raises:
        UserError: if the file cannot be read.
    """
    import yaml

    if code not in leakage_languages():
        return LeakageProfile(code=code)
    content = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8")) or {}
    try:
        return LeakageProfile(code=code, **content)
    except ValidationError as error:
        raise UserError(f"languages/leakage/{code}.yaml: {error.errors()[0]['msg']}") from None


@cache
def common_words(code: str) -> frozenset[str]:
    """Return common words of a language in small letters, without regular forms; none of a language without a list."""
    path = resources.files(__name__) / "words" / f"{code}.txt"
    if not path.is_file():
        return frozenset()
    lines = path.read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
