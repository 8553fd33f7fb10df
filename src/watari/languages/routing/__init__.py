"""What must not be translated out of a language, because it is about the words of that language: data, one file each.

Fields:
    fragments  pieces of patterns by name; `<name>` in a pattern stands for one (a fragment may hold others above it).
    innocent   patterns of phrases that hold a word of a rule and mean nothing by it (`rhyme or reason`, `cover letter`);
               they are blanked before any rule is tried.
    guards     patterns by name that a rule may bow to, looked for in the whole message: `code` = a program is asked for.
    rules      in the order in which they are tried. Of each:
               category  what is counted: a short word.
               reason    for people: what the task hangs on.
               patterns  one match is enough. Python regular expressions over lower-case text with straight quotes.
               unless    names of guards that call the whole rule off.

Patterns are written in lower case. `.` stops at a line's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watari.errors import UserError
from watari.languages.routing.needed import Group, keys_of, needed_words

_FRAGMENT = re.compile(r"<([a-z_]+)>")


class RuleText(BaseModel):
    """One rule as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    category: str = Field(pattern=r"^[a-z]+(-[a-z]+)*$")
    reason: str = Field(min_length=1)
    patterns: list[str] = Field(min_length=1)
    unless: list[str] = Field(default_factory=list)


class RoutingText(BaseModel):
    """A routing file as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    fragments: dict[str, str] = Field(default_factory=dict)
    innocent: list[str] = Field(default_factory=list)
    guards: dict[str, list[str]] = Field(default_factory=dict)
    rules: list[RuleText] = Field(min_length=1)


@dataclass(frozen=True)
class Rule:
    """One pattern of a rule, ready to be tried.

    Args:
        category, reason: Of the rule.
        pattern: One match is enough.
        unless: Names of the guards that call it off.
        needed: Groups of keys (`needed.needed_words`), of each of which one stands in every text that matches.
    """

    category: str
    reason: str
    pattern: re.Pattern[str]
    unless: tuple[str, ...]
    needed: tuple[Group, ...]


@dataclass(frozen=True)
class Routing:
    """The rules of one source language.

    Args:
        code: Of the language.
        innocent: Phrases to blank, as one pattern; None if there are none.
        guards: By name.
        rules: One for each pattern, in order.
        by_key: Key → places in `rules` of those that need a word that counts by it.
        always: Places of those of which it is not known what they need.
    """

    code: str
    innocent: re.Pattern[str] | None
    guards: dict[str, re.Pattern[str]]
    rules: tuple[Rule, ...]
    by_key: dict[str, list[int]]
    always: list[int]

    def candidates(self, text: str) -> list[int]:
        """Return the places in `rules` of those that may match a lower-case text, in order."""
        keys = keys_of(text)
        found = set(self.always)
        for key in keys & self.by_key.keys():
            found.update(self.by_key[key])
        rules = self.rules
        return sorted(
            place for place in found if not any(keys.isdisjoint(group) for group in rules[place].needed[1:])
        )


def routing_languages() -> list[str]:
    """Return the codes of the source languages that have rules, sorted."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def load_routing(code: str) -> Routing:
    """Return the rules for texts in a language.

    Raises:
        UserError: if there are none, or the file is wrong.
    """
    import yaml

    if code not in routing_languages():
        raise UserError(f"no routing rules for texts in '{code}'", f"known: {', '.join(routing_languages())}")
    content = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"))
    return parse_routing(code, content)


def parse_routing(code: str, content: Any) -> Routing:
    """Return the rules in the content of a routing file.

    Raises:
        UserError: naming the file, and the rule or field that is wrong.
    """
    where = f"languages/routing/{code}.yaml"
    try:
        text = RoutingText.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    fragments: dict[str, str] = {}
    for name, pattern in text.fragments.items():
        fragments[name] = f"(?:{_filled(pattern, fragments, where)})"
    guards = {name: _joined(patterns, fragments, where) for name, patterns in text.guards.items()}
    rules = []
    for rule in text.rules:
        for name in rule.unless:
            if name not in guards:
                raise UserError(f"{where}: rule {rule.category}: no guard '{name}'")
        for item in rule.patterns:
            made = _compiled(_filled(item, fragments, where), where)
            needed = tuple(needed_words(made.pattern))
            rules.append(Rule(rule.category, rule.reason, made, tuple(rule.unless), needed))
    by_key: dict[str, list[int]] = {}
    always = []
    for place, one in enumerate(rules):
        for key in one.needed[0] if one.needed else ():
            by_key.setdefault(key, []).append(place)
        if not one.needed:
            always.append(place)
    innocent = _joined(text.innocent, fragments, where) if text.innocent else None
    return Routing(code, innocent, guards, tuple(rules), by_key, always)


def _joined(patterns: list[str], fragments: dict[str, str], where: str) -> re.Pattern[str]:
    return _compiled("|".join(f"(?:{_filled(item, fragments, where)})" for item in patterns), where)


def _filled(pattern: str, fragments: dict[str, str], where: str) -> str:
    def piece(match: re.Match[str]) -> str:
        if match[1] not in fragments:
            raise UserError(f"{where}: no fragment <{match[1]}> above {pattern!r:.60}")
        return fragments[match[1]]

    return _FRAGMENT.sub(piece, pattern)


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"{where}: {pattern!r:.80}: {error}") from None
