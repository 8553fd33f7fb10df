"""What is asked of every tokenizer: how far it compresses, whether it leaves other texts alone, whether it gives texts back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
BATCH = 64


class Codes(Protocol):
    """Anything that encodes and decodes."""

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Return the ids of each text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""


@dataclass(frozen=True)
class Row:
    """One tokenizer on every text.

    Args:
        method: What it is.
        added: Number of new pieces.
        per_token: Characters per token, by text.
        changed: Documents without a character of the target script that got other ids than the base gives them.
        other: Number of such documents.
        lossy: Documents that decode(encode(x)) did not give back, of both kinds.
        documents: Number of all documents.
    """

    method: str
    added: int
    per_token: dict[str, float]
    changed: int = 0
    other: int = 0
    lossy: int = 0
    documents: int = 0

    @property
    def exact(self) -> bool:
        """True if it leaves every document of another script alone, and gives all of them back."""
        return not self.changed and not self.lossy


def per_token(made: Codes, texts: Sequence[str]) -> float:
    """Return the characters per token of some documents."""
    tokens = sum(
        len(ids) for start in range(0, len(texts), BATCH) for ids in made.encode(texts[start : start + BATCH])
    )
    return sum(map(len, texts)) / tokens


def compression(made: Codes, held: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return the characters per token of every text."""
    return {name: per_token(made, texts) for name, texts in held.items()}


def encoded(codes: Codes, texts: Sequence[str]) -> list[Ids]:
    """Return the ids of each text, small."""
    return [
        np.asarray(ids, dtype=np.int32)
        for start in range(0, len(texts), BATCH)
        for ids in codes.encode(texts[start : start + BATCH])
    ]


def examine(
    method: str,
    added: int,
    made: Codes,
    held: Mapping[str, Sequence[str]],
    other: Sequence[str],
    by_base: Sequence[Ids],
) -> Row:
    """Return everything about one tokenizer; `by_base` is what the base makes of `other`."""
    ids = encoded(made, other)
    changed = sum(not np.array_equal(one, two) for one, two in zip(ids, by_base, strict=True))
    lossy = sum(made.decode(one.tolist()) != text for one, text in zip(ids, other, strict=True))
    figures: dict[str, float] = {}
    documents = len(other)
    for name, texts in held.items():
        ids = encoded(made, texts)
        figures[name] = sum(map(len, texts)) / sum(map(len, ids))
        lossy += sum(made.decode(one.tolist()) != text for one, text in zip(ids, texts, strict=True))
        documents += len(texts)
    return Row(method, added, figures, changed, len(other), lossy, documents)


def differing(one: Sequence[Ids], two: Sequence[Ids]) -> tuple[int, int]:
    """Return how many tokens of `two` differ in `one`, and how many there are; texts of other lengths differ whole."""
    wrong = sum(
        max(len(a), len(b)) if len(a) != len(b) else int((a != b).sum())
        for a, b in zip(one, two, strict=True)
    )
    return wrong, sum(map(len, two))


def say(line: str) -> None:
    """Print to the people who watch; claims alone go to stdout."""
    print(line, file=sys.stderr, flush=True)


def show(rows: Sequence[Row], base: Mapping[str, float], texts: Sequence[str]) -> None:
    """Print rows as a table: characters per token and the ratio to the base's."""
    say("| method | added | " + " | ".join(texts) + " | other documents with the base's ids | given back |")
    say("|---|--:|" + "--:|" * (len(texts) + 2))
    for row in rows:
        cells = [f"{row.per_token[text]:.3f} ({row.per_token[text] / base[text]:.3f}×)" for text in texts]
        same = f"{100 - 100 * row.changed / row.other:.1f} %" if row.other else "–"
        back = f"{100 - 100 * row.lossy / row.documents:.1f} %" if row.documents else "–"
        say(f"| {row.method} | {row.added:,} | " + " | ".join(cells) + f" | {same} | {back} |")
