"""Learned texts as entries of a byte-level vocabulary, with the parts of characters that lead to them.

A character that the base spells as three tokens [E9][AC][B1] cannot be joined at once: an entry E9 AC must come before
it. Such a part also joins in every other character that begins with these bytes, so that it is taken only where all
of those are strict characters of the script: then no other text ever holds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from watari.pretrained.bytelevel import to_alphabet
from watari.pretrained.tekken import ranks, unmet
from watari.tokenizer.script import Script

if TYPE_CHECKING:
    from watari.tokenizer.bytes import ByteBpe


@dataclass(frozen=True)
class Entries:
    """Vocabulary entries in the order of their ranks; the first k are complete for every k.

    Args:
        pieces: The entries, in the byte-level alphabet.
        origin: For each, the place among the texts given of the one that it is, or that it leads to.
        dropped: Texts that were left out, with the reason.
    """

    pieces: list[str]
    origin: list[int]
    dropped: dict[str, str]


def entries_of(base: ByteBpe, texts: Sequence[str], script: Script) -> Entries:
    """Return `texts` as entries of an extension of `base`, each of which its own text encodes to.

    Every entry is reached by merges through entries before it, so that later ones change nothing about it (facts:
    tokenizer §8, I6). Where the base has a form in ranks, entries are left out that would be joined to a token of the
    base there and not in the form with merges (facts: tokenizer §6.4).

    Args:
        base: The tokenizer that they will extend.
        texts: Learned texts, best first; blanks as " ". One given twice is taken once.
        script: The target script.
    """
    return _Collector(base, script).collect(texts)


@dataclass
class _Collector:
    base: ByteBpe
    script: Script
    known: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.surfaces = [surface or b"" for surface in self.base.surfaces()]
        self.vocabulary = frozenset(self.base.pieces())
        self.ranks = ranks(self.base.model) or {}
        self.parts = self._parts_of_base()
        self.only_strict = cache(self._only_strict)

    def _parts_of_base(self) -> dict[bytes, list[tuple[bytes, bytes]]]:
        """Return the splits of the base's tokens of which one side may become an entry, by that side."""
        strict = _first_bytes(self.script)
        found: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for token in self.ranks:
            if strict.search(token) is None:
                continue
            for at in range(1, len(token)):
                left, right = token[:at], token[at:]
                for side in (left, right):
                    if side not in self.ranks and strict.search(side):
                        found.setdefault(side, []).append((left, right))
        return found

    def collect(self, texts: Sequence[str]) -> Entries:
        pieces: list[str] = []
        origin: list[int] = []
        dropped: dict[str, str] = {}
        written = [to_alphabet(text.encode("utf-8")) for text in texts]
        spelled = self.base.spelled(written)
        for place, (text, piece, ids) in enumerate(zip(texts, written, spelled, strict=True)):
            if text.encode("utf-8") in self.known:
                continue
            tokens = [self.surfaces[index] for index in ids]
            new, reason = self._entries(text, piece, tokens)
            if reason:
                dropped[text] = reason
                continue
            for data in new:
                self.known[data] = len(self.known)
                pieces.append(to_alphabet(data))
                origin.append(place)
        return Entries(pieces, origin, dropped)

    def _entries(self, text: str, piece: str, tokens: list[bytes]) -> tuple[list[bytes], str]:
        """Return what is to be entered for a text, itself last, or why it cannot be."""
        data = text.encode("utf-8")
        if piece in self.vocabulary:
            return [], "is in the vocabulary already"
        if self.base.pretokens(text) != [text]:
            return [], "is no single word to the base"
        if self._completes(data):
            return [], "would be joined to a token of the base where ranks decide"
        if len(self._joined(tokens, [data])) == 1:
            return [data], ""
        if len(text.removeprefix(" ")) != 1:
            return [], "cannot be reached from the base's spelling"
        parts, reason = self._leading_to(tokens)
        if reason:
            return [], reason
        new = [*parts, data]
        if len(self._joined(tokens, new)) != 1:
            return [], "cannot be reached from the base's spelling"
        return new, ""

    def _leading_to(self, tokens: list[bytes]) -> tuple[list[bytes], str]:
        """Return the parts of a character that must be entered before it, shortest first."""
        parts: list[bytes] = []
        start = tokens[0]
        for token in tokens[1:-1]:
            start += token
            if start in self.known:
                continue
            if not self.only_strict(start.removeprefix(b" ")):
                return [], "shares its first bytes with characters of other scripts"
            if self._completes(start):
                return [], "would be joined to a token of the base where ranks decide"
            parts.append(start)
            [ids] = self.base.spelled([to_alphabet(start)])
            if len(self._joined([self.surfaces[index] for index in ids], parts)) != 1:
                return [], "cannot be reached from the base's spelling"
        return parts, ""

    def _joined(self, tokens: list[bytes], new: Sequence[bytes]) -> list[bytes]:
        """Return tokens of the base as the new merges join them, with `new` as the last entries."""
        last = {data: len(self.known) + place for place, data in enumerate(new)}
        tokens = list(tokens)
        while len(tokens) > 1:
            best, where = None, 0
            for at in range(len(tokens) - 1):
                both = tokens[at] + tokens[at + 1]
                rank = self.known.get(both, last.get(both))
                if rank is not None and (best is None or rank < best):
                    best, where = rank, at
            if best is None:
                break
            tokens[where : where + 2] = [tokens[where] + tokens[where + 1]]
        return tokens

    def _completes(self, data: bytes) -> bool:
        """True if, in ranks, `data` could be joined to a neighbour into a token of the base."""
        end = len(self.surfaces)
        for left, right in self.parts.get(data, ()):
            sides = [side for side in (left, right) if side != data]
            if all(side in self.ranks or side in self.known for side in sides) and not unmet(
                left, right, self.ranks, end
            ):
                return True
        return False

    def _only_strict(self, start: bytes) -> bool:
        """True if every character whose UTF-8 begins with `start` is strict."""
        first, last = _completions(start)
        return all(self.script.is_strict(code) for code in range(first, last + 1))


def _first_bytes(script: Script) -> re.Pattern[bytes]:
    """Return a pattern of the bytes with which the strict characters begin in UTF-8."""
    values = {
        value
        for first, last in script.strict
        for value in range(chr(first).encode("utf-8")[0], chr(last).encode("utf-8")[0] + 1)
    }
    return re.compile(b"[" + re.escape(bytes(sorted(values))) + b"]")


def _completions(start: bytes) -> tuple[int, int]:
    """Return the first and the last code point whose UTF-8 begins with `start`, part of a character.

    Overlong forms and surrogates are no characters, and their code points are not among those between.
    """
    lead = start[0]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    value = lead & (0xFF >> (length + 1))
    for byte in start[1:]:
        value = value << 6 | (byte & 0x3F)
    missing = 6 * (length - len(start))
    first, last = value << missing, ((value + 1) << missing) - 1
    smallest = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    return max(first, smallest), min(last, 0x10FFFF)
