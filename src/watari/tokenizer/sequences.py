"""A text as the base segments it: the stretches that new pieces may be made of, each once, with its counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNIT = 1024
"""One occurrence at weight 1. Whole numbers, so that sums do not depend on the order of the text."""


@dataclass(frozen=True)
class Sequences:
    """The text as sequences of symbols, each distinct sequence once.

    Args:
        symbols: Text of each symbol, blanks as " ". The first `base` are the base's ids; behind them stand characters
            that the base spells as several tokens, as one symbol each.
        usable: Whether each symbol may be a part of a new piece (`Policy.usable`, and a token of its own in the base).
        base: Number of the base's ids.
        cost: Tokens that one occurrence of each symbol costs before anything is learned; 1 but for the characters.
        ids: Symbol ids of all sequences, one behind the other (int32).
        lengths: Symbols of each sequence (int32).
        counts: Occurrences of each sequence, (sequences, sources) int64.
        weights: What an occurrence in each source is worth, in 1/`UNIT` (int64).
        characters: Code points of all the text read, by source, before anything was left out.
        tokens: The base's tokens of all that text, by source.
    """

    symbols: list[str]
    usable: list[bool]
    base: int
    cost: list[int]
    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    weights: Sequence[int]
    characters: Sequence[int]
    tokens: Sequence[int]


def whole_text(surface: bytes) -> str:
    """Return the text of bytes that are whole characters in UTF-8, else ""."""
    try:
        return surface.decode("utf-8")
    except UnicodeDecodeError:
        return ""
