"""The world's sentences read back: from a text in either language to the facts that it tells.

A sentence's form is not written down here. It is what a fact says when its words are marks; so whatever `said` may come
to say can be read. What was read is only believed if the fact, said again, is the text to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final

from watari.demo.asks import opening
from watari.demo.facts import KINDS, Fact
from watari.demo.goods import Give
from watari.demo.words import (
    Activity,
    Colour,
    Food,
    Label,
    Moment,
    Noun,
    Person,
    Place,
    number_en,
    number_ja,
)

_ONE, _SEVERAL, _HAD = 1, 2, 7
_LEFT: Final = {1: 6, 2: 5}  # of a gift of so many, so that seven were had


@dataclass(frozen=True)
class Told:
    """A fact as it stands in a text.

    Args:
        fact: What is told.
        turn: In which of its wordings.
        stop: Where the sentence ends in the text.
    """

    fact: Fact
    turn: int
    stop: int


@dataclass(frozen=True)
class _Form:
    kind: type[Fact]
    turn: int
    counts: tuple[int, ...]
    pattern: re.Pattern[str]


def facts_told(text: str, language: str, start: int = 0) -> Iterator[Told]:
    """Read the facts that stand one after the other from `start` on; ends where no further one follows."""
    at = start
    while (found := _fact_at(text, at, language)) is not None:
        yield found
        at = found.stop


def _fact_at(text: str, at: int, language: str) -> Told | None:
    while at < len(text) and text[at] in " 　":
        at += 1
    best: Told | None = None
    for form in _forms(language):
        match = form.pattern.match(text, at)
        if match is None or (best is not None and match.end() <= best.stop):
            continue
        fact = _fact(form, match)
        if fact is not None and fact.said().of(language)[form.turn] == match[0]:
            best = Told(fact, form.turn, match.end())
    return best


@cache
def _forms(language: str) -> tuple[_Form, ...]:
    found = []
    for kind in KINDS:
        numbers = [slot for slot, pool in kind.pools.items() if isinstance(pool[0], int)]
        for counts in product((_ONE, _SEVERAL), repeat=min(1, len(numbers))):
            parts = {slot: _mark(slot, pool) for slot, pool in kind.pools.items()}
            if kind is Give:
                parts |= {"given": counts[0], "left": _LEFT[counts[0]]}
            elif numbers:
                parts[numbers[0]] = counts[0]
            for turn, sentence in enumerate(kind(**parts).said().of(language)):
                found.append(_Form(kind, turn, counts, _pattern(kind, counts, sentence, language)))
    return tuple(found)


def _mark(slot: str, pool: Sequence[Hashable]) -> Any:
    word = pool[0]
    en, ja = f"zq{slot}", f"〔{slot}〕"
    match word:
        case Person():
            return Person(en, ja)
        case Food():
            return Food(
                en,
                f"{en}many",
                ja,
                f"〔{slot}助〕",
                "",
                f"zv{slot}did",
                f"zv{slot}do",
                f"〔{slot}動〕",
                f"〔{slot}普〕",
            )
        case Noun():
            return Noun(en, f"{en}many", ja, f"〔{slot}助〕")
        case Colour():
            return Colour(en, ja, ja)
        case Place():
            return Place(en, ja)
        case Moment():
            return Moment(en, f"{en}word", ja)
        case Activity():
            return Activity(en, f"{en}base", ja, ja)
        case Label():
            return Label(en, ja)
        case _:
            return word


def _pattern(kind: type[Fact], counts: tuple[int, ...], sentence: str, language: str) -> re.Pattern[str]:
    """Return what matches the sentence with any words in the places of the marks."""
    marks = {
        mark: (name, [read(word) for word in pool])
        for slot, pool in kind.pools.items()
        for mark, name, read in _readings(slot, pool[0], language)
    }
    numbered = number_en if language == "en" else number_ja
    if counts:
        numbers = [numbered(count) for count in range(1, 13)]
        marks |= {numbered(_HAD): ("had", numbers), numbered(_SEVERAL): ("count", numbers)}
    seen: set[str] = set()

    def group(found: re.Match[str]) -> str:
        mark = found["mark"]
        name, words = marks[mark] if mark in marks else marks[mark[0].lower() + mark[1:]]
        # An article that the mark's first letter chose is the other one for some of the words.
        before = r"an?\ " if found["article"] else ""
        if language == "en":
            words = [*words, *map(opening, words)]
        several = "|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True))
        # What stands there again is the same word, or another form of it.
        first = bool(name) and name not in seen
        seen.add(name)
        return before + (f"(?P<{name}>{several})" if first else f"(?:{several})")

    given = sorted({*marks, *map(opening, marks)}, key=len, reverse=True)
    pattern = rf"(?P<article>\ba\\ )?(?P<mark>{'|'.join(map(re.escape, given))})"
    return re.compile(re.sub(pattern, group, re.escape(sentence)))


def _readings(slot: str, word: Hashable, language: str) -> Iterator[tuple[str, str, Callable[[Any], str]]]:
    """Yield the marks of one part: the mark, its group's name ("" for none), how a real word would stand there."""
    if isinstance(word, int):
        return
    if language == "ja":
        yield f"〔{slot}〕", slot, lambda item: item.ja
        if isinstance(word, Noun):
            yield f"〔{slot}助〕", "", lambda noun: noun.counter
        if isinstance(word, Food):
            yield f"〔{slot}動〕", "", lambda food: food.ja_past
        return
    yield f"zq{slot}", slot, lambda item: item.en
    if isinstance(word, Noun):
        yield f"zq{slot}many", slot, lambda noun: noun.plural
    if isinstance(word, Moment):
        yield f"zq{slot}word", slot, lambda moment: moment.word
    if isinstance(word, Food):
        yield f"zv{slot}did", "", lambda food: food.past


def _fact(form: _Form, match: re.Match[str]) -> Fact | None:
    groups = match.groupdict()
    parts: dict[str, Any] = {}
    for slot, pool in form.kind.pools.items():
        if isinstance(pool[0], int):
            continue
        named = groups.get(slot)
        if named is None:
            return None
        found = [word for word in pool if named in _names(word)]
        if not found:
            return None
        parts[slot] = found[0]
    if form.counts:
        count = _ONE if form.counts[0] == _ONE else _number(groups.get("count"))
        if form.kind is Give:
            left = _number(groups.get("had")) - count
            if left < 1:
                return None
            parts |= {"given": count, "left": left}
        else:
            slot = next(slot for slot, pool in form.kind.pools.items() if isinstance(pool[0], int))
            parts[slot] = count
    return form.kind(**parts)


@cache
def _names(word: Any) -> frozenset[str]:
    """Every way in which a word may stand where its group is."""
    names = [word.en, word.ja, *(getattr(word, name, "") for name in ("plural", "word"))]
    return frozenset(name for given in names if given for name in (given, opening(given)))


@cache
def _number(word: str | None) -> int:
    for count in range(1, 13):
        if word in (number_en(count), number_ja(count)):
            return count
    return 0
