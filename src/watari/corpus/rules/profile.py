"""A profile: named rules with limits, in order, and the sets of characters that they count. A profile is a YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from watari.errors import UserError

_RANGE = re.compile(r"^(?:U\+)?([0-9A-Fa-f]{4,6})-(?:U\+)?([0-9A-Fa-f]{4,6})$")
_POINT = re.compile(r"^U\+([0-9A-Fa-f]{4,6})$")
_LIMITS = ("min", "max", "above", "below")
_HIGHEST = 0x10FFFF


class Rule(BaseModel):
    """One rule: a document stays if what the metric measures in it lies within the limits.

    A value that cannot be measured in a document (an average over no sentences) breaks the rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    name: str = Field(min_length=1, description="The reason that a dropped document is given.")
    metric: str = Field(description="What is measured: a name in `watari.corpus.rules.metrics`.")
    min: float | None = Field(None, description="Smallest value that stays.")
    max: float | None = Field(None, description="Largest value that stays.")
    above: float | None = Field(None, description="Only values above this one stay.")
    below: float | None = Field(None, description="Only values below this one stay.")
    unit: str = Field("", description="Of what: character, word, line, sentence, paragraph; see the metric.")
    of: str | None = Field(None, description="The class of characters that is counted.")
    among: str | None = Field(
        None, description="The class that shares are taken of (default: all characters)."
    )
    n: int | None = Field(None, ge=1, description="Length of the n-grams, in units.")
    words: tuple[str, ...] = Field((), description="Words that the metric looks for.")
    file: str | None = Field(
        None, description="A file of words, one a line; without one a rule that needs it is off."
    )
    about: str = Field("", description="What the rule is for, and the source of its limits.")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        found = {name: getattr(self, name) for name in _LIMITS}
        return {name: value for name, value in found.items() if value is not None}


