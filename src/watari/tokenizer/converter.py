"""Base ids ⇄ extended ids: text that is tokenised already need not be tokenised again for an extended tokenizer.

Extended ids of a text are its base ids with the new joins applied (facts: tokenizer §8, I10), because the base's joins
all come before the new ones and no new piece completes a base one. In the other direction each new id is its parents:
the base's own spelling of the piece, which is the same wherever the piece stands, since no base join crosses its ends.

SentencePiece: the ids alone are enough. The blank in front of a document is in its first base piece already. A
character that the base spells in bytes is put together again first, since a new piece may hold it.

Byte-level: new joins stay inside the words of the pre-tokenizer, and where these end depends on characters far off.
So the text is spelled out from the base's ids (each id is bytes; nothing is lost) and encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.pretrained.graft import Graft, read_graft
from watari.tokenizer.encoder import BpeTokenizer, Ids
from watari.tokenizer.opening import open_base

_MEMORY = 2_000_000
"""Distinct runs of ids whose outcome is kept; beyond it all are forgotten, so that memory stays bounded."""
_PART = -1
"""Stands where an id was joined to the one before it."""


class Converter:
    """Converts ids between a base tokenizer and its extension.

    Args:
        tokenizer: The extended tokenizer.
        graft: How it follows from its base.

    Raises:
        UserError: if the two do not belong together.
    """

    def __init__(self, tokenizer: BpeTokenizer, graft: Graft) -> None:
        if len(tokenizer) != graft.vocabulary:
            raise UserError(
                f"{tokenizer.name}: {len(tokenizer):,} ids, but its graft.json tells of {graft.vocabulary:,}",
                "take the folder as tokenizer.extend wrote it",
            )
        self.base = graft.base_vocabulary
        self.vocabulary = graft.vocabulary
        self._tokenizer = tokenizer
        self._surfaces = tokenizer.surfaces()
        self._byte_level = tokenizer.family == "byte-level"
        self._lengths = np.ones(self.vocabulary, dtype=np.int64)
        self._lengths[self.base :] = [len(ids) for ids in graft.parents]
        self._starts = np.cumsum(self._lengths) - self._lengths
        spelled = [index for ids in graft.parents for index in ids]
        self._spelled = np.concatenate([np.arange(self.base), spelled]).astype(np.int32)
        # Two base ids side by side in no new piece are in none together: what stands between is an edge.
        neighbours = {a * self.base + b for ids in graft.parents for a, b in pairwise(ids)}
        self._neighbours = np.array(sorted(neighbours), dtype=np.int64)
        pieces = tokenizer.pieces()
        self._texts = [
            None if surface is None else piece
            for piece, surface in zip(pieces[: self.base], self._surfaces[: self.base], strict=True)
        ]
        self._bytes = {
            index: surface[0]
            for index, (piece, surface) in enumerate(zip(pieces[: self.base], self._surfaces, strict=False))
            if surface is not None and len(surface) == 1 and piece == f"<0x{surface[0]:02X}>"
        }
        self._ranks = dict(zip(graft.pieces, graft.ranks, strict=True))
        self._ids = {piece: self.base + place for place, piece in enumerate(graft.pieces)}
        self._known: dict[bytes, npt.NDArray[np.int32]] = {}

    def to_extended(self, documents: Sequence[npt.ArrayLike]) -> list[Ids]:
        """Return the extended tokenizer's ids of documents, given the base's (bos and eos among them or not).

        Args:
            documents: The base's ids of each; one is never joined to the next.

        Raises:
            UserError: if an id is not the base's.
        """
        arrays = [np.asarray(ids, dtype=np.int32) for ids in documents]
        self._check(arrays, self.base, "the base's")
        if not arrays:
            return []
        return self._by_text(arrays) if self._byte_level else self._by_joins(arrays)

    def to_base(self, documents: Sequence[npt.ArrayLike]) -> list[Ids]:
        """Return the base's ids of documents, given the extended tokenizer's.

        Raises:
            UserError: if an id is not the extended tokenizer's.
        """
        arrays = [np.asarray(ids, dtype=np.int32) for ids in documents]
        self._check(arrays, self.vocabulary, "the extended tokenizer's")
        return [self._expanded(ids) for ids in arrays]

    def _check(self, documents: list[Ids], size: int, whose: str) -> None:
        for number, ids in enumerate(documents):
            if ids.size and (ids.min() < 0 or ids.max() >= size):
                bad = int(ids[(ids < 0) | (ids >= size)][0])
                raise UserError(f"document {number}: id {bad} is not {whose}, which has {size:,} ids")

    def _expanded(self, ids: Ids) -> Ids:
        lengths = self._lengths[ids]
        ends = np.cumsum(lengths)
        if not len(ids):
            return ids
        places = (
            np.arange(ends[-1]) - np.repeat(ends - lengths, lengths) + np.repeat(self._starts[ids], lengths)
        )
        expanded: Ids = self._spelled[places]
        return expanded

    def _by_joins(self, documents: list[Ids]) -> list[Ids]:
        flat = np.concatenate(documents)
        sizes = np.array([len(ids) for ids in documents])
        joinable = np.zeros(max(0, len(flat) - 1), dtype=bool)
        if len(flat) > 1 and len(self._neighbours):
            codes = flat[:-1].astype(np.int64) * self.base + flat[1:]
            at = np.minimum(np.searchsorted(self._neighbours, codes), len(self._neighbours) - 1)
            joinable = self._neighbours[at] == codes
            ends = np.cumsum(sizes)[:-1]
            joinable[ends[(ends > 0) & (ends < len(flat))] - 1] = False
        edges = np.diff(joinable.astype(np.int8), prepend=0, append=0)
        starts, lengths = (
            np.flatnonzero(edges == 1),
            np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) + 1,
        )
        out = flat.copy()
        for length in np.unique(lengths).tolist():
            places = starts[lengths == length][:, None] + np.arange(length)
            out[places] = self._runs(flat[places])
        kept = out != _PART
        owners = np.repeat(np.arange(len(documents)), sizes)
        left = np.bincount(owners[kept], minlength=len(documents))
        return np.split(out[kept], np.cumsum(left)[:-1])

    def _runs(self, runs: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the outcome of runs of one length (n, length): an id at the place of its first, `_PART` behind it."""
        distinct, places = np.unique(runs, axis=0, return_inverse=True)
        found = np.empty_like(distinct)
        for row, run in enumerate(distinct):
            key = run.tobytes()
            known = self._known.get(key)
            if known is None:
                if len(self._known) >= _MEMORY:
                    self._known.clear()
                known = self._known[key] = self._joined(run)
            found[row] = known
        return found[places.reshape(-1)]

    def _joined(self, run: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return one run with the new joins applied: lowest rank first, of equal ones the leftmost."""
        symbols, starts = self._symbols(run.tolist())
        ranks = [self._rank(left, right) for left, right in pairwise(symbols)]
        while True:
            best = min((rank for rank in ranks if rank is not None), default=None)
            if best is None:
                break
            at = ranks.index(best)
            symbols[at : at + 2] = [f"{symbols[at]}{symbols[at + 1]}"]
            del starts[at + 1], ranks[at]
            if at:
                ranks[at - 1] = self._rank(symbols[at - 1], symbols[at])
            if at < len(ranks):
                ranks[at] = self._rank(symbols[at], symbols[at + 1])
        out = run.copy()
        for symbol, start, end in zip(symbols, starts, [*starts[1:], len(run)], strict=True):
            new = None if symbol is None else self._ids.get(symbol)
            if new is not None:
                out[start] = new
                out[start + 1 : end] = _PART
        return out

    def _rank(self, left: str | None, right: str | None) -> int | None:
        return None if left is None or right is None else self._ranks.get(left + right)

    def _symbols(self, ids: list[int]) -> tuple[list[str | None], list[int]]:
        """Return the text of each symbol of a run, None for one that joins with nothing, and where it starts.

        A symbol is a base piece, or a character that the base spells in bytes.
        """
        symbols: list[str | None] = []
        starts: list[int] = []
        at = 0
        while at < len(ids):
            starts.append(at)
            first = self._bytes.get(ids[at])
            if first is None:
                symbols.append(self._texts[ids[at]])
                at += 1
                continue
            length = 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1
            spelled = [self._bytes.get(index) for index in ids[at : at + length]]
            try:
                character: str | None = bytes(byte for byte in spelled if byte is not None).decode("utf-8")
            except UnicodeDecodeError:
                character = None
            if character is None or len(character) != 1 or None in spelled:
                character, length = None, 1
            symbols.append(character)
            at += length
        return symbols, starts

    def _by_text(self, documents: list[Ids]) -> list[Ids]:
        """Return the ids of the documents' texts; what is no text (special ids, a cut character) stays as it is."""
        parts: list[Ids | None] = []
        texts: list[str] = []
        counts: list[int] = []
        for ids in documents:
            before = len(parts)
            for stretch in self._stretches(ids):
                text = self._text(stretch)
                parts.append(stretch if text is None else None)
                texts += [] if text is None else [text]
            counts.append(len(parts) - before)
        encoded = iter(self._tokenizer.encode(texts))
        filled = [next(encoded) if part is None else part for part in parts]
        found: list[Ids] = []
        at = 0
        for count in counts:
            found.append(np.concatenate([np.zeros(0, np.int32), *filled[at : at + count]]))
            at += count
        return found

    def _stretches(self, ids: Ids) -> Iterable[Ids]:
        """Yield stretches of ids that are text, and of ids that are not, in their order."""
        if not len(ids):
            return []
        plain = np.array([self._surfaces[index] is not None for index in ids.tolist()])
        return np.split(ids, np.flatnonzero(np.diff(plain)) + 1)

    def _text(self, ids: Ids) -> str | None:
        surfaces = [self._surfaces[index] for index in ids.tolist()]
        try:
            return b"".join(surface for surface in surfaces if surface is not None).decode("utf-8") or None
        except UnicodeDecodeError:
            return None


def open_converter(tokenizer: Path) -> Converter:
    """Return the converter of an extended tokenizer's folder.

    Raises:
        UserError: if it has no graft.json, or its files do not belong together.
    """
    graft = read_graft(tokenizer)
    return Converter(open_base(str(tokenizer), name=tokenizer.name), graft)
