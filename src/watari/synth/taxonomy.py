"""What generated instructions are about: topics with their subjects, categories with their weights; as a YAML file.

    topics:
      年中行事: [節分の豆まき, 七夕の短冊]
    categories:
      qa: 10                                               # a category of languages/prompts/instruct-<code>.yaml
      code: {weight: 5, topics: [プログラムとデータ]}       # kept to some topics
      menus: {weight: 2, task: 献立を考える依頼。, system: false, turns: 1}    # one of its own

Without a file, `languages/taxonomies/<code>.yaml` is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watari.artifact.draws import draw_uniform, generator
from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.languages import languages, load_language

_FOLDER = "watari.languages"
_DRAWS = "synth.instruct/draws"
_GOLDEN = 0.6180339887498949


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Task(_Strict):
    """How a category is asked for.

    Args:
        task: What kind of instruction is wanted, for the teacher.
        system: True if every instruction comes with a system prompt.
        turns: Messages of the user, the first included.
        expects: `json`: an answer must hold JSON that can be read; `other-language`: it may be in another language.
    """

    task: str = Field(min_length=1)
    system: bool = False
    turns: int = Field(default=1, ge=1, le=8)
    expects: Literal["", "json", "other-language"] = ""


class Texts(_Strict):
    """`languages/prompts/instruct-<code>.yaml`: how instructions and answers are asked for."""

    system: str
    request: str
    example_head: str
    form_user: str
    form_system: str
    answer: str
    repair: str
    followup: str
    categories: dict[str, Task]

    @property
    def version(self) -> str:
        """Hash of the words, 8 hex digits."""
        return hash_json(self.model_dump(mode="json"))[:8]


class _Category(_Strict):
    weight: float = Field(default=1.0, gt=0)
    topics: list[str] | None = Field(default=None, min_length=1)
    task: str | None = None
    system: bool | None = None
    turns: int | None = Field(default=None, ge=1, le=8)
    expects: Literal["", "json", "other-language"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _weight_alone(cls, value: Any) -> Any:
        return {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class _File(_Strict):
    topics: dict[str, list[str]] = Field(min_length=1)
    categories: dict[str, _Category] = Field(min_length=1)

    @model_validator(mode="after")
    def _topics_are_there(self) -> _File:
        for name, subjects in self.topics.items():
            if not subjects or any(not subject.strip() for subject in subjects):
                raise ValueError(f"topic '{name}' has no subjects, or an empty one")
        for name, category in self.categories.items():
            for topic in category.topics or ():
                if topic not in self.topics:
                    raise ValueError(f"category '{name}' names a topic that is not there: '{topic}'")
        return self


@dataclass(frozen=True)
class Category:
    """A kind of instruction.

    Args:
        name: What is counted and stands in a row's meta.
        weight: Its share is this over the sum of all.
        task: How it is asked for.
        subjects: (topic, subject) that it draws from.
    """

    name: str
    weight: float
    task: Task
    subjects: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Draw:
    """What one request asks for.

    Args:
        category: The kind.
        subjects: (topic, subject) for each of its instructions, different ones as far as there are enough.
    """

    category: Category
    subjects: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Taxonomy:
    """All categories of a stage."""

    categories: tuple[Category, ...]

    def draw(self, seed: int, request: int, count: int) -> Draw:
        """Return what request number `request` asks for: keyed by the seed and that number alone.

        Categories follow a Weyl sequence with a drawn start, so that few requests too have them by their weights.
        """
        weights = np.cumsum([category.weight for category in self.categories])
        turn = (draw_uniform(seed, _DRAWS, "start") + request * _GOLDEN) % 1.0
        place = int(np.searchsorted(weights, turn * weights[-1], side="right"))
        category = self.categories[min(place, len(self.categories) - 1)]
        rng = generator(seed, _DRAWS, str(request))
        drawn: list[tuple[str, str]] = []
        while len(drawn) < count:
            order = rng.permutation(len(category.subjects))
            drawn += [category.subjects[int(one)] for one in order[: count - len(drawn)]]
        return Draw(category, tuple(drawn))


def load_taxonomy(language: str, path: str | None, only: list[str] | None = None) -> Taxonomy:
    """Return the taxonomy in a file, or the language's own.

    Args:
        language: Its texts say how categories are asked for.
        path: A YAML file; None: the packaged one.
        only: Names of the categories wanted; None: all.

    Raises:
        UserError: if there is none, or the file is wrong, naming the field.
    """
    where = path or f"languages/taxonomies/{language}.yaml"
    try:
        content = yaml.safe_load(_text(language, path))
        found = _File.model_validate(content)
    except (ValidationError, yaml.YAMLError) as error:
        raise UserError(f"{where}: {_said(error)}") from None
    known = instruct_texts(language).categories
    made = []
    for name, category in found.categories.items():
        if only is not None and name not in only:
            continue
        made.append(
            Category(name, category.weight, _task(where, name, category, known), _subjects(found, category))
        )
    if only is not None and (strange := sorted(set(only) - set(found.categories))):
        raise UserError(f"categories: no '{strange[0]}'", f"known: {', '.join(found.categories)}")
    return Taxonomy(tuple(made))


def _task(where: str, name: str, category: _Category, known: dict[str, Task]) -> Task:
    base = known.get(name)
    if base is None and category.task is None:
        raise UserError(
            f"{where}: category '{name}' is not known and has no `task`",
            f"say what is asked for, or take one of {', '.join(known)}",
        )
    own = category.model_dump(include={"task", "system", "turns", "expects"}, exclude_none=True)
    return Task.model_validate({**(base.model_dump() if base else {}), **own})


def _subjects(file: _File, category: _Category) -> tuple[tuple[str, str], ...]:
    names = category.topics or list(file.topics)
    return tuple((name, subject) for name in names for subject in file.topics[name])


def _text(language: str, path: str | None) -> str:
    if path is not None:
        try:
            return Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
    entry = resources.files(_FOLDER) / "taxonomies" / f"{language}.yaml"
    if not entry.is_file():
        raise UserError(
            f"taxonomy: none is packaged for '{language}'",
            "give a file of topics and categories: `taxonomy: my.yaml`",
        )
    return entry.read_text("utf-8")


@cache
def instruct_texts(language: str) -> Texts:
    """Return how instructions are asked for in a language: its own words, or the English ones about it.

    Raises:
        UserError: if the file is wrong.
    """
    folder = resources.files(_FOLDER) / "prompts"
    entry = folder / f"instruct-{language}.yaml"
    if not entry.is_file():
        entry = folder / "instruct-en.yaml"
    try:
        texts = Texts.model_validate(yaml.safe_load(entry.read_text("utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise UserError(f"languages/prompts/{entry.name}: {_said(error)}") from None
    name = (
        load_language(language).name["en"]
        if language in languages()
        else {"en": "English"}.get(language, language)
    )
    filled = {field: text.replace("{language}", name) for field, text in texts if isinstance(text, str)}
    return texts.model_copy(update=filled)


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
