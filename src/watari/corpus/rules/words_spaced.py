"""Words of texts in languages with spaces, a column at a time.

`words_affixes.split` says how a string between two blanks is split. It is asked once for all strings that differ only in
their first run of ASCII letters, where that run is in no list: `(Tokyo),` is split like `(Osaka),`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from watari.corpus.rules.words_affixes import UNITS, listed, split
from watari.kernels.texts import Texts
from watari.kernels.words import (
    ASCII_LETTER,
    Numbers,
    Places,
    Spans,
    character_flags,
    chunks,
    first_run,
    flags_of,
    held,
    number_of,
    numbers,
)

_RUN = re.compile("[A-Za-z]+")
_LABEL = 63
"""Characters of the longest string that is split like others: in a longer one the length of a name in an address counts."""
_SMALL = ord("a")
_MIX = np.uint64(0xD6E8FEB86659FD93)
_KEPT = 1 << 18
"""Strings whose words are remembered (about 40 MB); then they are forgotten and found again."""
_AT_A_TIME = 1 << 20
"""Characters of the texts that are looked at at once: about 100 MB of memory, whatever the column has."""
_NONE = np.zeros(0, np.int64)
_SHORT = 64
"""Characters of the longest string that is remembered."""


@dataclass(frozen=True)
class _Shape:
    """How strings are split that differ in their first run of letters only.

    Args:
        lengths: Of the words, in the string that stands for all.
        core: The word that the run is in.
        run: Letters of the run in that string.
    """

    lengths: tuple[int, ...]
    core: int
    run: int


@dataclass(frozen=True)
class _Ways:
    """How some strings are split: each like one of a list of ways.

    Args:
        rows: int64[k], the strings.
        which: int64[k], the way of each.
        sizes: int64, words of each way.
        lengths: int64, characters of the words of all ways, one way after the other.
    """

    rows: Places
    which: Places
    sizes: Places
    lengths: Places

    @staticmethod
    def of(rows: Places, which: Places, ways: list[tuple[int, ...]]) -> _Ways:
        sizes = np.fromiter(map(len, ways), np.int64, len(ways))
        flat = (length for way in ways for length in way)
        return _Ways(rows, which, sizes, np.fromiter(flat, np.int64, int(sizes.sum())))

    @property
    def counts(self) -> Places:
        """int64[k]: words of each string."""
        return self.sizes[self.which]

    def fill(self, lengths: Places, firsts: Places) -> None:
        """Set the lengths of the strings' words; `firsts` is the place of every string's first word."""
        counts = self.counts
        begins = np.cumsum(self.sizes) - self.sizes
        step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        lengths[np.repeat(firsts[self.rows], counts) + step] = self.lengths[
            np.repeat(begins[self.which], counts) + step
        ]


@cache
def _shapes(language: str) -> dict[int, _Shape]:
    return {}


@cache
def _memory(language: str) -> dict[str, tuple[int, ...]]:
    return {}


@cache
def _own_ways(language: str) -> Numbers:
    """The runs of letters that matter to `split`, as sorted numbers: of listed strings, units and currencies."""
    texts = (*listed(language).strings, *UNITS.split(), "US", "C", "A")
    runs = {run for text in texts for run in _RUN.findall(text)}
    return np.array(sorted(map(number_of, runs)), np.uint64)


def _among(number: Numbers, known: Numbers) -> npt.NDArray[np.bool_]:
    """Whether numbers are among a few known ones: most are told by their last bits."""
    mask = np.uint64(0xFFFF)
    perhaps = np.zeros(0x10000, np.bool_)
    perhaps[known & mask] = True
    found: npt.NDArray[np.bool_] = perhaps[number & mask]
    places = np.flatnonzero(found)
    found[places] = np.isin(number[places], known)
    return found


def spaced_words(texts: Texts, language: str) -> Spans:
    """Return the words of texts in a language with spaces; what lies between two words is white space."""
    starts, ends, counts = [_NONE], [_NONE], [_NONE]
    first = 0
    while first < len(texts):
        begin = texts.offsets[first]
        last = max(first + 1, int(np.searchsorted(texts.offsets, begin + _AT_A_TIME, side="right")) - 1)
        offsets = texts.offsets[first : last + 1] - begin
        found = _words(Texts(texts.codes[begin : texts.offsets[last]], offsets), language)
        starts.append(found.starts + begin)
        ends.append(found.ends + begin)
        counts.append(found.counts)
        first = last
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Spans(np.concatenate(starts), np.concatenate(ends), offsets)


def _words(texts: Texts, language: str) -> Spans:
    whole = chunks(texts)
    codes = texts.codes
    run = first_run(codes, whole, character_flags(), ASCII_LETTER)
    before = Spans(whole.starts, run.starts, whole.offsets)
    shaped = (run.lengths > 0) & (whole.lengths <= _LABEL)
    shaped &= ~_among(numbers(codes, run), _own_ways(language))
    # "3.com" is an address if the letters are small ones.
    shaped &= held(codes, before, flags_of(".")).some == 0
    plain = shaped & (run.lengths == whole.lengths)

    rows = np.flatnonzero(shaped & ~plain)
    ways, shapes = _shaped(texts, language, whole, run, rows)
    others = _listed_ways(texts, language, whole, np.flatnonzero(~shaped))
    counts = np.ones(len(plain), np.int64)
    counts[ways.rows], counts[others.rows] = ways.counts, others.counts
    offsets = np.concatenate([[0], np.cumsum(counts)])
    lengths = np.repeat(whole.lengths, counts)
    others.fill(lengths, offsets)
    ways.fill(lengths, offsets)
    # The word with the run is longer or shorter by what the run is.
    cores = np.fromiter((shape.core for shape in shapes), np.int64, len(shapes))[ways.which]
    runs = np.fromiter((shape.run for shape in shapes), np.int64, len(shapes))[ways.which]
    lengths[offsets[:-1][rows] + cores] += run.lengths[rows] - runs
    ends = np.cumsum(lengths)
    # These count no white space: what lies before each string is added.
    ends += np.repeat(whole.ends - ends[offsets[1:] - 1], counts)
    return Spans(ends - lengths, ends, offsets[whole.offsets])


def _shaped(
    texts: Texts, language: str, whole: Spans, run: Spans, rows: Places
) -> tuple[_Ways, list[_Shape]]:
    """Split the strings `rows` by what stands before and behind their first run, and by the case of its ends."""
    before = Spans(whole.starts, run.starts, whole.offsets)
    behind = Spans(run.ends, whole.ends, whole.offsets)
    starts, ends = run.starts[rows], run.ends[rows]
    kind = np.minimum(run.lengths[rows], 3) * 8
    for bit, places in ((4, starts), (2, ends - 1), (1, np.maximum(ends - 2, starts))):
        kind += bit * (texts.codes[places] >= _SMALL)
    key = numbers(texts.codes, before)[rows] * _MIX + numbers(texts.codes, behind)[rows]
    key = key * _MIX + kind.astype(np.uint64)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    known = _shapes(language)
    shapes = []
    for name, row in zip(key[first].tolist(), rows[first].tolist(), strict=True):
        shape = known.get(name)
        if shape is None:
            words = split(_text(texts, whole, row), language)
            place, core = int(run.starts[row] - whole.starts[row]), 0
            while place >= words[core]:
                place -= words[core]
                core += 1
            shape = _Shape(words, core, int(run.lengths[row]))
            if len(known) >= _KEPT:
                known.clear()
            known[name] = shape
        shapes.append(shape)
    return _Ways.of(rows, which, [shape.lengths for shape in shapes]), shapes


def _listed_ways(texts: Texts, language: str, whole: Spans, rows: Places) -> _Ways:
    """Split the strings `rows` one by one, equal ones once."""
    number = numbers(texts.codes, whole)[rows]
    _, first, which = np.unique(number, return_index=True, return_inverse=True)
    memory = _memory(language)
    ways = []
    for row in rows[first].tolist():
        text = _text(texts, whole, row)
        way = memory.get(text)
        if way is None:
            way = split(text, language)
            if len(memory) >= _KEPT:
                memory.clear()
            if len(text) <= _SHORT:
                memory[text] = way
        ways.append(way)
    return _Ways.of(rows, which, ways)


def _text(texts: Texts, spans: Spans, row: int) -> str:
    part = texts.codes[spans.starts[row] : spans.ends[row]]
    return part.astype("<u4").tobytes().decode("utf-32-le")
