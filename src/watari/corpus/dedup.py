"""Exact duplicates, and ids that are given twice: which document stays does not depend on the order of reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.artifact.hashing import hash_text
from watari.corpus.sources import Document


@dataclass(frozen=True)
class Duplicate:
    """A document whose text another one has too."""

    document: Document
    survivor: Document


class ExactDedup:
    """Keeps one document of each text: the one with the smallest (id, source, place)."""

    def __init__(self) -> None:
        self._by_text: dict[str, Document] = {}
        self._losers: list[tuple[str, Document]] = []

    def add(self, document: Document) -> None:
        """Take one document whose text is in normal form."""
        digest = hash_text(document.text)
        other = self._by_text.setdefault(digest, document)
        if other is document:
            return
        loser = max(document, other, key=_rank)
        self._by_text[digest] = document if loser is other else other
        self._losers.append((digest, loser))

    def survivors(self) -> list[Document]:
        """Return the documents that stay, sorted by (id, source, text hash)."""
        return sorted(self._by_text.values(), key=_identity)

    def duplicates(self) -> list[Duplicate]:
        """Return the documents that go, each with the one that stays in its place."""
        found = [Duplicate(loser, self._by_text[digest]) for digest, loser in self._losers]
        return sorted(found, key=lambda duplicate: _rank(duplicate.document))


def _rank(document: Document) -> tuple[str, str, str]:
    return (document.id, document.source, document.place.inside)


def _identity(document: Document) -> tuple[str, str, str]:
    return (document.id, document.source, hash_text(document.text))


def distinct_ids(documents: Sequence[Document]) -> tuple[list[str], int]:
    """Return an id for each document, every one different, and how many had to be renamed.

    Documents that share an id but not a text all stay: the first in the order given keeps the id, each other one gets
    `~` and the first 8 digits of its text's hash behind it (16, 24, … where even that is taken).
    """
    taken = {document.id for document in documents}
    seen: set[str] = set()
    ids = []
    renamed = 0
    for document in documents:
        name = document.id
        if name in seen:
            renamed += 1
            digest = hash_text(f"{document.text}\x1f{document.source}")
            length = 8
            while name in taken:
                name = f"{document.id}~{digest[:length]}"
                length += 8
            taken.add(name)
        seen.add(name)
        ids.append(name)
    return ids, renamed
