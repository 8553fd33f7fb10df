"""Reading the learning text: as the base segments it, cut into the stretches that new pieces may be made of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.pretrained.sentencepiece import Piece, PieceKind
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.policy import Policy, piece_text
from watari.tokenizer.sequences import UNIT, Sequences, whole_text
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text

if TYPE_CHECKING:
    from watari.tokenizer.bytes import ByteBpe

Key = TypeVar("Key", bytes, str)
Integers = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
BATCH = 256
"""Documents encoded at once."""
_PRETOKENS = 1 << 16
"""Distinct pretokens encoded at once."""


def collect(
    base: BpeTokenizer,
    texts: Sequence[Text],
    policy: Policy,
    weights: Mapping[str, float] | None = None,
) -> Sequences:
    """Return the stretches of `texts` that new pieces may be made of, as sequences of the base's tokens.

    A strict character that the base spells as several tokens becomes one symbol (facts: tokenizer §8). Stretches end
    at every other token: those of other scripts, bytes, tokens that cut a character in two, and where the base's own
    pre-tokenizer cuts. Stretches of which nothing can be learned are counted in `tokens` and `characters` only.

    Args:
        base: The tokenizer to extend.
        texts: The learning text; its sources are numbered in the order in which they appear.
        policy: What a piece may be.
        weights: What an occurrence in each source counts; 1 where a source is not named.

    Raises:
        UserError: if a weight is negative or no number, or names a source that no text has.
    """
    from watari.tokenizer.bytes import ByteBpe

    sources = {source: place for place, source in enumerate(dict.fromkeys(text.source for text in texts))}
    units = _units(sources, weights or {})
    if isinstance(base, SpmBpe):
        return _from_pieces(base, texts, policy, sources, units)
    if isinstance(base, ByteBpe):
        return _from_pretokens(base, texts, policy, sources, units)
    raise UserError(f"base: {base.name} is of a kind that cannot be extended")


def _units(sources: Mapping[str, int], weights: Mapping[str, float]) -> list[int]:
    """Return each source's weight in 1/`UNIT`."""
    for source, weight in weights.items():
        if source not in sources:
            raise UserError(
                f"weights: no text is from '{source}'", f"sources of the text: {', '.join(sources) or 'none'}"
            )
        if not (math.isfinite(weight) and weight >= 0):
            raise UserError(f"weights: {weight} for '{source}' is no weight", "give a number from 0 on")
    return [round(weights.get(source, 1.0) * UNIT) for source in sources]


