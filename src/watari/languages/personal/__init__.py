"""Forms of personal data by language: telephone numbers and identity numbers, as data. A new one is a YAML file here.

Fields:
    phone     country: digits behind the plus; kinds: for each, its `codes` (with the trunk 0, parted by blanks), how many
              `digits` a number has with it, which digits may stand behind the code (`local`), and whether it is one
              without separators too (`bare`); context: words before a number without separators that make it one.
    identity  kind: what masks are counted as; check: the rule in corpus/personal_checks.py; groups: digits between
              separators; context: words before it that say what it is.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.errors import UserError


class PhoneKind(BaseModel):
    """Numbers that are built alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    codes: str
    digits: list[int] = Field(min_length=1)
    local: str
    bare: bool = False


class Phone(BaseModel):
    """The telephone numbers of a country whose national numbers start with 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    country: str = Field(pattern="^[1-9][0-9]{0,2}$")
    kinds: list[PhoneKind]
    context: list[str] = Field(default_factory=list)


class Identity(BaseModel):
    """A person's number in a country."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    check: str
    groups: list[int] = Field(min_length=1)
    context: list[str] = Field(default_factory=list)


class PersonalForms(BaseModel):
    """The forms of one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: str
    phone: Phone | None = None
    identity: list[Identity] = Field(default_factory=list)


def personal_languages() -> list[str]:
    """Return the codes of the languages whose forms are known, sorted."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def personal_forms(code: str) -> PersonalForms:
    """Return a language's forms.

    Raises:
        UserError: if none are known.
    """
    import yaml

    if code not in personal_languages():
        raise UserError(
            f"no forms of personal data are known for '{code}'", f"known: {', '.join(personal_languages())}"
        )
    content = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"))
    try:
        return PersonalForms(code=code, **content)
    except ValidationError as error:
        raise UserError(f"languages/personal/{code}.yaml: {error.errors()[0]['msg']}") from None
