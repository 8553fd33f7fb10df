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

Patterns are written in lower case. `.` stops at a line's end. After a change, `python -m watari.languages.routing`
works out anew which words each pattern needs; without that everything works, and starts a second later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from watari.errors import UserError
from watari.languages.routing.index import Index, Needs, alternatives, kept_needs, needs_of
from watari.languages.routing.needed import keys_of

_FRAGMENT = re.compile(r"<([a-z_]+)>")
_BLANK = " ~ "


@dataclass(frozen=True)
class Rule:
    """One pattern of a rule; it is compiled when it is first tried.

    Args:
        category, reason: Of the rule.
        source: The pattern, its fragments filled in; one match is enough.
        unless: Names of the guards that call it off.
    """

    category: str
    reason: str
    source: str
    unless: tuple[str, ...]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern, ready to be tried."""
        return re.compile(self.source)


@dataclass(frozen=True)
class Routing:
    """The rules of one source language.

    Args:
        code: Of the language.
        innocent: Phrases to blank.
        guards: By name.
        rules: One for each pattern, and for each of its alternatives, in order.
        innocent_index, rule_index: Which of them may match a text.
    """

    code: str
    innocent: tuple[str, ...]
    guards: Mapping[str, str]
    rules: tuple[Rule, ...]
    innocent_index: Index
    rule_index: Index

    def candidates(self, text: str) -> list[int]:
        """Return the places in `rules` of those that may match a lower-case text, in order."""
        return self.rule_index.candidates(text, keys_of(text))

    def found(self, text: str) -> tuple[Rule, str] | None:
        """Return the first rule that a lower-case text falls under, and what gave it away; None if there is none."""
        keys = keys_of(text)
        places = self.rule_index.candidates(text, keys)
        if not places:
            return None
        for place in self.innocent_index.candidates(text, keys):
            text = _compiled(self.innocent[place]).sub(_BLANK, text)
        held: dict[str, bool] = {}
        for place in places:
            rule = self.rules[place]
            match = rule.pattern.search(text)
            if match is None:
                continue
            for name in rule.unless:
                if name not in held:
                    held[name] = _compiled(self.guards[name]).search(text) is not None
            if not any(held[name] for name in rule.unless):
                return rule, match[0]
        return None


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
    if code not in routing_languages():
        raise UserError(f"no routing rules for texts in '{code}'", f"known: {', '.join(routing_languages())}")
    kept = kept_needs(code)
    if kept is None:
        return parse_routing(code, _content(code))
    # The file is the one that the index was made from, and was found right then.
    return _routing(code, _content(code), *kept)


def worked_out(code: str) -> tuple[list[Needs], list[Needs]]:
    """Return what the innocent phrases and the patterns of all rules need, whatever is kept of it."""
    content = _content(code)
    parse_routing(code, content)
    innocent, rules = _filled_patterns(content, _where(code))
    return _needs(innocent), _needs(pattern for _, pattern in rules)


def parse_routing(code: str, content: Any) -> Routing:
    """Return the rules in the content of a routing file, every pattern of it tried.

    Raises:
        UserError: naming the file, and the rule or field that is wrong.
    """
    from watari.languages.routing.written import check_pattern, checked

    where = _where(code)
    whole = checked(content, where)
    innocent, rules = _filled_patterns(whole, where)
    patterns = [pattern for _, pattern in rules]
    for pattern in (*innocent, *patterns):
        check_pattern(pattern, where)
    made = _routing(code, whole, _needs(innocent), _needs(patterns))
    for pattern in made.guards.values():
        check_pattern(pattern, where)
    return made


def _content(code: str) -> Any:
    import yaml

    # libyaml's loader takes a tenth of the time; not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"), Loader=loader)


def _where(code: str) -> str:
    return f"languages/routing/{code}.yaml"


def _needs(patterns: Iterable[str]) -> list[Needs]:
    return [needs_of(pattern) for pattern in patterns]


def _routing(code: str, content: Mapping[str, Any], innocent: list[Needs], needs: list[Needs]) -> Routing:
    where = _where(code)
    fragments = _fragments(content, where)
    phrases, patterns = _filled_patterns(content, where)
    rules = tuple(
        Rule(rule["category"], rule["reason"], pattern, tuple(rule.get("unless") or ()))
        for rule, pattern in patterns
    )
    guards = {
        name: "|".join(f"(?:{_filled(item, fragments, where)})" for item in items)
        for name, items in (content.get("guards") or {}).items()
    }
    return Routing(code, tuple(phrases), guards, rules, Index(innocent), Index(needs))


def _filled_patterns(
    content: Mapping[str, Any], where: str
) -> tuple[list[str], list[tuple[Mapping[str, Any], str]]]:
    """Return the innocent phrases, and (rule, pattern); what `|` parts at the top stands apart, with needs of its own."""
    fragments = _fragments(content, where)
    innocent = [_filled(item, fragments, where) for item in content.get("innocent") or ()]
    patterns = [
        (rule, part)
        for rule in content["rules"]
        for item in rule["patterns"]
        for part in alternatives(_filled(item, fragments, where))
    ]
    return innocent, patterns


def _fragments(content: Mapping[str, Any], where: str) -> dict[str, str]:
    fragments: dict[str, str] = {}
    for name, pattern in (content.get("fragments") or {}).items():
        fragments[name] = f"(?:{_filled(pattern, fragments, where)})"
    return fragments


def _filled(pattern: str, fragments: dict[str, str], where: str) -> str:
    def piece(match: re.Match[str]) -> str:
        if match[1] not in fragments:
            raise UserError(f"{where}: no fragment <{match[1]}> above {pattern!r:.60}")
        return fragments[match[1]]

    return _FRAGMENT.sub(piece, pattern)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
