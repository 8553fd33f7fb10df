"""Sentences and paragraphs of texts: how many, how long, how they end, how many of them are said again.

A text is cut into lines at line feeds only. A sentence is a run of characters within a line that are no terminators,
with the terminator after it if there is one; a terminator that follows no such run belongs to no sentence. A paragraph
is a line without the terminators that belong to no sentence; an empty line is an empty paragraph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watari.kernels.classes import Ranges
from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Integers = npt.NDArray[np.int64]

WHITESPACE: Ranges = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
"""What `str.strip` takes off."""

_NEWLINE, _TERMINATOR, _WHITE, _ENDING = 1, 2, 4, 8


@dataclass(frozen=True)
class SentenceFigures:
    """Of each text, int64[n] each.

    Args:
        sentences: How many.
        characters: Of all sentences together.
        longest: Characters of the longest one; 0 where there is none.
        ending: Sentences whose last character, white space apart, is in the class of endings.
    """

    sentences: Integers
    characters: Integers
    longest: Integers
    ending: Integers


@dataclass(frozen=True)
class SpanFigures:
    """Sentences or paragraphs of each text, int64[n] each.

    Args:
        spans, characters: How many, and how long together.
        again, characters_again: The same of those that repeat an earlier one of the same text.
    """

    spans: Integers
    characters: Integers
    again: Integers
    characters_again: Integers


@dataclass(frozen=True)
class Repetition:
    """What a text says again, sentence by sentence and paragraph by paragraph."""

    sentences: SpanFigures
    paragraphs: SpanFigures


def sentence_figures(texts: Texts, terminators: Ranges, endings: Ranges = ()) -> SentenceFigures:
    """Return the figures of each text's sentences; `endings` is the class that `ending` counts."""
    flags = _flags(terminators, endings)
    if compiled():
        figures = _figures(texts.codes, texts.offsets, flags)
    else:
        figures = np.concatenate([_figures_numpy(part, flags) for part in _parts(texts)])
    return SentenceFigures(*(np.ascontiguousarray(column) for column in figures.T))


def repetition(texts: Texts, terminators: Ranges) -> Repetition:
    """Return how much of each text repeats a sentence or a paragraph of it; compared whole, not by hash."""
    flags = _flags(terminators, ())
    if compiled():
        figures = _repetition(texts.codes, texts.offsets, flags)
    else:
        figures = np.concatenate([_repetition_numpy(part, flags) for part in _parts(texts)])
    columns = [np.ascontiguousarray(column) for column in figures.T]
    return Repetition(SpanFigures(*columns[:4]), SpanFigures(*columns[4:]))


@lru_cache(maxsize=8)
def _flags(terminators: Ranges, endings: Ranges) -> npt.NDArray[np.uint8]:
    """uint8[0x110000]: what a character is; a line feed is never a terminator."""
    flags = np.zeros(0x110000, np.uint8)
    for flag, ranges in ((_TERMINATOR, terminators), (_WHITE, WHITESPACE), (_ENDING, endings)):
        for first, last in ranges:
            flags[first : last + 1] |= flag
    flags[0x0A] = _NEWLINE | _WHITE
    return flags


@jit
def _figures(codes: npt.NDArray[np.uint32], offsets: Integers, flags: npt.NDArray[np.uint8]) -> Integers:
    rows = len(offsets) - 1
    figures = np.zeros((rows, 4), np.int64)
    for row in range(rows):
        sentences = total = longest = ending = 0
        length = 0
        ends = 0
        for at in range(offsets[row], offsets[row + 1]):
            flag = flags[codes[at]]
            if flag & 3 == 0:
                length += 1
                if flag & 4 == 0:
                    ends = flag >> 3
                continue
            if length == 0:
                continue
            if flag & 2:
                length += 1
                if flag & 4 == 0:
                    ends = flag >> 3
            sentences += 1
            total += length
            longest = max(longest, length)
            ending += ends
            length = ends = 0
        if length:
            sentences += 1
            total += length
            longest = max(longest, length)
            ending += ends
        figures[row, 0] = sentences
        figures[row, 1] = total
        figures[row, 2] = longest
        figures[row, 3] = ending
    return figures


@dataclass(frozen=True)
class _Cut:
    """The characters of all texts that belong to sentences, and where sentences and paragraphs start among them."""

    kept: Integers  # positions in `codes`
    sentence_starts: Integers  # places in `kept`
    sentence_rows: Integers
    paragraph_starts: Integers
    paragraph_rows: Integers


