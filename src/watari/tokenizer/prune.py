"""Leaving out pieces that the encoder never puts out: steps on the way to longer ones, of which nothing came.

A row that no text uses is never trained. A piece without any use stays only if another can not be reached without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from watari.tokenizer.encoder import BpeTokenizer, Encoder

BATCH = 256
"""Documents encoded at once."""
_NEVER = 1 << 62
_ROUNDS = 3
"""What is left out makes room for others, of which some few are unused again."""


@dataclass(frozen=True)
class Pruned:
    """What is left.

    Args:
        kept: Places, in the list given, of the pieces that are kept; ascending.
        left_out: How many of the first ones were left out.
        counts: How often each id comes out under the base with the kept pieces.
    """

    kept: list[int]
    left_out: int
    counts: npt.NDArray[np.int64]


def usage(encoder: Encoder, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return how often each id comes out of `texts`."""
    counts = np.zeros(len(encoder), dtype=np.int64)
    for start in range(0, len(texts), BATCH):
        found = encoder.encode(texts[start : start + BATCH])
        if found:
            counts += np.bincount(np.concatenate(found), minlength=len(counts))
    return counts


def unreachable(base: BpeTokenizer, pieces: Sequence[str]) -> list[int]:
    """Return the places of the pieces that their own text does not encode to, once the base is extended by them."""
    first = len(base)
    spelled = base.extended(pieces).spelled(pieces)
    return [place for place, ids in enumerate(spelled) if ids != [first + place]]


def prune(base: BpeTokenizer, pieces: Sequence[str], wanted: int, texts: Sequence[str]) -> Pruned:
    """Return the first `wanted` pieces without those that never come out, filled up with the ones behind.

    Args:
        base: The tokenizer that they extend.
        pieces: Every piece learned, best first; those behind the first `wanted` are spare.
        wanted: How many to keep.
        texts: The learning text.
    """
    kept = list(range(min(wanted, len(pieces))))
    next_spare = len(kept)
    first = len(base)
    left_out = 0
    for turn in range(_ROUNDS):
        chosen = [pieces[place] for place in kept]
        counts = usage(base.extended(chosen), texts)
        unused = {place for place, times in zip(kept, counts[first:].tolist(), strict=True) if times == 0}
        unused -= _needed(base, pieces, kept, unused)
        if not unused or turn == _ROUNDS - 1:
            break
        left_out += len(unused)
        kept = [place for place in kept if place not in unused]
        more = min(wanted - len(kept), len(pieces) - next_spare)
        kept += range(next_spare, next_spare + more)
        next_spare += more
    return Pruned(kept, left_out, counts)


def _needed(base: BpeTokenizer, pieces: Sequence[str], kept: list[int], unused: set[int]) -> set[int]:
    """Return those of `unused` that must stay, so that every other piece can still be reached.

    Those are the steps on the way to a piece that stays, and its characters: sentencepiece joins characters that are
    no pieces themselves, the merges of a tokenizer.json cannot. Leaving out anything else changes no piece's way.
    """
    rank = {pieces[place]: place for place in kept}
    staying = [pieces[place] for place in kept if place not in unused]
    steps: set[int] = set()
    for piece, symbols in zip(staying, _symbols(base, staying), strict=True):
        steps.update(rank[character] for character in piece if character in rank)
        steps.update(_way(symbols, rank))
    return steps & unused


def _symbols(base: BpeTokenizer, pieces: Sequence[str]) -> list[list[str]]:
    """Return each piece as the base segments it, characters that are spelled in bytes as one symbol each."""
    entries = base.pieces()
    found = []
    for piece, ids in zip(pieces, base.spelled(pieces), strict=True):
        symbols: list[str] = []
        at = 0
        for index in ids:
            entry = entries[index]
            if not piece.startswith(entry, at):
                # A byte of a character, which the symbol before stands for already unless it is the first.
                if at >= len(piece) or not entry.startswith("<0x") or 0x80 <= int(entry[3:5], 16) < 0xC0:
                    continue
                entry = piece[at]
            symbols.append(entry)
            at += len(entry)
        found.append(symbols)
    return found


def _way(symbols: list[str], rank: dict[str, int]) -> list[int]:
    """Return the ranks of the pieces that are made, in turn, when these symbols are joined: best rank first."""
    made = []
    while len(symbols) > 1:
        pairs = [rank.get(left + right, _NEVER) for left, right in pairwise(symbols)]
        best = min(pairs)
        if best == _NEVER:
            break
        made.append(best)
        at = pairs.index(best)
        symbols = [*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :]]
    return made
