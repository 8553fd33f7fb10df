"""Wordings of the prompts that translations are asked with, as data. A new language is a new YAML file in this folder.

`en.yaml` holds the base texts, which are written in English for every pair of languages. Another language's file gives,
under `translate`, only what is its own: the wordings of `register` (polite, plain, keep), notes of `style`, the form of a
`glossary_entry`; a language without a file is asked for in the base's general words.
"""

from __future__ import annotations

import re
import string
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.languages import languages, load_language

BASE = "en"
Register = Literal["polite", "plain", "keep"]

_LANGUAGE_FILE = re.compile(r"[a-z]{2,3}\.yaml")
_NAMES = {
    "system": {"source", "target", "turns", "speakers"},
    "speakers": {"speakers"},
    "request": {"source", "target", "category", "original", "numbers"},
    "repair": {"source", "target", "problems", "numbers"},
    "register_head": {"register"},
    "glossary_entry": {"term", "translation"},
}


class _Texts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _names_are_known(self) -> _Texts:
        for name, known in _NAMES.items():
            text = getattr(self, name, None)
            used = {field for _, field, _, _ in string.Formatter().parse(text or "") if field is not None}
            if strange := used - known:
                raise ValueError(f"{name}: no such name as {{{sorted(strange)[0]}}}")
        return self


class TranslateTexts(_Texts):
    """What a translation is asked with; texts are filled in by `str.format`."""

    system: str
    speakers: str
    request: str
    repair: str
    truncated: str
    register_head: str
    style_head: str
    glossary_head: str
    glossary_entry: str
    register_: dict[Register, str] = Field(alias="register")
    style: list[str]
    roles: dict[str, str]


class NativeTexts(_Texts):
    """What a task of its own is asked with, where one cannot be translated."""

    system: str
    request: str
    repair: str


class PromptTexts(BaseModel):
    """All wordings for one target language.

    Args:
        version: Hash of the words: other words are another prompt, and what they ask is asked anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    translate: TranslateTexts
    native: NativeTexts
    version: str


def prompt_languages() -> list[str]:
    """Return the codes of the languages that have wordings of their own, sorted."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if _LANGUAGE_FILE.fullmatch(name))


@cache
def prompt_texts(target: str) -> PromptTexts:
    """Return the wordings for translations into `target`: the base, with the language's own laid over it.

    Raises:
        UserError: if the language has no pack at all, or its file is broken.
    """
    if target not in languages():
        load_language(target if target != BASE else "ja")
    content = _content(BASE)
    if target != BASE and target in prompt_languages():
        for section, own in _content(target).items():
            if section in content:
                content[section] = _laid(content[section], own)
    texts = {name: content[name] for name in ("translate", "native")}
    try:
        return PromptTexts(**texts, version=hash_json(texts)[:12])
    except (ValidationError, TypeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UserError(f"languages/prompts/{target}.yaml: {said}") from None


def language_name(code: str) -> str:
    """Return a language's English name, or its code where no pack knows it."""
    if code == BASE:
        return "English"
    return load_language(code).name.get("en", code) if code in languages() else code


def _content(code: str) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"))
    return dict(found)


def _laid(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    return {**base, **{name: {**base[name], **value} if isinstance(value, dict) and isinstance(base.get(name), dict) else value
                       for name, value in own.items()}}  # fmt: skip