class Profile(BaseModel):
    """The rules for one language's documents, in the order in which they are asked; the first that fails is the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    language: str = Field(description="Code of the language that the rules are for.")
    languages: tuple[str, ...] = Field(
        (), description="Codes of the languages whose documents stay (default: only `language`)."
    )
    description: str = ""
    source: str = Field("", description="Where the rules and their limits come from.")
    web: bool = Field(
        False, description="Made for web pages: their footers are cut unless a build says otherwise."
    )
    classes: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Sets of characters: hexadecimal ranges `3041-3096`, points `U+3005`, single characters, or "
        "names of other classes.",
    )
    rules: tuple[Rule, ...] = Field(min_length=1)

    @field_validator("classes", mode="before")
    @classmethod
    def _as_lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        lists = {name: items if isinstance(items, list | tuple) else [items] for name, items in value.items()}
        for name, items in lists.items():
            for item in items:
                if not isinstance(item, str):
                    raise ValueError(
                        f"class '{name}': {item!r} is a number: write a code point as U+{item:0>4}"
                    )
        return lists

    @model_validator(mode="after")
    def _whole(self) -> Profile:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two rules are called '{name}'")
        for name in self.classes:
            self.ranges(name)
        for rule in self.rules:
            for member in (rule.of, rule.among):
                if member is not None and member not in self.classes:
                    raise ValueError(
                        f"rule '{rule.name}': no class '{member}' (classes: {', '.join(self.classes) or 'none'})"
                    )
        return self

    def ranges(self, name: str) -> list[tuple[int, int]]:
        """Return a class as (first, last) code points, sorted, joined where they touch.

        Raises:
            ValueError: if an item is none of the forms, or classes name each other in a ring.
        """
        points = sorted(self._points(name, ()))
        joined: list[tuple[int, int]] = []
        for first, last in points:
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return joined

    def _points(self, name: str, above: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        if name in above:
            raise ValueError(f"class '{name}' is made of itself: {' → '.join((*above, name))}")
        for item in self.classes[name]:
            if item in self.classes:
                yield from self._points(item, (*above, name))
            elif match := _RANGE.match(item):
                first, last = int(match[1], 16), int(match[2], 16)
                if not first <= last <= _HIGHEST:
                    raise ValueError(f"class '{name}': '{item}' is no range of code points")
                yield first, last
            elif match := _POINT.match(item):
                yield int(match[1], 16), int(match[1], 16)
            elif len(item) == 1:
                yield ord(item), ord(item)
            else:
                raise ValueError(
                    f"class '{name}': '{item}' is neither a range (3041-3096), a point (U+3005), one character nor a class"
                )

    @property
    def files(self) -> list[str]:
        """The outside files that rules read, in the order of the rules."""
        return [rule.file for rule in self.rules if rule.file is not None]


def profiles() -> list[str]:
    """Return the names of the profiles that come with the package, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("watari.corpus.profiles").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_profile(
    name_or_path: str | Path, overrides: Mapping[str, Mapping[str, Any] | None] | None = None
) -> Profile:
    """Return a profile of the package by name, or one from a YAML file, with changes to single rules laid on.

    Args:
        name_or_path: `ja-swallow`, or a path that ends in .yaml or .yml.
        overrides: {rule name: {field: value}}; null for a rule removes it, a limit replaces the limit on the same
            side (`min` an `above`), null for a limit lifts it.

    Raises:
        UserError: if there is no such profile, or it or an override is wrong; names the file and the field.
    """
    import yaml

    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError(f"there is no profile file {path}")
        try:
            text, name = path.read_text("utf-8"), path.stem
        except UnicodeDecodeError as error:
            raise UserError(f"profile {path}: not UTF-8 at byte {error.start}") from None
    elif str(name_or_path) in profiles():
        name = str(name_or_path)
        text = (resources.files("watari.corpus.profiles") / f"{name}.yaml").read_text("utf-8")
    else:
        raise UserError(
            f"there is no profile '{name_or_path}'",
            f"known: {', '.join(profiles())}; or a path that ends in .yaml",
        )
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"profile {path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"profile {path}: a map with `language` and `rules` is wanted")
    rules = content.get("rules")
    if isinstance(rules, list):
        rules = content["rules"] = [_beside(path, rule) for rule in rules]
    if overrides and isinstance(rules, list):
        content = {**content, "rules": _overridden(name, rules, overrides)}
    try:
        profile = Profile(**{"name": name, **content})
    except ValidationError as error:
        first = error.errors()[0]
        where = _named(first["loc"], content.get("rules"))
        raise UserError(
            f"profile {path}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error
    from watari.corpus.rules.metrics import check

    check(profile)
    return profile


def _named(place: tuple[int | str, ...], rules: Any) -> str:
    """Return where in a profile a fault is: a rule by its name, where it has one, not by its number."""
    if len(place) > 1 and place[0] == "rules" and isinstance(place[1], int) and isinstance(rules, list):
        rule = rules[place[1]]
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            return ": ".join([f"rule '{rule['name']}'", *map(str, place[2:])])
    return ".".join(map(str, place))


def _beside(path: Path, rule: Any) -> Any:
    """A word list that a profile file names lies where the file does."""
    if isinstance(rule, dict) and isinstance(rule.get("file"), str):
        return {**rule, "file": str(path.parent / rule["file"])}
    return rule


def _overridden(
    profile: str, rules: list[Any], overrides: Mapping[str, Mapping[str, Any] | None]
) -> list[dict[str, Any]]:
    known = [rule.get("name") for rule in rules if isinstance(rule, dict)]
    for name, change in overrides.items():
        if name not in known:
            raise UserError(
                f"profile {profile} has no rule '{name}'", f"its rules: {', '.join(map(str, known))}"
            )
        if change is not None and not isinstance(change, Mapping):
            raise UserError(
                f"profile {profile}, rule '{name}': write {{min: 0.3}}, or null to remove the rule"
            )
    changed = []
    for rule in rules:
        own = str(rule.get("name")) if isinstance(rule, dict) else ""
        if own not in overrides:
            changed.append(rule)
        elif (change := overrides[own]) is not None:
            sides = [
                pair
                for pair in (("min", "above"), ("max", "below"))
                if any(limit in change for limit in pair)
            ]
            kept = {key: value for key, value in rule.items() if all(key not in pair for pair in sides)}
            changed.append({**kept, **change})
    return changed