@dataclass
class _Symbols:
    """The symbols of the text: the base's tokens, then the characters that it spells as several."""

    policy: Policy
    texts: list[str]
    usable: list[bool]
    base: int = field(init=False)
    cost: list[int] = field(init=False)
    _strict: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.base = len(self.texts)
        self.cost = [1] * self.base
        self._strict = [self.policy.script.has_strict(text) for text in self.texts]

    def add_character(self, text: str, cost: int) -> int:
        """Return the id of a new symbol for a strict character."""
        self.texts.append(text)
        self.usable.append(True)
        self._strict.append(True)
        self.cost.append(cost)
        return len(self.texts) - 1

    def stretches(self, ids: Integers, starts: Flags) -> tuple[Places, Places]:
        """Return where the stretches worth keeping begin and end in `ids`.

        Worth keeping are those with a strict character that hold a pair, or a character to be learned. In a language
        with blanks whose pieces may not run across words, every word is a stretch: far fewer distinct ones.

        Args:
            ids: Symbols; -1 for tokens that are none.
            starts: Where a new text or pretoken begins.
        """
        usable = np.array([*self.usable, False])
        strict = np.array([*self._strict, False])
        if self.policy.script.spaces and not self.policy.cross_word:
            words = np.array([*(text.startswith(" ") for text in self.texts), False])
            starts = starts | words[ids]
        inside = usable[ids]
        begins = inside & (starts | ~np.concatenate([[False], inside[:-1]]))
        ends = inside & np.concatenate([~inside[1:] | starts[1:], [True]])
        first, last = np.flatnonzero(begins), np.flatnonzero(ends) + 1
        so_far = np.concatenate([[0], np.cumsum(strict[ids])])
        keep = (so_far[last] > so_far[first]) & ((last - first > 1) | (ids[first] >= self.base))
        return first[keep], last[keep]

    def sequences(
        self,
        keys: Sequence[bytes],
        counts: npt.NDArray[np.int64],
        units: Sequence[int],
        characters: Sequence[int],
        tokens: Sequence[int],
    ) -> Sequences:
        """Return the distinct stretches, given as their ids' bytes."""
        lengths = np.fromiter((len(key) // 4 for key in keys), dtype=np.int32, count=len(keys))
        return Sequences(
            symbols=self.texts,
            usable=self.usable,
            base=self.base,
            cost=self.cost,
            ids=np.frombuffer(b"".join(keys), dtype=np.int32),
            lengths=lengths,
            counts=counts,
            weights=units,
            characters=characters,
            tokens=tokens,
        )


def _from_pieces(
    base: SpmBpe, texts: Sequence[Text], policy: Policy, sources: Mapping[str, int], units: list[int]
) -> Sequences:
    """Return the stretches under a SentencePiece model.

    The base is given each unknown strict character as a piece of its own for this. No merge can make or use it, so
    that the segmentation is the base's, with one symbol in place of the bytes of a character.
    """
    pieces = base.model.pieces
    normal = [piece_text(piece.text) if piece.kind is PieceKind.NORMAL else "" for piece in pieces]
    symbols = _Symbols(policy, normal, [policy.usable(text) for text in normal])
    seen: set[str] = set()
    for text in texts:
        seen.update(text.text)
    seen.difference_update(normal)
    unknown = sorted(character for character in seen if policy.script.has_strict(character))
    for character in unknown:
        symbols.add_character(character, len(character.encode("utf-8")))
    lowest = min(piece.score for piece in pieces)
    processor = base.model.extended([Piece(character, lowest) for character in unknown]).processor()

    cost = np.array(symbols.cost)
    counters: list[Counter[bytes]] = [Counter() for _ in sources]
    characters, tokens = [0] * len(sources), [0] * len(sources)
    for batch in _batches(texts):
        source = sources[batch[0].source]
        encoded = [np.asarray(ids, dtype=np.int32) for ids in processor.encode([text.text for text in batch])]
        characters[source] += sum(len(text.text) for text in batch)
        ids = np.concatenate(encoded)
        tokens[source] += int(cost[ids].sum())
        starts = np.zeros(len(ids) + 1, dtype=bool)
        starts[np.cumsum([0, *map(len, encoded)])] = True
        first, last = symbols.stretches(ids, starts[:-1])
        counters[source].update(
            ids[a:b].tobytes() for a, b in zip(first.tolist(), last.tolist(), strict=True)
        )
    rows = _rows(counters)
    return symbols.sequences(list(rows), _table(rows, counters), units, characters, tokens)


def _batches(texts: Sequence[Text]) -> list[Sequence[Text]]:
    """Return `texts` in runs of one source, none longer than `BATCH`."""
    found: list[Sequence[Text]] = []
    start = 0
    for place in range(1, len(texts) + 1):
        full = place - start == BATCH
        if place == len(texts) or full or texts[place].source != texts[start].source:
            found.append(texts[start:place])
            start = place
    return found


def _rows(counters: Sequence[Counter[Key]]) -> dict[Key, int]:
    """Return the row of each key of any counter, in order of appearance."""
    return {key: row for row, key in enumerate(dict.fromkeys(chain.from_iterable(counters)))}


def _table(rows: Mapping[Key, int], counters: Sequence[Counter[Key]]) -> npt.NDArray[np.int64]:
    """Return the counts as (rows, counters)."""
    table = np.zeros((len(rows), len(counters)), dtype=np.int64)
    for column, counter in enumerate(counters):
        places = np.fromiter((rows[key] for key in counter), dtype=np.int64, count=len(counter))
        table[places, column] = np.fromiter(counter.values(), dtype=np.int64, count=len(counter))
    return table


def _from_pretokens(
    base: ByteBpe, texts: Sequence[Text], policy: Policy, sources: Mapping[str, int], units: list[int]
) -> Sequences:
    """Return the stretches under a byte-level base: those inside each distinct pretoken."""
    counters: list[Counter[str]] = [Counter() for _ in sources]
    characters = [0] * len(sources)
    for text in texts:
        source = sources[text.source]
        characters[source] += len(text.text)
        counters[source].update(base.pretokens(text.text))
    known = _rows(counters)
    pretokens = list(known)
    counts = _table(known, counters)
    del known, counters

    spelling = _Spelling(base.surfaces(), policy)
    tokens = np.zeros(len(sources), dtype=np.int64)
    rows: dict[bytes, int] = {}
    stretch_rows: list[Places] = []
    owners: list[Places] = []
    for start in range(0, len(pretokens), _PRETOKENS):
        encoded = base.encode_pretokens(pretokens[start : start + _PRETOKENS])
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        ids = np.fromiter(chain.from_iterable(encoded), dtype=np.int32, count=int(lengths.sum()))
        tokens += lengths @ counts[start : start + len(encoded)]
        starts = np.zeros(len(ids) + 1, dtype=bool)
        starts[np.cumsum(lengths) - lengths] = True
        groups = np.flatnonzero(spelling.opens[ids] | starts[:-1])
        found = spelling.read(ids, groups)
        owner = np.repeat(np.arange(start, start + len(encoded)), lengths)[groups]
        first, last = spelling.symbols.stretches(found, starts[groups])
        keys = [found[a:b].tobytes() for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        stretch_rows.append(np.array([rows.setdefault(key, len(rows)) for key in keys], dtype=np.int64))
        owners.append(owner[first])
    table = np.zeros((len(rows), len(sources)), dtype=np.int64)
    if rows:
        np.add.at(table, np.concatenate(stretch_rows), counts[np.concatenate(owners)])
    return spelling.symbols.sequences(list(rows), table, units, characters, tokens.tolist())


class _Spelling:
    """From byte-level tokens to symbols: whole characters, and characters that are spelled as several tokens."""

    def __init__(self, surfaces: list[bytes | None], policy: Policy) -> None:
        self._surfaces = [surface or b"" for surface in surfaces]
        texts = [whole_text(surface) for surface in self._surfaces]
        self.symbols = _Symbols(policy, texts, [policy.usable(text) for text in texts])
        self.opens: Flags = np.array(
            [not surface or not _continues(surface[0]) for surface in self._surfaces]
        )
        """Whether each token begins with the beginning of a character."""
        self._leads = np.array(
            [sum(not _continues(byte) for byte in surface) for surface in self._surfaces], dtype=np.int64
        )
        self._characters: dict[str, int] = {}

    def read(self, ids: Integers, groups: Places) -> Integers:
        """Return the symbol of each group of tokens, -1 for a group that is none.

        A group runs from one token that begins with a character's first byte to before the next such token. One token
        is itself; several that spell one strict character are that character (it has one lead byte); several that
        spell more cut characters in two, and nothing is learned from them (facts: tokenizer §6.5).

        Args:
            ids: The tokens.
            groups: Where each group begins.
        """
        sizes = np.diff(groups, append=len(ids))
        found = np.where(sizes == 1, ids[groups], -1).astype(np.int32)
        if not len(groups):
            return found
        single = np.add.reduceat(self._leads[ids], groups) == 1
        for size in np.unique(sizes[single & (sizes > 1)]).tolist():
            chosen = np.flatnonzero(single & (sizes == size))
            tokens = ids[groups[chosen][:, None] + np.arange(size)]
            spelled, which = np.unique(tokens, axis=0, return_inverse=True)
            symbols = np.array([self._character(row) for row in spelled.tolist()], dtype=np.int32)
            found[chosen] = symbols[which.reshape(-1)]
        return found

    def _character(self, tokens: list[int]) -> int:
        text = whole_text(b"".join(self._surfaces[token] for token in tokens))
        if not self.symbols.policy.script.has_strict(text):
            return -1
        if text not in self._characters:
            self._characters[text] = self.symbols.add_character(text, len(tokens))
        return self._characters[text]


def _continues(byte: int) -> bool:
    """True for a byte that is not the first of a character in UTF-8."""
    return byte & 0xC0 == 0x80
