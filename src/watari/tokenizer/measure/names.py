"""Names of tokenizers and files as a table or a picture has room for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from unicodedata import east_asian_width

_USUAL = ("tokenizer.model", "tokenizer.json", "tekken.json")
"""File names that tell nothing: the folder does."""


def short_names(names: Sequence[str]) -> list[str]:
    """Return names as short as they can be while they differ: the last parts of paths, of a tokenizer its folder."""
    paths = [_telling(name) for name in names]
    if len(set(paths)) < len(names):
        paths = [PurePath(name).parts or (name,) for name in names]
    for count in range(1, max(map(len, paths), default=1) + 1):
        short = ["/".join(parts[-count:]) for parts in paths]
        if len(set(short)) == len(names):
            return short
    return list(names)


def fitted(names: Sequence[str], columns: int) -> list[str]:
    """Return `short_names` in so many columns each, numbered where they are alike once they are cut."""
    short = short_names(names)
    cuts = [cut(name, columns) for name in short]
    return [
        shown if cuts.count(shown) == 1 else f"{cut(name, columns - len(str(number)) - 1)}~{number}"
        for number, (name, shown) in enumerate(zip(short, cuts, strict=True), 1)
    ]


def _telling(name: str) -> tuple[str, ...]:
    parts = PurePath(name.removeprefix("tiktoken:")).parts or (name,)
    return parts[:-1] if len(parts) > 1 and parts[-1] in _USUAL else parts


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes, which is near enough to its width in print."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, columns: int) -> str:
    """Return `text`, or its beginning and its end in so many columns, with an ellipsis for what is left out."""
    if width(text) <= columns:
        return text
    head, tail = "", ""
    while True:
        # The end tells more than the beginning (suffixes, hashes), so that it grows first.
        rest = text[len(head) : len(text) - len(tail)]
        longer = (head, rest[-1] + tail) if width(tail) <= width(head) else (head + rest[0], tail)
        if width("".join(longer)) + 1 > columns:
            return f"{head}…{tail}"
        head, tail = longer
