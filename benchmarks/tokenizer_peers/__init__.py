"""Other ways to give a tokenizer new pieces, written anew from their descriptions: one module a method.

Every method gets the same text, with the same weights, and the same number of new pieces; each `Made` is the tokenizer
that its own users would load, encoded by the library that they would use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from watari.pretrained.sentencepiece import Piece, SpmModel


@dataclass(frozen=True)
class Weighed:
    """Documents of one source.

    Args:
        name: Of the source.
        documents: Its documents.
        weight: What an occurrence counts; a method without weights reads the documents so many times.
    """

    name: str
    documents: Sequence[str]
    weight: int = 1


class Made(Protocol):
    """An extended tokenizer, as its users would call it."""

    def encode(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Return the ids of each text, without BOS or EOS."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""


class SentencePieceMade:
    """A `tokenizer.model`, by sentencepiece."""

    def __init__(self, model: SpmModel) -> None:
        self.model = model
        self._processor = model.processor()

    def encode(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Return the ids of each text."""
        found: list[Sequence[int]] = self._processor.encode(list(texts))
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""
        return str(self._processor.decode(list(map(int, ids))))


class FastMade:
    """A `tokenizer.json`, by `tokenizers`."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """Return the ids of each text."""
        return [
            found.ids for found in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids."""
        return str(self.tokenizer.decode(list(map(int, ids)), skip_special_tokens=False))


def stretches(sources: Sequence[Weighed], length: int) -> Iterator[str]:
    """Yield the documents, cut behind line breaks into stretches of about `length` characters, weights by repetition.

    Trainers that take a whole document for one word need time with the square of its length.
    """
    for source in sources:
        for _ in range(source.weight):
            for text in source.documents:
                stretch: list[str] = []
                size = 0
                for line in text.splitlines(keepends=True):
                    if size + len(line) > length and stretch:
                        yield "".join(stretch)
                        stretch, size = [], 0
                    stretch.append(line)
                    size += len(line)
                if stretch:
                    yield "".join(stretch)


def appended(base: SpmModel, pieces: Sequence[str], score: float, step: float) -> SentencePieceMade:
    """Return `base` with `pieces` behind it, the first scored `score`, each next one `step` more."""
    return SentencePieceMade(base.extended([Piece(text, score + step * n) for n, text in enumerate(pieces)]))
