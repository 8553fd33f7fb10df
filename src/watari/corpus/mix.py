"""Mixing: how often each document goes into the corpus, so that languages and sources have their share of its tokens.

A part of the mixture is a language, a source, or a source of a language, with a quota of tokens. Where a part holds
more than its quota, documents are drawn without replacement; where it holds less, every document is taken once and some
again. Draws are keyed by (seed, key): the same documents for any order of pieces, and a larger quota only adds to a
smaller one.

`weigh` a piece at a time → `choose` → `apply` a piece at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.artifact.draws import draw_uniform
from watari.corpus.mix_params import MixParams
from watari.corpus.mix_parts import Group, Part, left_out, parts_of, quotas
from watari.corpus.quota import Floats, Integers, Keys, Tie, at_the_cut, find_cut, in_chunks, key_bytes
from watari.corpus.table import dropped, with_column

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Group", "MixParams", "Mixed", "Weighed", "apply", "choose", "measured_rates", "weigh"]

REASON = "over quota"

_DRAW = "corpus.build/mix"


@dataclass(frozen=True)
class Weighed:
    """What the mixture needs to know of one piece's documents.

    Args:
        draw: float64[n] in [0, 1), on (seed, key).
        tokens: int64[n].
        cluster: int32[n], documents that this one stands for, itself included.
        group: int32[n], place in `groups`.
        groups: Language and source, of this piece.
    """

    draw: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.int64]
    cluster: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    groups: tuple[Group, ...]

    def take(self, rows: npt.NDArray[Any]) -> Weighed:
        """Return it for some rows: positions, or bool[n]."""
        return Weighed(self.draw[rows], self.tokens[rows], self.cluster[rows], self.group[rows], self.groups)


def weigh(table: pa.Table, params: MixParams, *, seed: int) -> Weighed:
    """Return what the mixture needs to know of a table with `key`, `text`, `language` and `source`.

    Tokens are the column `tokens` where the table has it, else characters times the language's rate, rounded up.
    `cluster_size` is 1 where it is missing or null.
    """
    languages = table.column("language").fill_null("und").to_pylist()
    sources = table.column("source").fill_null("").to_pylist()
    pairs = list(zip(languages, sources, strict=True))
    groups = sorted(set(pairs))
    place = {pair: number for number, pair in enumerate(groups)}
    group = np.array([place[pair] for pair in pairs], np.int32)
    if "tokens" in table.column_names:
        tokens = np.asarray(table.column("tokens").fill_null(0).combine_chunks(), np.int64)
    else:
        rates = np.array([params.rate(language) for language, _ in groups], np.float64)
        lengths = _characters(table.column("text"))
        tokens = np.ceil(lengths * rates[group]).astype(np.int64) if len(groups) else lengths
    if "cluster_size" in table.column_names:
        cluster = np.asarray(table.column("cluster_size").fill_null(1).combine_chunks(), np.int32)
    else:
        cluster = np.ones(table.num_rows, np.int32)
    keys = table.column("key").to_pylist()
    draw = np.array([draw_uniform(seed, _DRAW, key) for key in keys], np.float64)
    return Weighed(draw, tokens, cluster, group, tuple(Group(*pair) for pair in groups))


def _characters(column: pa.ChunkedArray) -> Integers:
    import pyarrow.compute as pc

    return np.asarray(pc.utf8_length(column.combine_chunks().fill_null("")), np.int64)


def measured_rates(table: pa.Table, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Return {language: tokens per character} of a sample with `text` and `language`; for `tokens_per_character`."""
    from watari.pretrained.encoding import encode_documents

    sums: dict[str, list[int]] = {}
    texts = table.column("text").fill_null("").to_pylist()
    languages = table.column("language").fill_null("und").to_pylist()
    for text, language, ids in zip(texts, languages, encode_documents(tokenizer, texts), strict=True):
        found = sums.setdefault(language, [0, 0])
        found[0] += len(ids)
        found[1] += len(text)
    return {name: tokens / size for name, (tokens, size) in sorted(sums.items()) if tokens and size}


@dataclass(frozen=True)
class Mixed:
    """What the mixture holds.

    Args:
        copies: int32[n] a piece; 0 is "over quota".
        limits: float64[n groups] a piece: the draw below which documents of the group are taken (NaN where all are,
            0 where none is), for the ledger.
        parts: Each with its quota and what was given, in the order of language and source.
        warnings: One line each: what was not met, and by how much.
    """

    copies: list[npt.NDArray[np.int32]]
    limits: list[npt.NDArray[np.float64]]
    parts: list[Part]
    warnings: list[str]


