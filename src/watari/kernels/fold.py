"""Texts in a folded form, in which a copy with another layout is still the same text.

Letters, digits and marks only, in lower case and of normal width; white space, punctuation and symbols are left out.
Kana keep their dakuten (datatrove's normal form takes them off: がっこう would equal かっこう); a dakuten written as a
character of its own (half-width ｶﾞ, or か + U+3099) is joined to its kana. Characters fold one to one, so that places
map back; letters whose compatibility form is longer (ﬁ) stay as they are.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Codes = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]

CODE = 0x1FFFFF
"""The bits of a folded character that are its code point."""
WIDE = 1 << 30
"""Set on a folded character of a script that writes a syllable or a word with it: kana, Han, Hangul."""
BOUNDARY = 1 << 31
"""Set on a folded character before which a sentence, line or quotation starts."""
_VOICED, _SEMI_VOICED = 1 << 29, 1 << 28
NARROW_PER_WIDE = 3
"""How many letters of an alphabet, or digits, say as much as one kana or kanji: units of `units`."""

_IDENTICAL = ((0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0x20000, 0x2F7FF), (0x2FA20, 0x3FFFF))
_WIDE = (
    *(
        (0x1100, 0x11FF),
        (0x3005, 0x3007),
        (0x3041, 0x3096),
        (0x309D, 0x30FF),
        (0x3105, 0x318F),
        (0x31F0, 0x31FF),
    ),
    *((0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF)),
)
_NO_BOUNDARY = set(",、，､・･·'’‘`-‐‑‒–—―_/／\\&*#%@")
_MARKS = {0x3099: _VOICED, 0x309B: _VOICED, 0x309A: _SEMI_VOICED, 0x309C: _SEMI_VOICED}
_KANA = 0x3100


@dataclass(frozen=True)
class Folded:
    """Folded texts back to back.

    Args:
        codes: uint32, code points with the flags `WIDE` and `BOUNDARY`.
        offsets: int64[n + 1]: text i is codes[offsets[i]:offsets[i + 1]].
    """

    codes: Codes
    offsets: Places

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    def row(self, index: int) -> Codes:
        """Return the folded characters of one text, with their flags."""
        return self.codes[self.offsets[index] : self.offsets[index + 1]]


def units(codes: Codes) -> npt.NDArray[np.int64]:
    """Return how much each folded character says: `NARROW_PER_WIDE` for kana, Han and Hangul, 1 for any other."""
    return np.where(codes & np.uint32(WIDE), NARROW_PER_WIDE, 1)


@cache
def fold_table() -> Codes:
    """Return uint32[0x110000]: what each code point becomes; no code means that it is left out.

    By this Python's Unicode data, so the same on both sides of a comparison.
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    identical = np.zeros(len(table), bool)
    for first, last in _IDENTICAL:
        identical[first : last + 1] = True
    table[0xD800:0xF900] = 0
    table[0x40000:] = 0
    identical[0xD800:0xF900] = True
    identical[0x40000:] = True
    for code in np.flatnonzero(~identical).tolist():
        table[code] = _folded(chr(code))
    wide = np.zeros(len(table), bool)
    for first, last in _WIDE:
        wide[first : last + 1] = True
    # A half-width kana is as wide as what it becomes.
    base = table & np.uint32(CODE)
    table[(base != 0) & wide[base]] |= np.uint32(WIDE)
    for mark, flag in _MARKS.items():
        table[mark] = flag
    table[[0xFF9E, 0xFF9F]] = _VOICED, _SEMI_VOICED
    table.setflags(write=False)
    return table


def _folded(char: str) -> int:
    if 0xFE00 <= ord(char) <= 0xFE0F:  # variation selectors
        return 0
    wide = unicodedata.normalize("NFKC", char)
    form = wide if len(wide) == 1 else char
    low = form.lower()
    form = low if len(low) == 1 else form
    group = unicodedata.category(form)
    if group[0] in "LNM":
        return ord(form)
    line = group in ("Zl", "Zp") or char in "\t\n\v\f\r\x85"
    quote = group in ("Po", "Ps", "Pe", "Pi", "Pf") and char not in _NO_BOUNDARY and form not in _NO_BOUNDARY
    return BOUNDARY if line or quote else 0


