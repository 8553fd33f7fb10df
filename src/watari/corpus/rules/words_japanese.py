"""Words of Japanese, by SudachiPy's short units (mode A), which are those of spaCy's Japanese and so FineWeb2's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from watari.errors import UserError
from watari.kernels.texts import Texts
from watari.kernels.words import Spans, trimmed

_MOST_BYTES = 40_000
"""Sudachi takes 49,149 bytes at a time; datatrove cuts at this many."""


@cache
def _tokenizer() -> Any:
    try:
        from sudachipy import Dictionary, SplitMode
    except ImportError:
        raise UserError(
            "the words of Japanese texts are found by SudachiPy, which is not installed",
            "pip install 'watari[ja-words]'",
        ) from None
    try:
        return Dictionary(dict="core").create(mode=SplitMode.A)
    except Exception as error:
        raise UserError(
            f"SudachiPy's dictionary does not open: {' '.join(str(error).split())}",
            "pip install 'watari[ja-words]'",
        ) from error


def japanese_words(texts: Texts) -> Spans:
    """Return the words of Japanese texts; what lies between two words is white space.

    A text of more than 40,000 bytes is cut behind the last line feed, or else 。 or blank, that still fits.

    Raises:
        UserError: if SudachiPy or its dictionary is not installed.
    """
    tokenizer = _tokenizer()
    starts: list[int] = []
    ends: list[int] = []
    counts = np.zeros(len(texts), np.int64)
    for row in range(len(texts)):
        place = int(texts.offsets[row])
        before = len(starts)
        for part in _parts(texts[row]):
            for word in tokenizer.tokenize(part):
                begin, end = word.begin(), word.end()
                if end > begin:
                    starts.append(place + begin)
                    ends.append(place + end)
            place += len(part)
        counts[row] = len(starts) - before
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    spans = trimmed(texts.codes, Spans(np.array(starts, np.int64), np.array(ends, np.int64), offsets))
    return spans.where(spans.lengths > 0)


def _parts(text: str) -> Iterator[str]:
    """Parts of a text of at most 40,000 bytes; one of an empty text."""
    place = 0
    while len(text) - place > _MOST_BYTES // 4:
        head = text[place : place + _MOST_BYTES].encode()[:_MOST_BYTES].decode("utf-8", "ignore")
        cut = len(head)
        if place + cut < len(text):
            cut = next((found + 1 for mark in "\n。 \u3000" if (found := head.rfind(mark)) >= 0), cut)
        yield text[place : place + cut]
        place += cut
    yield text[place:]
