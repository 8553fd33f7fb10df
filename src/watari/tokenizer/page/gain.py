"""What each number of new pieces is worth, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from watari.artifact.draws import shuffled
from watari.pretrained.graft import Graft
from watari.tokenizer.measure import Figures, describe, measure
from watari.tokenizer.page.nested import Nested
from watari.tokenizer.texts import Text

UNIT = 1024
"""`Graft.saved` counts in so many parts of a token."""
STEP = 1000
"""The marginal value is that of so many further pieces."""
MOST_SIZES = 12
MOST_CHARACTERS = 4_000_000
"""A curve on more text than this is made from documents drawn from it."""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Learning:
    """The gain on the learning text, as the learner wrote it down piece by piece.

    Args:
        characters: Of that text, by weight.
        left: Its tokens after the first k pieces, k = 0 … N.
    """

    characters: int
    left: list[float]

    def characters_per_token(self, count: int) -> float:
        """Return code points per token with the first `count` pieces."""
        return self.characters / max(1.0, self.left[count])

    def next_saves(self, count: int) -> float | None:
        """Return tokens saved in a million characters by the `STEP` pieces after the first `count`, if there are any."""
        if count + STEP > len(self.left) - 1:
            return None
        return (self.left[count] - self.left[count + STEP]) / self.characters * _MILLION


@dataclass(frozen=True)
class Measured:
    """The gain on one text given, by really cutting the tokenizer back to each size.

    Args:
        name: The text's.
        sizes: Numbers of new pieces, ascending from 0.
        figures: Of each size; they are compared with the base.
        part: Whether only a part of the text was taken.
    """

    name: str
    sizes: list[int]
    figures: list[Figures]
    part: bool

    def next_saves(self, count: int) -> float | None:
        """Return tokens saved in a million characters by the `STEP` pieces after the first `count`, if there are any.

        Between the sizes measured, the number of tokens falls with the logarithm of the number of pieces, nearly.
        """
        if count + STEP > self.sizes[-1] or not self.figures[0].chars:
            return None
        tokens = [figures.tokens for figures in self.figures]
        now, then = np.interp(np.log1p([count, count + STEP]), np.log1p(self.sizes), tokens)
        return float(now - then) / self.figures[0].chars * _MILLION


def learning_of(graft: Graft) -> Learning | None:
    """Return the gain on the learning text, or None where an older graft.json does not hold it."""
    if len(graft.saved) != len(graft.pieces) or not graft.characters or not graft.tokens:
        return None
    saved = accumulate(graft.saved, initial=0)
    return Learning(graft.characters, [graft.tokens - sum_ / UNIT for sum_ in saved])


def sizes_up_to(count: int) -> list[int]:
    """Return 0, numbers 1, 2 and 5 times a power of ten (from about a hundredth) below `count`, and `count`.

    At most `MOST_SIZES`: 0, 100, 200, 500, 1,000, 2,000, 5,000 and 8,064.
    """
    least = 10 ** max(0, min(2, len(str(count)) - 2))
    round_ = [m * 10**power for power in range(len(str(count))) for m in (1, 2, 5)]
    # A last step that is next to nothing says nothing.
    round_ = [size for size in round_ if least <= size and size * 1.15 < count]
    return [0, *round_[-(MOST_SIZES - 2) :], count]


def measure_sizes(nested: Nested, texts: Sequence[Text], sizes: Sequence[int], seed: int) -> list[Measured]:
    """Return the gain at every size on each source of `texts`, in the order of the sources."""
    sources = list(dict.fromkeys(text.source for text in texts))
    chosen: list[Text] = []
    part: dict[str, bool] = {}
    for source in sources:
        mine = [text for text in texts if text.source == source]
        kept = _drawn(mine, MOST_CHARACTERS // len(sources), seed)
        part[source] = len(kept) < len(mine)
        chosen += kept
    documents = describe(chosen)
    first = None
    found: dict[str, list[Figures]] = {source: [] for source in sources}
    for size in sizes:
        measured = measure(nested.first(size), chosen, documents=documents, round_trip=False)
        first = first or measured
        for source in sources:
            found[source].append(measured.figures(source, first=first, seed=seed))
    return [Measured(source, list(sizes), found[source], part[source]) for source in sources]


def embedding_parameters(count: int, hidden: int, *, tied: bool) -> int:
    """Return the parameters of the rows of `count` new pieces: one row each, or two where the head is not tied."""
    return count * hidden * (1 if tied else 2)


def _drawn(texts: Sequence[Text], most: int, seed: int) -> list[Text]:
    """Return documents of about `most` characters, by draw; at least one."""
    if sum(len(text.text) for text in texts) <= most:
        return list(texts)
    kept: list[int] = []
    size = 0
    for place in shuffled([text.id for text in texts], seed, "tokenizer.report"):
        if kept and size + len(texts[place].text) > most:
            continue
        kept.append(place)
        size += len(texts[place].text)
    return [texts[place] for place in sorted(kept)]