@cache
def _voiced_table() -> Codes:
    """Return uint32[2, 0x3100]: every code point with a dakuten, and with a handakuten; itself where there is none."""
    table = np.tile(np.arange(_KANA, dtype=np.uint32), (2, 1))
    for code in range(0x3041, _KANA):
        for kind, mark in enumerate("\u3099\u309a"):
            form = unicodedata.normalize("NFC", chr(code) + mark)
            if len(form) == 1:
                table[kind, code] = ord(form)
    return table


def fold(column: pa.Array | pa.ChunkedArray) -> Folded:
    """Return the folded form of a column of strings; a null is an empty text."""
    if not compiled():
        texts = Texts.from_arrow(column)
        return _fold_numpy(texts.codes, texts.offsets)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.cast(pa.large_string())
    if array.null_count:
        array = array.fill_null("")
    if len(array) == 0:
        return Folded(np.zeros(0, np.uint32), np.zeros(1, np.int64))
    _, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int64, count=len(array) + 1, offset=8 * array.offset)
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return Folded(*_fold_compiled(raw, offsets, fold_table(), _voiced_table()))


def kept_places(codes: Codes) -> Places:
    """Return int64: for each folded character of one text, its place in the text as it was."""
    return np.flatnonzero(fold_table()[codes] & np.uint32(CODE))


@jit
def _fold_compiled(raw: npt.NDArray[np.uint8], offsets: Places, table: Codes, voiced: Codes) -> Any:
    boundary, code_bits = np.uint32(1 << 31), np.uint32(0x1FFFFF)
    out = np.empty(offsets[-1] - offsets[0], np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    size = 0
    for row in range(len(offsets) - 1):
        flag = boundary
        follows = False
        place = offsets[row]
        stop = offsets[row + 1]
        while place < stop:
            # Valid UTF-8, as Arrow promises.
            first = np.uint32(raw[place])
            if first < 0x80:
                code = first
                place += 1
            elif first < 0xE0:
                code = (first & 0x1F) << 6 | (np.uint32(raw[place + 1]) & 0x3F)
                place += 2
            elif first < 0xF0:
                code = (first & 0x0F) << 12 | (np.uint32(raw[place + 1]) & 0x3F) << 6
                code |= np.uint32(raw[place + 2]) & 0x3F
                place += 3
            else:
                code = (first & 0x07) << 18 | (np.uint32(raw[place + 1]) & 0x3F) << 12
                code |= (np.uint32(raw[place + 2]) & 0x3F) << 6 | (np.uint32(raw[place + 3]) & 0x3F)
                place += 4
            value = table[code]
            if value & code_bits:
                out[size] = value | flag
                size += 1
                flag = np.uint32(0)
                follows = True
                continue
            if value == boundary:
                flag = boundary
            elif value and follows:
                base = out[size - 1] & code_bits
                if base < np.uint32(0x3100):
                    kind = 0 if value == np.uint32(1 << 29) else 1
                    out[size - 1] = (out[size - 1] ^ base) | voiced[kind, base]
            follows = False
        ends[row + 1] = size
    return out[:size].copy(), ends


def _fold_numpy(codes: Codes, offsets: Places) -> Folded:
    values = fold_table()[codes]
    kept = (values & np.uint32(CODE)) != 0
    before = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    ends = before[offsets]
    out = values[kept]
    flagged = np.concatenate([ends[:-1], before[np.flatnonzero(values == np.uint32(BOUNDARY))]])
    # A boundary at the end of a text says nothing of the next one, but that one starts with a boundary anyway.
    out[flagged[flagged < len(out)]] |= np.uint32(BOUNDARY)
    marks = np.flatnonzero((values == np.uint32(_VOICED)) | (values == np.uint32(_SEMI_VOICED)))
    firsts = np.zeros(len(codes) + 1, bool)
    firsts[offsets[:-1]] = True
    marks = marks[~firsts[marks]]
    marks = marks[kept[marks - 1]]
    targets = before[marks - 1]
    base = out[targets] & np.uint32(CODE)
    kana = base < _KANA
    marks, targets, base = marks[kana], targets[kana], base[kana]
    kinds = (values[marks] != np.uint32(_VOICED)).astype(np.int64)
    out[targets] = (out[targets] ^ base) | _voiced_table()[kinds, base]
    return Folded(out, ends)