def _cut(texts: Texts, flags: npt.NDArray[np.uint8]) -> _Cut:
    flag = flags[texts.codes]
    plain = (flag & 3) == 0
    before = np.zeros(len(plain), bool)
    before[1:] = plain[:-1]
    filled = texts.offsets[:-1][texts.lengths > 0]
    before[filled] = False
    belongs = plain | (((flag & _TERMINATOR) != 0) & before)
    places = np.zeros(len(plain) + 1, np.int64)
    np.cumsum(belongs, out=places[1:])
    starts = np.flatnonzero(plain & ~before)
    newlines = np.flatnonzero(flag & _NEWLINE)
    rows = np.concatenate([np.arange(len(texts)), _rows(texts, newlines)])
    positions = np.concatenate([texts.offsets[:-1], newlines + 1])
    order = np.lexsort((positions, rows))
    return _Cut(
        np.flatnonzero(belongs),
        places[starts],
        _rows(texts, starts),
        places[positions[order]],
        rows[order],
    )


def _parts(texts: Texts) -> Iterator[Texts]:
    """The texts in parts of about this many characters, of which numpy's arrays stay in the processor's cache."""
    start = 0
    while True:
        stop = int(np.searchsorted(texts.offsets, texts.offsets[start] + (1 << 16), side="right"))
        stop = min(max(stop - 1, start + 1), len(texts))
        offsets = texts.offsets[start : stop + 1]
        yield Texts(texts.codes[offsets[0] : offsets[-1]], offsets - offsets[0])
        start = stop
        if start >= len(texts):
            return


def _rows(texts: Texts, positions: Integers) -> Integers:
    return np.searchsorted(texts.offsets, positions, side="right").astype(np.int64) - 1


def _figures_numpy(texts: Texts, flags: npt.NDArray[np.uint8]) -> Integers:
    cut = _cut(texts, flags)
    figures = np.zeros((len(texts), 4), np.int64)
    starts, rows = cut.sentence_starts, cut.sentence_rows
    if not len(starts):
        return figures
    stops = np.append(starts[1:], len(cut.kept))
    lengths = stops - starts
    flag = flags[texts.codes[cut.kept]]
    # The last place up to each that is no white space; before a sentence's start means that it has none.
    last = np.maximum.accumulate(np.where(flag & _WHITE, -1, np.arange(len(flag))))[stops - 1]
    ends = (last >= starts) & ((flag[last] & _ENDING) != 0)
    figures[:, 0] = np.bincount(rows, minlength=len(texts))
    totals = np.concatenate([[0], np.cumsum(lengths)])
    first = np.concatenate([[0], np.cumsum(figures[:, 0])])
    figures[:, 1] = totals[first[1:]] - totals[first[:-1]]
    some = np.flatnonzero(figures[:, 0])
    figures[some, 2] = np.maximum.reduceat(lengths, first[:-1][some])
    figures[:, 3] = np.bincount(rows[ends], minlength=len(texts))
    return figures


