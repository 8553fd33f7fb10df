"""Lines and paragraphs as spans, and which of them have come before. Line ends are few: numpy alone is quick enough."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from watari.kernels.texts import Texts
from watari.kernels.words import Codes, Flags, Places, Spans, flags_of, numbers, trimmed

_NEWLINE, _RETURN = 10, 13


def lines(texts: Texts) -> Spans:
    """Return the lines of texts as `str.split("\\n")` does: one more than there are line feeds, empty ones too."""
    places = np.flatnonzero(texts.codes == _NEWLINE)
    return _between(texts.offsets[:-1], texts.offsets[1:], places, places + 1, texts.offsets)


def feed_lines(texts: Texts) -> Spans:
    """Return the lines of texts parted by runs of line feeds (`re.split("\\n+")`); at the ends they may be empty."""
    return _between(texts.offsets[:-1], texts.offsets[1:], *_runs(texts), texts.offsets)


def paragraphs(texts: Texts) -> Spans:
    """Return the parts of stripped texts between two or more line feeds (`re.split("\\n{2,}", text.strip())`)."""
    whole = Spans(texts.offsets[:-1], texts.offsets[1:], np.arange(len(texts) + 1, dtype=np.int64))
    inner = trimmed(texts.codes, whole)
    begins, finishes = _runs(texts)
    owner = np.searchsorted(texts.offsets, begins, side="right") - 1
    chosen = (finishes - begins >= 2) & (begins >= inner.starts[owner]) & (finishes <= inner.ends[owner])
    return _between(inner.starts, inner.ends, begins[chosen], finishes[chosen], texts.offsets)


def any_lines(texts: Texts) -> Spans:
    """Return the lines of texts as `str.splitlines` does: at every sort of line end, with no empty line at the end."""
    marked = _line_ends()[texts.codes]
    begins = np.flatnonzero(marked)
    pair = np.zeros(len(begins), bool)
    if len(begins) > 1:
        codes = texts.codes[begins]
        pair[1:] = (codes[1:] == _NEWLINE) & (codes[:-1] == _RETURN) & (np.diff(begins) == 1)
        # A line feed that begins a text does not belong to the text before.
        pair &= ~np.isin(begins, texts.offsets)
    finishes = begins + 1
    finishes[np.flatnonzero(pair) - 1] += 1
    found = _between(texts.offsets[:-1], texts.offsets[1:], begins[~pair], finishes[~pair], texts.offsets)
    kept = np.ones(len(found.starts), bool)
    last = found.offsets[1:] - 1
    kept[last] = found.lengths[last] > 0
    return found.where(kept)


@cache
def _line_ends() -> Flags:
    return flags_of("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def _runs(texts: Texts) -> tuple[Places, Places]:
    """Where runs of line feeds begin, and where they end; none reaches over the end of a text."""
    places = np.flatnonzero(texts.codes == _NEWLINE)
    if not len(places):
        return places, places
    fresh = np.ones(len(places), bool)
    fresh[1:] = (np.diff(places) > 1) | np.isin(places[1:], texts.offsets)
    return places[fresh], places[np.append(np.flatnonzero(fresh)[1:] - 1, len(places) - 1)] + 1


def _between(firsts: Places, lasts: Places, begins: Places, finishes: Places, offsets: Places) -> Spans:
    """The parts of texts (from `firsts` to `lasts`) between separators that lie in them."""
    starts = np.sort(np.concatenate([firsts, finishes]))
    ends = np.sort(np.concatenate([begins, lasts]))
    owner = np.searchsorted(offsets, begins, side="right") - 1
    counts = np.bincount(owner, minlength=len(firsts)) + 1
    return Spans(starts, ends, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))


def come_before(codes: Codes, spans: Spans) -> npt.NDArray[np.bool_]:
    """Return bool[m]: whether the same part stands earlier in the same text."""
    found = np.zeros(len(spans.starts), bool)
    number = numbers(codes, spans)
    # Stable: of equal parts the first one stays first.
    order = np.lexsort((number, spans.owners))
    same = (np.diff(spans.owners[order]) == 0) & (number[order][1:] == number[order][:-1])
    found[order[1:][same]] = True
    return found


def begin_with(codes: Codes, spans: Spans, text: str) -> npt.NDArray[np.bool_]:
    """Return bool[m]: whether each part begins with a string."""
    return _hold_at(codes, spans, text, spans.starts)


def end_with(codes: Codes, spans: Spans, text: str) -> npt.NDArray[np.bool_]:
    """Return bool[m]: whether each part ends with a string."""
    return _hold_at(codes, spans, text, spans.ends - len(text))


def _hold_at(codes: Codes, spans: Spans, text: str, places: Places) -> npt.NDArray[np.bool_]:
    found = spans.lengths >= len(text)
    for shift, character in enumerate(text):
        inside = np.flatnonzero(found)
        found[inside] = codes[places[inside] + shift] == ord(character)
    return found


def occurrences(texts: Texts, text: str) -> Places:
    """Return int64[n]: how often a string stands in each text, without overlaps (`str.count`)."""
    if len(text) == 1:
        places = np.flatnonzero(texts.codes == ord(text))
        return np.diff(np.searchsorted(places, texts.offsets)).astype(np.int64)
    return np.array([texts[row].count(text) for row in range(len(texts))], np.int64)
