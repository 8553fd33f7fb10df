"""Where texts hold a run of characters of an index: the search behind decontamination.

Both sides are compared in a folded form: letters, digits and marks only, in lower case and of normal width. White
space, punctuation and symbols are left out, so a copy with another layout is still a copy. Kana keep their dakuten
(datatrove's normal form takes them off: がっこう would equal かっこう); a dakuten written as a character of its own
(half-width ｶﾞ, or か + U+3099) is joined to its kana. Characters fold one to one, so that places map back; those
whose compatibility form is longer (㌔, ﬁ) stay as they are.

An n-gram is found by its polynomial hash (mod 2**64, mixed), rolled over the folded text: first a bit in a bitmap,
then a search in the sorted array of the index.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
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
    *((0x3005, 0x3007), (0x3041, 0x3096), (0x309D, 0x30FF), (0x3105, 0x318F), (0x31F0, 0x31FF)),
    *((0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF)),
)
_NO_BOUNDARY = set(",、，､・･·'’‘`-‐‑‒–—―_/／\\&*#%@")
_MARKS = {0x3099: _VOICED, 0x309B: _VOICED, 0x309A: _SEMI_VOICED, 0x309C: _SEMI_VOICED}
_KANA = 0x3100

_BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93
_WORD = (1 << 64) - 1


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


@dataclass(frozen=True)
class Hits:
    """Places at which something of the index was found, in the order of the texts.

    Args:
        rows: int64, which text.
        starts: int64, where in its folded form (0 is its first character).
        lengths: int64, folded characters.
        slots: int64, position in the index's array of hashes.
    """

    rows: Places
    starts: Places
    lengths: Places
    slots: Places

    def __len__(self) -> int:
        """Number of hits."""
        return len(self.rows)


@dataclass(frozen=True)
class HashSet:
    """A set of hashes that is asked about every character of a corpus.

    Args:
        hashes: uint64, sorted, each once.
        bitmap: uint64 words; the bit at a hash's highest bits is set.
        shift: A hash shifted right by this is its bit's number.
    """

    hashes: Hashes
    bitmap: Hashes
    shift: int

    @staticmethod
    def of(hashes: Hashes) -> HashSet:
        """Return the set of some hashes; 32 to 64 bits each, at least 2**16 and at most 2**30 (128 MB)."""
        unique = np.unique(hashes)
        bits = min(max((64 * len(unique)).bit_length() - 1, 16), 30)
        bitmap = np.zeros(1 << (bits - 6), np.uint64)
        places = unique >> np.uint64(64 - bits)
        np.bitwise_or.at(bitmap, places >> np.uint64(6), np.uint64(1) << (places & np.uint64(63)))
        return HashSet(unique, bitmap, 64 - bits)


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
    for first, last in _WIDE:
        codes = table[first : last + 1]
        codes[codes != 0] |= np.uint32(WIDE)
    # A half-width kana or a compatibility Han is as wide as what it becomes.
    narrow = (table & np.uint32(WIDE)) == 0
    base = table & np.uint32(CODE)
    wide = (table[base] & np.uint32(WIDE)) != 0
    table[narrow & wide] |= np.uint32(WIDE)
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


def fold(texts: Texts) -> Folded:
    """Return the folded form of texts."""
    codes = np.ascontiguousarray(texts.codes)
    offsets = np.ascontiguousarray(texts.offsets)
    if compiled():
        return Folded(*_fold_compiled(codes, offsets, fold_table(), _voiced_table()))
    return _fold_numpy(codes, offsets)


def kept_places(codes: Codes) -> Places:
    """Return int64: for each folded character of one text, its place in the text as it was."""
    return np.flatnonzero(fold_table()[codes] & np.uint32(CODE))


@jit
def _fold_compiled(codes: Codes, offsets: Places, table: Codes, voiced: Codes) -> Any:
    boundary, code_bits = np.uint32(1 << 31), np.uint32(0x1FFFFF)
    out = np.empty(len(codes), np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    size = 0
    for row in range(len(offsets) - 1):
        flag = boundary
        follows = False
        for place in range(offsets[row], offsets[row + 1]):
            value = table[codes[place]]
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


def gram_hashes(folded: Folded, n: int) -> tuple[Hashes, Places]:
    """Return (uint64 hashes of every n-gram within a text, int64 places in `folded.codes`), in order."""
    codes = (folded.codes & np.uint32(CODE)).astype(np.uint64)
    total = len(codes) - n + 1
    if total <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    # Powers of two of the window are put together: h[a + b] = h[a] * base**b + h[b] further on.
    window, length, piece, size = np.zeros(len(codes), np.uint64), 0, codes, 1
    while True:
        if n & size:
            rest = len(codes) - length - size + 1
            window = window[:rest] * np.uint64(pow(_BASE, size, 1 << 64)) + piece[length : length + rest]
            length += size
        if length == n:
            break
        shifted = piece[size:]
        piece = piece[: len(shifted)] * np.uint64(pow(_BASE, size, 1 << 64)) + shifted
        size *= 2
    starts = np.ones(total, bool)
    for back in range(1, n):
        crossing = folded.offsets[1:-1] - back
        starts[crossing[(crossing >= 0) & (crossing < total)]] = False
    # Texts shorter than a gram: the crossings above already cover every place in them but the last text's.
    places = np.flatnonzero(starts)
    return _mixed(window[places]), places


def _mixed(hashes: Hashes) -> Hashes:
    return (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)


def find_grams(folded: Folded, n: int, wanted: HashSet) -> Hits:
    """Return every n-gram of the texts that is in the set."""
    if not len(wanted.hashes):
        return _hits(np.zeros((3, 0), np.int64), n)
    if not compiled():
        return _find_grams_numpy(folded, n, wanted)
    capacity = 4096 + len(folded.codes) // 16
    top = np.uint64(pow(_BASE, n, 1 << 64))
    while True:
        found = np.empty((3, capacity), np.int64)
        count = _find_grams_compiled(
            *(folded.codes, folded.offsets, n, np.uint64(_BASE), top, np.uint64(_MIX)),
            *(wanted.bitmap, np.uint64(wanted.shift), wanted.hashes, found),
        )
        if count <= capacity:
            return _hits(found[:, :count], n)
        capacity = count


def _hits(found: Places, n: int) -> Hits:
    return Hits(found[0].copy(), found[1].copy(), np.full(found.shape[1], n, np.int64), found[2].copy())


@jit
def _find_grams_compiled(
    codes: Codes,
    offsets: Places,
    n: int,
    base: np.uint64,
    top: np.uint64,
    mix: np.uint64,
    bitmap: Hashes,
    shift: np.uint64,
    wanted: Hashes,
    found: Places,
) -> Any:
    code_bits = np.uint32(0x1FFFFF)
    one, six, low, half = np.uint64(1), np.uint64(6), np.uint64(63), np.uint64(32)
    capacity = found.shape[1]
    count = 0
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop - start < n:
            continue
        rolled = np.uint64(0)
        for place in range(start, start + n - 1):
            rolled = rolled * base + np.uint64(codes[place] & code_bits)
        for place in range(start, stop - n + 1):
            rolled = rolled * base + np.uint64(codes[place + n - 1] & code_bits)
            if place > start:
                rolled -= np.uint64(codes[place - 1] & code_bits) * top
            value = (rolled ^ (rolled >> half)) * mix
            bit = value >> shift
            if (bitmap[bit >> six] >> (bit & low)) & one:
                slot = np.searchsorted(wanted, value)
                if slot < len(wanted) and wanted[slot] == value:
                    if count < capacity:
                        found[0, count] = row
                        found[1, count] = place - start
                        found[2, count] = slot
                    count += 1
    return count


def _find_grams_numpy(folded: Folded, n: int, wanted: HashSet) -> Hits:
    hashes, places = gram_hashes(folded, n)
    slots, found = _looked_up(hashes, wanted)
    places = places[found]
    rows = np.searchsorted(folded.offsets, places, side="right") - 1
    return Hits(rows, places - folded.offsets[rows], np.full(len(places), n, np.int64), slots)


def _looked_up(hashes: Hashes, wanted: HashSet) -> tuple[Places, Places]:
    """Return (slots, positions in `hashes`) of those that are in the set."""
    bits = hashes >> np.uint64(wanted.shift)
    set_bits = (wanted.bitmap[bits >> np.uint64(6)] >> (bits & np.uint64(63))) & np.uint64(1)
    likely = np.flatnonzero(set_bits)
    slots = np.searchsorted(wanted.hashes, hashes[likely])
    here = slots < len(wanted.hashes)
    here[here] = wanted.hashes[slots[here]] == hashes[likely[here]]
    return slots[here].astype(np.int64), likely[here]


def whole_hashes(folded: Folded) -> Hashes:
    """Return uint64: a hash of each whole text and its length."""
    lengths = np.diff(folded.offsets)
    return _span_hashes(folded.codes, folded.offsets[:-1], lengths)


def _span_hashes(codes: Codes, starts: Places, lengths: Places) -> Hashes:
    hashes = np.zeros(len(starts), np.uint64)
    base = np.uint64(_BASE)
    for step in range(int(lengths.max(initial=0))):
        on = np.flatnonzero(lengths > step)
        chars = (codes[starts[on] + step] & np.uint32(CODE)).astype(np.uint64)
        hashes[on] = hashes[on] * base + chars
    return _mixed(hashes * base + lengths.astype(np.uint64))


def find_whole(folded: Folded, shortest: int, longest: int, wanted: HashSet) -> Hits:
    """Return what lies between two boundaries (one or more sentences, a line, a quotation) and is in the set.

    Args:
        folded: The texts.
        shortest, longest: Lengths, in folded characters, that are looked at.
        wanted: Hashes made by `whole_hashes`.
    """
    if not len(wanted.hashes):
        return _hits(np.zeros((3, 0), np.int64), 0)
    flagged = np.flatnonzero(folded.codes & np.uint32(BOUNDARY))
    if compiled():
        found = np.empty((4, 1024), np.int64)
        while True:
            count = _find_whole_compiled(
                *(folded.codes, folded.offsets, flagged, shortest, longest),
                *(np.uint64(_BASE), np.uint64(_MIX), wanted.hashes, found),
            )
            if count <= found.shape[1]:
                return Hits(*(row[:count].copy() for row in found))
            found = np.empty((4, count), np.int64)
    return _find_whole_numpy(folded, flagged, shortest, longest, wanted)


@jit
def _find_whole_compiled(
    codes: Codes,
    offsets: Places,
    flagged: Places,
    shortest: int,
    longest: int,
    base: np.uint64,
    mix: np.uint64,
    wanted: Hashes,
    found: Places,
) -> Any:
    code_bits, half = np.uint32(0x1FFFFF), np.uint64(32)
    count = 0
    at = 0
    for row in range(len(offsets) - 1):
        stop = offsets[row + 1]
        while at < len(flagged) and flagged[at] < stop:
            start = flagged[at]
            at += 1
            rolled = np.uint64(0)
            done = start
            following = at
            while True:
                inside = following < len(flagged) and flagged[following] < stop
                end = flagged[following] if inside else stop
                if end - start > longest:
                    break
                for place in range(done, end):
                    rolled = rolled * base + np.uint64(codes[place] & code_bits)
                done = end
                if end - start >= shortest:
                    value = rolled * base + np.uint64(end - start)
                    value = (value ^ (value >> half)) * mix
                    slot = np.searchsorted(wanted, value)
                    if slot < len(wanted) and wanted[slot] == value:
                        if count < found.shape[1]:
                            found[0, count] = row
                            found[1, count] = start - offsets[row]
                            found[2, count] = end - start
                            found[3, count] = slot
                        count += 1
                if not inside:
                    break
                following += 1
    return count


def _find_whole_numpy(
    folded: Folded, flagged: Places, shortest: int, longest: int, wanted: HashSet
) -> Hits:
    stops = folded.offsets[np.searchsorted(folded.offsets, flagged, side="right")]
    following = np.concatenate([flagged, np.full(longest + 1, len(folded.codes), np.int64)])
    parts = []
    alive = np.arange(len(flagged))
    for step in range(1, longest + 1):
        ends = np.minimum(following[alive + step], stops[alive])
        near = ends - flagged[alive] <= longest
        alive, ends = alive[near], ends[near]
        if not len(alive):
            break
        long_enough = ends - flagged[alive] >= shortest
        parts.append(np.stack([flagged[alive][long_enough], ends[long_enough]]))
        alive = alive[ends < stops[alive]]
    spans = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int64)
    spans = spans[:, np.lexsort(spans[::-1])]
    hashes = _span_hashes(folded.codes, spans[0], spans[1] - spans[0])
    slots, found = _looked_up(hashes, wanted)
    starts, ends = spans[:, found]
    rows = np.searchsorted(folded.offsets, starts, side="right") - 1
    return Hits(rows, starts - folded.offsets[rows], ends - starts, slots)