@jit
def _repetition(codes: npt.NDArray[np.uint32], offsets: Integers, flags: npt.NDArray[np.uint8]) -> Integers:
    rows = len(offsets) - 1
    figures = np.zeros((rows, 8), np.int64)
    size = 1
    for row in range(rows):
        size = max(size, offsets[row + 1] - offsets[row] + 2)
    kept = np.empty(size, np.uint32)
    bounds = np.empty((2, size), np.int64)
    hashes = np.empty((2, size), np.uint64)
    table = np.zeros(1, np.int32)
    seed = np.uint64(0x9E3779B97F4A7C15)
    prime = np.uint64(0xD6E8FEB86659FD93)
    for row in range(rows):
        length = sentences = paragraphs = 0
        sentence = paragraph = seed
        sentence_start = 0
        bounds[0, 0] = bounds[1, 0] = 0
        for at in range(offsets[row], offsets[row + 1]):
            code = codes[at]
            flag = flags[code] & 3
            if flag == 0 or (flag == 2 and length > sentence_start):
                kept[length] = code
                length += 1
                sentence = (sentence ^ np.uint64(code)) * prime
                paragraph = (paragraph ^ np.uint64(code)) * prime
            if flag != 0 and length > sentence_start:
                hashes[0, sentences] = sentence
                sentences += 1
                bounds[0, sentences] = sentence_start = length
                sentence = seed
            if flag & 1:
                hashes[1, paragraphs] = paragraph
                paragraphs += 1
                bounds[1, paragraphs] = length
                paragraph = seed
        if length > sentence_start:
            hashes[0, sentences] = sentence
            sentences += 1
            bounds[0, sentences] = length
        hashes[1, paragraphs] = paragraph
        paragraphs += 1
        bounds[1, paragraphs] = length
        for kind in range(2):
            spans = paragraphs if kind else sentences
            slots = 4
            while slots < 2 * spans:
                slots *= 2
            if len(table) < slots:
                table = np.zeros(slots, np.int32)
            table[:slots] = 0
            again = characters_again = 0
            for span in range(spans):
                start, stop = bounds[kind, span], bounds[kind, span + 1]
                mixed = hashes[kind, span]
                slot = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(slots - 1))
                while table[slot] > 0:
                    other = table[slot] - 1
                    if hashes[kind, other] == mixed:
                        begin = bounds[kind, other]
                        same = bounds[kind, other + 1] - begin == stop - start
                        place = start
                        while same and place < stop:
                            same = kept[begin + place - start] == kept[place]
                            place += 1
                        if same:
                            again += 1
                            characters_again += stop - start
                            break
                    slot = (slot + 1) & (slots - 1)
                if table[slot] == 0:
                    table[slot] = span + 1
            figures[row, 4 * kind] = spans
            figures[row, 4 * kind + 1] = length
            figures[row, 4 * kind + 2] = again
            figures[row, 4 * kind + 3] = characters_again
    return figures


def _repetition_numpy(texts: Texts, flags: npt.NDArray[np.uint8]) -> Integers:
    cut = _cut(texts, flags)
    codes = texts.codes[cut.kept]
    # Hash of a span = Σ code · base^place, brought back to place 0 by the inverse of base modulo 2^64.
    base = 0x9E3779B97F4A7C15
    powers = _powers(base, len(codes) + 1)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * powers[:-1], out=sums[1:])
    back = _powers(pow(base, -1, 1 << 64), len(codes) + 1)
    columns: list[Integers] = []
    for starts, rows in (
        (cut.sentence_starts, cut.sentence_rows),
        (cut.paragraph_starts, cut.paragraph_rows),
    ):
        stops = np.append(starts[1:], len(codes)) if len(starts) else starts
        lengths = stops - starts
        hashes = (sums[stops] - sums[starts]) * back[starts]
        hashes ^= hashes >> np.uint64(29)
        hashes += rows.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        again = _again(codes, starts, lengths, rows, hashes)
        columns += [
            np.bincount(rows, minlength=len(texts)),
            _summed(lengths, rows, len(texts)),
            np.bincount(rows[again], minlength=len(texts)),
            _summed(lengths[again], rows[again], len(texts)),
        ]
    return np.stack(columns, axis=1).astype(np.int64)


def _powers(base: int, count: int) -> npt.NDArray[np.uint64]:
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def _summed(lengths: Integers, rows: Integers, size: int) -> Integers:
    totals = np.zeros(size, np.int64)
    np.add.at(totals, rows, lengths)
    return totals


def _again(
    codes: npt.NDArray[np.uint32],
    starts: Integers,
    lengths: Integers,
    rows: Integers,
    hashes: npt.NDArray[np.uint64],
) -> npt.NDArray[np.bool_]:
    """Return, of each span, whether an equal one stands before it in its row."""
    again = np.zeros(len(starts), bool)
    order = np.argsort(hashes, kind="stable")
    pairs = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    one, other = order[pairs], order[pairs + 1]
    same = (rows[one] == rows[other]) & (lengths[one] == lengths[other])
    size = lengths[one[same]]
    offsets = np.cumsum(size) - size
    within = np.arange(size.sum()) - np.repeat(offsets, size)
    differ = (
        codes[np.repeat(starts[one[same]], size) + within]
        != codes[np.repeat(starts[other[same]], size) + within]
    )
    owner = np.repeat(np.flatnonzero(same), size)
    same[owner[differ]] = False
    again[other[same]] = True
    for row in np.unique(rows[np.concatenate([one[~same], other[~same]])]).tolist():
        # Unequal spans of one hash: this row's are compared one by one.
        seen: set[bytes] = set()
        for span in np.flatnonzero(rows == row).tolist():
            content = codes[starts[span] : starts[span] + lengths[span]].tobytes()
            again[span] = content in seen
            seen.add(content)
    return again