def choose(
    weighed: Sequence[Weighed],
    keys: Sequence[Keys],
    params: MixParams,
    kept: Sequence[npt.NDArray[np.bool_]] | None = None,
) -> Mixed:
    """Return how often each document goes into the corpus.

    A part's tokens are at most its quota, and miss it by less than the next document; less is given only where all
    its documents are taken `repeats` times. Memory: 4 bytes a document, beside the arrays given (mapped files will
    do).

    Args:
        weighed: One a piece.
        keys: Of the same rows, one array a piece, of a type that NumPy compares.
        params: The mixture.
        kept: bool[n] a piece: False for rows that are out already (their copies are 0). Default: all are in.

    Raises:
        UserError: if a part that has a share holds nothing, or with `on_short: stop` too little.
    """
    alive = [np.ones(len(piece.draw), np.bool_) for piece in weighed] if kept is None else kept
    supply: dict[Group, list[int]] = {}
    for piece, mask in zip(weighed, alive, strict=True):
        for group, tokens, use in in_chunks([piece.group], [piece.tokens], [mask]):
            codes = group[use]
            sums = np.bincount(codes, tokens[use], minlength=len(piece.groups))
            numbers = np.bincount(codes, minlength=len(piece.groups))
            for name, size, number in zip(piece.groups, sums.tolist(), numbers.tolist(), strict=True):
                found = supply.setdefault(name, [0, 0])
                found[0] += int(size)
                found[1] += number
    parts, part_of_group = parts_of(supply, params)
    parts, warnings = quotas(parts, params)
    warnings += left_out(supply, part_of_group)
    codes_of = [_codes(piece, mask, part_of_group) for piece, mask in zip(weighed, alive, strict=True)]
    copies = [np.zeros(len(piece.draw), np.int32) for piece in weighed]
    bounds = np.full(len(parts) + 1, 0.0)
    filled = [
        _fill(number, part, weighed, keys, codes_of, copies, bounds, params)
        for number, part in enumerate(parts)
    ]
    # A group without a part is looked up at the end of `bounds`: nothing of it is taken.
    limits = [
        np.array([bounds[part_of_group.get(group, -1)] for group in piece.groups], np.float64)
        for piece in weighed
    ]
    return Mixed(copies, limits, filled, warnings)


def _codes(
    piece: Weighed, alive: npt.NDArray[np.bool_], part_of_group: Mapping[Group, int]
) -> npt.NDArray[np.int32]:
    """Return int32[n]: the part of each document, -1 for those that are out."""
    lookup = np.array([part_of_group.get(group, -1) for group in piece.groups], np.int32)
    return np.where(alive, lookup[piece.group], -1).astype(np.int32) if len(lookup) else np.zeros(0, np.int32)


def _fill(
    number: int,
    part: Part,
    weighed: Sequence[Weighed],
    keys: Sequence[Keys],
    codes_of: Sequence[npt.NDArray[np.int32]],
    copies: list[npt.NDArray[np.int32]],
    bounds: Floats,
    params: MixParams,
) -> Part:
    """Fill one part's quota: set `copies` of its documents and its entry of `bounds`; return it with what was given."""
    columns = (
        codes_of,
        [piece.draw for piece in weighed],
        [piece.tokens for piece in weighed],
        [piece.cluster for piece in weighed],
    )
    rounds = range(1) if part.quota < part.tokens else range(1, params.repeats)
    weighting = params.repeat_by == "cluster"

    def events() -> Iterable[tuple[Floats, Integers]]:
        for codes, draws, tokens, clusters in in_chunks(*columns):
            own = codes == number
            weights = _appetite(clusters[own], weighting)
            for turn in rounds:
                yield _due(turn, draws[own], weights), tokens[own]

    first = part.quota >= part.tokens
    cut = find_cut(events, part.quota - (part.tokens if first else 0))
    ties: list[Tie] = []
    for place, piece in enumerate(weighed):
        own = codes_of[place] == number
        if first:
            copies[place][own] = 1
        weights = _appetite(np.asarray(piece.cluster), weighting)
        for turn in rounds:
            due = _due(turn, np.asarray(piece.draw), weights)
            copies[place] += own & (due < cut.value) if not cut.whole else own
            for row in [] if cut.whole else np.flatnonzero(own & (due == cut.value)).tolist():
                ties.append(Tie(key_bytes(keys[place][row]), int(piece.tokens[row]), place, row))
    for tie in at_the_cut(ties, cut.left):
        copies[tie.piece][tie.row] += 1
    bounds[number] = np.nan if first else cut.value
    return _with_given(number, part, weighed, codes_of, copies)


def _due(turn: int, draws: Floats, weights: Floats) -> Floats:
    """Return when a document's next copy is due, as the mixture grows: 0 is its first, `turn` the one after it."""
    return draws if turn == 0 else (turn - draws) / weights


def _appetite(clusters: npt.NDArray[np.int32], weighting: bool) -> Floats:
    """Return how fast documents are repeated: 1 + log2 of the cluster's size, or 1."""
    if not weighting:
        return np.ones(len(clusters), np.float64)
    # Looked up from Python's logarithm: the same on every processor.
    sizes, places = np.unique(np.maximum(clusters, 1), return_inverse=True)
    return np.array([1.0 + math.log2(size) for size in sizes.tolist()], np.float64)[places]


def _with_given(
    number: int,
    part: Part,
    weighed: Sequence[Weighed],
    codes_of: Sequence[npt.NDArray[np.int32]],
    copies: Sequence[npt.NDArray[np.int32]],
) -> Part:
    given = documents = repeated = 0
    for piece, codes, found in zip(weighed, codes_of, copies, strict=True):
        own = codes == number
        given += int((np.asarray(piece.tokens)[own] * found[own].astype(np.int64)).sum())
        documents += int((found[own] > 0).sum())
        repeated += int((found[own] > 1).sum())
    return part.filled(given=given, documents=documents, repeated=repeated)


def apply(
    table: pa.Table,
    weighed: Weighed,
    copies: npt.NDArray[np.int32],
    limits: npt.NDArray[np.float64],
) -> pa.Table:
    """Return the table with the column `copies` (int32), and the verdict "over quota" where it is 0.

    `value` is the document's draw, `threshold` the draw at which its part's quota was full (0: it has no share).
    """
    rows = np.flatnonzero(copies == 0).astype(np.int64)
    table = with_column(table, "copies", pa.array(copies, pa.int32()))
    if not len(rows):
        return table
    return dropped(
        table,
        rows,
        REASON,
        value=np.asarray(weighed.draw, np.float64)[rows],
        threshold=limits[np.asarray(weighed.group)[rows]],
    )
