"""Which patterns may match a text, told by its words; and where that is kept, for working it out takes a while.

`<code>.index.json` stands beside `<code>.yaml`: of every pattern the words that it needs. It holds the digest of what it
was made from, and counts only as long as that is so. `python -m watari.languages.routing` writes it anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from watari.languages.routing.needed import Group, needed_pieces, needed_words

_TOKEN = re.compile(r"\\.|.", re.S)


@dataclass(frozen=True, slots=True)
class Needs:
    """What stands in every text that a pattern matches.

    Args:
        words: Groups of keys of words (`needed.needed_words`), one of each; the most telling group first.
        pieces: Groups of pieces of text, one of each.
    """

    words: tuple[Group, ...]
    pieces: tuple[tuple[str, ...], ...]


def alternatives(pattern: str) -> list[str]:
    """Return what `|` parts in a pattern outside of every bracket."""
    parts = [""]
    depth, in_class = 0, False
    for token in _TOKEN.findall(pattern):
        if in_class:
            in_class = token != "]"
        elif token == "|" and not depth:
            parts.append("")
            continue
        else:
            in_class = token == "["
            depth += (token == "(") - (token == ")")
        parts[-1] += token
    return parts


def needs_of(pattern: str) -> Needs:
    """Return what a pattern needs."""
    pieces = tuple(tuple(sorted(group)) for group in needed_pieces(pattern))
    return Needs(tuple(needed_words(pattern)), pieces)


class Index:
    """Patterns by what they need."""

    def __init__(self, needs: Sequence[Needs]) -> None:
        self._first: dict[str, list[tuple[int, tuple[Group, ...]]]] = {}
        self._always: list[int] = []
        self._pieces = [each.pieces for each in needs]
        for place, each in enumerate(needs):
            if not each.words:
                self._always.append(place)
            for key in each.words[0] if each.words else ():
                self._first.setdefault(key, []).append((place, each.words[1:]))

    def candidates(self, text: str, keys: AbstractSet[str]) -> list[int]:
        """Return the places of the patterns that may match a text whose words count by `keys`, in order."""
        found = set(self._always)
        for key in keys & self._first.keys():
            for place, groups in self._first[key]:
                for group in groups:
                    if keys.isdisjoint(group):
                        break
                else:
                    found.add(place)
        pieces = self._pieces
        return [place for place in sorted(found) if not pieces[place] or _holds(text, pieces[place])]


def _holds(text: str, groups: tuple[tuple[str, ...], ...]) -> bool:
    for group in groups:
        for piece in group:
            if piece in text:
                break
        else:
            return False
    return True


def digest_of(code: str) -> str:
    """Return the digest of the rules of a language, and of the code that takes them apart."""
    folder = resources.files(__package__)
    found = hashlib.sha256()
    for name in (f"{code}.yaml", "needed.py"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()[:32]


def kept_needs(code: str) -> tuple[list[Needs], list[Needs]] | None:
    """Return what the innocent phrases and the patterns of all rules need, as kept; None if that is out of date."""
    file = resources.files(__package__) / f"{code}.index.json"
    if not file.is_file():
        return None
    kept = json.loads(file.read_bytes())
    if kept["digest"] != digest_of(code):
        return None
    return [_read(line) for line in kept["innocent"]], [_read(line) for line in kept["rules"]]


def keep_needs(code: str, innocent: Sequence[Needs], rules: Sequence[Needs]) -> None:
    """Write what `kept_needs` reads, beside the rules."""
    kept = {
        "digest": digest_of(code),
        "innocent": [_written(needs) for needs in innocent],
        "rules": [_written(needs) for needs in rules],
    }
    Path(str(resources.files(__package__) / f"{code}.index.json")).write_text(
        json.dumps(kept, indent=0, ensure_ascii=False) + "\n", "utf-8"
    )


def _written(needs: Needs) -> list[str]:
    words = "|".join(" ".join(sorted(group)) for group in needs.words)
    return [words, *("|".join(group) for group in needs.pieces)]


def _read(line: list[str]) -> Needs:
    words = tuple(frozenset(group.split()) for group in line[0].split("|")) if line[0] else ()
    return Needs(words, tuple(tuple(group.split("|")) for group in line[1:]))
