"""Pairs of texts as rows of bits: for each character of the one, where the other has it.

What compares many pairs at once (`lcs`, `blocks`) works on these: one machine word a character, all pairs in one array, and
the characters that the other text does not have, which no comparison needs, left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint32]

WIDEST = 64
"""Characters of the other text: the bits of a word."""
_SLOTS = 512  # other texts at a time: a table of them by character must stay small
_ROWS = 1 << 20
_PIECE = 1 << 15


def codes_of(text: str) -> Codes:
    """Return a text's code points; halves of surrogate pairs are some, too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def text_of(codes: Codes | Ints) -> str:
    """Return the text of some code points."""
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


@dataclass(frozen=True)
class Texts:
    """Texts as code points: each a span of one array.

    Args:
        codes: All of them.
        starts, sizes: Of each text, in characters.
    """

    codes: Codes
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Return texts in this form."""
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        return cls(codes_of("".join(texts)), np.cumsum(sizes) - sizes, sizes)

    def text(self, which: int) -> str:
        """Return one text."""
        start = int(self.starts[which])
        return text_of(self.codes[start : start + int(self.sizes[which])])

    def at(self, which: Ints) -> tuple[Codes, Ints]:
        """Return the code points of some texts, one after the other, and where each text starts there."""
        sizes = self.sizes[which]
        starts = np.cumsum(sizes) - sizes
        places = np.repeat(self.starts[which] - starts, sizes)
        places += np.arange(len(places))
        return self.codes[places], starts


@dataclass(frozen=True)
class Rows:
    """The characters of the first texts of some pairs that the second text has, in order.

    Args:
        pairs: Which pairs, by their places among all.
        pair: Of each row, its pair's place in `pairs`; ascending.
        place: The character's place in its text, with an offset of the pair's own: neighbours in a text differ by 1.
        bits: Bit k is set where the second text has the character in place k.
    """

    pairs: Ints
    pair: Ints
    place: Ints
    bits: Words


def rows_of(texts: Texts, first: Ints, second: Ints) -> Iterator[Rows]:
    """Yield the rows of pairs (texts[first[k]], texts[second[k]]), each pair once, many pairs at a time.

    Args:
        texts: The texts.
        first: Of any size.
        second: Of at most `WIDEST` characters.
    """
    order = np.argsort(second, kind="stable")
    first, second = first[order], second[order]
    slot = np.cumsum(np.diff(second, prepend=second[:1]) != 0)
    part = slot // _SLOTS + np.cumsum(texts.sizes[first]) // _ROWS
    ends = [*(np.flatnonzero(np.diff(part)) + 1).tolist(), len(order)]
    start = 0
    for end in ends:
        if start < end:
            here = slice(start, end)
            yield _rows(texts, order[here], first[here], second[here], slot[here] - slot[start])
        start = end


def _rows(texts: Texts, pairs: Ints, first: Ints, second: Ints, slot: Ints) -> Rows:
    others = second[np.flatnonzero(np.diff(slot, prepend=-1))]
    characters, starts = texts.at(others)
    # Columns of the table: characters that any of the other texts has; column 0 is for those that none has.
    top = int(max(characters.max(initial=0), texts.codes.max(initial=0))) + 1
    there = np.zeros(top, bool)
    there[characters] = True
    column = np.zeros(top, np.int32)
    known = np.flatnonzero(there)
    column[known] = np.arange(1, len(known) + 1)
    width = len(known) + 1
    table = np.zeros(len(others) * width, np.uint64)
    sizes = texts.sizes[others]
    owner = np.repeat(np.arange(len(others)), sizes)
    bit = (np.arange(len(characters)) - starts[owner]).astype(np.uint64)
    np.bitwise_or.at(table, owner * width + column[characters], np.uint64(1) << bit)
    # So many characters at a time that what is made of them stays in the cache; of most nothing is kept.
    sizes = texts.sizes[first]
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(_PIECE, int(ends[-1]), _PIECE)).tolist()
    found: list[tuple[Ints, Ints, Words]] = []
    for start, end in pairwise([0, *cuts, len(first)]):
        of_row = np.repeat(np.arange(start, end), sizes[start:end])
        before = int(ends[start - 1]) if start else 0
        places = (texts.starts[first[start:end]] - ends[start:end] + sizes[start:end] + before)[
            of_row - start
        ]
        places += np.arange(len(places))
        bits = table[(slot[start:end] * width)[of_row - start] + column[texts.codes[places]]]
        kept = np.flatnonzero(bits != 0)
        pair = of_row[kept]
        found.append((pair, kept + before + pair, bits[kept]))
    pair, place, bits = (np.concatenate(some) for some in zip(*found, strict=True))
    return Rows(pairs, pair, place, bits)
