"""Which words must stand in a text for a pattern to match: most patterns need not be tried at all.

A pattern is taken apart (by the parser that Python's own `re` uses) into groups of words: of every group one must stand
in the text. A word counts by its first `KEY` letters. What cannot be said for certain is left out, so that a pattern
is at worst tried in vain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

KEY = 5
"""Letters of a word that count."""
_MOST = 400
"""Strings that a part of a pattern may stand for, to be listed one by one."""
SCRIPT = "~"
"""What a text counts by that holds letters of another script."""
QUOTE = '"'
"""What a text counts by in which a quotation may begin."""
_QUOTED = re.compile(r"(?<![a-z0-9])'")
_OPENS = re.compile(r"[\"«*]|[\x00 (]'")
_FOREIGN = re.compile(r"[\u0370-\u1fff\u2c00-\ud7ff\uf900-\ufaff\uff66-\uffdc]")
_PIECES = 2
_MOST_PIECES = 24
_EDGE = "\0"
_UNKNOWN = "\1"
_WORD = re.compile(rf"([a-z0-9]{{1,{KEY}}})[a-z0-9]*")
_PART = re.compile(r"(\x00|\x01|[^a-z0-9\x00\x01])([a-z0-9]+)(?=(\x00|\x01|[^a-z0-9\x00\x01]|\Z))")
_NO_LETTER = list(parser.parse("[a-z0-9]"))
_COMMON = frozenset((QUOTE,)) | frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do does for from get give has have how i if in into is it make me my not of on or"
        " please that the there these this to use using was what when which with write you your one all any find tell"
        " some each every no out up we should would",
    )
)

Group = frozenset[str]


def keys_of(text: str) -> set[str]:
    """Return what the words of a lower-case text count by."""
    keys = set(_WORD.findall(text))
    if '"' in text or "*" in text or "«" in text or ("'" in text and _QUOTED.search(text)):
        keys.add(QUOTE)
    if not text.isascii() and _FOREIGN.search(text):
        keys.add(SCRIPT)
    return keys


def needed_words(pattern: str) -> list[Group]:
    """Return groups of keys, the most telling one first: a text that matches holds one of each; none: nothing is sure."""
    return sorted(_groups(list(parser.parse(pattern)), [_UNKNOWN], _KEYS), key=_telling_keys)


def needed_pieces(pattern: str) -> list[Group]:
    """Return groups of pieces of text, at most `_PIECES` of the most telling: a text that matches holds one of each."""
    groups = _groups(list(parser.parse(pattern)), [_UNKNOWN], _LITERALS)
    # One word alone is told by its key, and so is a quotation.
    worth = {
        group
        for group in groups
        if len(group) <= _MOST_PIECES and any(not one.isalnum() and len(one) > 1 for one in group)
    }
    return sorted(worth, key=_telling_pieces)[:_PIECES]


def _telling_keys(group: Group) -> tuple[float, ...]:
    return (sum(key in _COMMON for key in group), len(group))


def _telling_pieces(group: Group) -> tuple[float, ...]:
    return (sum(1 / len(one) ** 2 for one in group), *sorted(map(len, group)), sum(map(ord, "".join(group))))


@dataclass(frozen=True)
class _Kind:
    """What groups are made of: how strings that may stand somewhere are told by it, and which group tells most."""

    told: Callable[[list[str]], Group | None]
    telling: Callable[[Group], tuple[float, ...]]
    script: bool


def _groups(items: Sequence[Any], before: list[str], kind_of: _Kind) -> list[Group]:
    """Return the groups of a part; `before` are the strings that may stand right before it."""
    found: list[Group] = []
    run = before

    def close() -> None:
        if (group := kind_of.told(run)) is not None:
            found.append(group)

    for item in _flat(items):
        strings = _strings([item])
        if strings is not None and len(run) * len(strings) <= _MOST:
            run = [left + right for left in run for right in strings]
            continue
        kind, value = item
        if strings is None and kind is code.BRANCH:
            # Python's parser moves what the alternatives begin with before them, be it half a word.
            choices = [_groups(list(alternative), run, kind_of) for alternative in value[1]]
            if all(choices):
                found.append(frozenset().union(*(min(choice, key=kind_of.telling) for choice in choices)))
            run = [_UNKNOWN]
            continue
        edge = _at_edge(run)
        start = _EDGE if edge else _UNKNOWN
        close()
        run = [_UNKNOWN]
        if strings is not None:
            run = [start + text for text in strings]
        elif _foreign(item):
            if kind_of.script:
                found.append(frozenset((SCRIPT,)))
        elif kind is code.MAX_REPEAT:
            if _ends_at_edge(list(value[2])) and (edge or value[0]):
                # `(?:the |all )*` ends where a word begins.
                run = [_EDGE]
            if value[0]:
                found += _groups(list(value[2]), [start], kind_of)
    close()
    return found


def _keys(run: list[str]) -> Group | None:
    choices = []
    for text in run:
        sure = {
            word[:KEY]
            for before, word, after in _PART.findall(text)
            if before != _UNKNOWN and before and (len(word) >= KEY or (after and after != _UNKNOWN))
        }
        if _OPENS.search(text):
            sure.add(QUOTE)
        if not sure:
            return None
        choices.append(sure)
    often = Counter(key for sure in choices for key in sure)
    # What most of the strings share makes the smallest group.
    return frozenset(
        min(sure, key=lambda key: (key in _COMMON, -often[key], -len(key), key)) for sure in choices
    )


def _literals(run: list[str]) -> Group | None:
    pieces = {max(text.replace(_EDGE, "").split(_UNKNOWN), key=len) for text in run}
    if "" in pieces or len(pieces) > 8 * _MOST_PIECES:
        return None
    return frozenset(one for one in pieces if not any(each in one and each != one for each in pieces))


_KEYS = _Kind(_keys, _telling_keys, True)
_LITERALS = _Kind(_literals, _telling_pieces, False)


def _foreign(item: Any) -> bool:
    """Return whether a part stands for letters of another script, and for at least one."""
    kind, value = item
    if kind is code.MAX_REPEAT:
        return bool(value[0]) and len(value[2]) == 1 and _foreign(value[2][0])
    return kind is code.IN and all(
        each is code.RANGE and _FOREIGN.match(chr(low_high[0])) and _FOREIGN.match(chr(low_high[1]))
        for each, low_high in value
    )


def _at_edge(run: list[str]) -> bool:
    """Return whether a word begins after every one of these strings, if anything does."""
    return all(text and (text[-1] == _EDGE or text[-1] in " \"'(") for text in run)


def _ends_at_edge(items: Sequence[Any]) -> bool:
    """Return whether a word begins after whatever this part matches, if anything does."""
    if not items:
        return False
    kind, value = items[-1]
    if kind is code.MAX_REPEAT:
        return _ends_at_edge(list(value[2])) and (value[0] > 0 or _ends_at_edge(items[:-1]))
    if kind is code.LITERAL:
        return chr(value) in " \"'("
    if kind is code.AT:
        return bool(value is code.AT_BOUNDARY)
    if kind is code.SUBPATTERN:
        return _ends_at_edge(list(value[3]))
    if kind is code.BRANCH:
        return all(_ends_at_edge(list(alternative)) for alternative in value[1])
    return False


def _flat(items: Iterable[Any]) -> Iterable[Any]:
    for kind, value in items:
        if kind is code.SUBPATTERN and _strings([(kind, value)]) is None:
            yield from _flat(value[3])
        else:
            yield kind, value


def _strings(items: Iterable[Any]) -> list[str] | None:
    """Return every string that a part stands for, with marks at the edges of words; None if they are too many."""
    made = [""]
    for kind, value in items:
        more: list[str] | None
        if kind is code.LITERAL:
            more = [chr(value)]
        elif kind is code.AT:
            more = [_EDGE] if value is code.AT_BOUNDARY else [""]
        elif kind is code.ASSERT_NOT and value[0] < 0 and list(value[1]) == _NO_LETTER:
            more = [_EDGE]
        elif kind in (code.ASSERT, code.ASSERT_NOT):
            more = [""]
        elif kind is code.SUBPATTERN:
            more = _strings(value[3])
        elif kind is code.BRANCH:
            parts = [_strings(alternative) for alternative in value[1]]
            more = None if None in parts else [text for part in parts for text in part or ()]
        elif kind is code.IN and all(each is code.LITERAL for each, _ in value):
            more = [chr(one) for _, one in value]
        elif kind is code.MAX_REPEAT and value[0] in (0, 1) and value[1] == 1:
            once = _strings(value[2])
            more = None if once is None else (["", *once] if value[0] == 0 else once)
        elif kind is code.MAX_REPEAT and 0 < value[0] <= 4:
            once = _strings(value[2])
            more = (
                [one * value[0] + _UNKNOWN for one in once] if once is not None and len(once) == 1 else None
            )
        else:
            more = None
        if more is None or len(made) * len(more) > _MOST:
            return None
        made = [left + right for left in made for right in more]
    return made
