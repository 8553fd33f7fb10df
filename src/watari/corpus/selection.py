"""Selecting documents that resemble a target: importance resampling on hashed character n-grams.

Data Selection via Importance Resampling (DSIR; Xie et al. 2023, arXiv:2302.03169), with three differences that a language
without spaces needs (facts/corpus.md §1: the published words pick 0 of 299 planted paragraphs): features are characters and
pairs of characters; a document's weight is the mean, not the sum, over its n-grams, else length decides; and the noise
of the draw is keyed by (seed, key), so that the sample depends on neither order nor workers.

`target_counts`; `counts` a piece at a time and `merged` → `ratios` → `score` a piece at a time → `choose` → `apply`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.artifact.draws import draw_uint64
from watari.corpus.quota import Keys, Tie, at_the_cut, find_cut, in_chunks, key_bytes
from watari.corpus.selection_features import (
    UNIT,
    Counts,
    Ratios,
    by_language,
    check_target,
    counts,
    merged,
    ratios,
)
from watari.corpus.selection_params import Amount, SelectionParams
from watari.corpus.selection_target import target_counts
from watari.corpus.table import dropped
from watari.kernels.features import gram_numbers, weight_sums
from watari.kernels.texts import Texts

__all__ = [
    "Amount",
    "Choice",
    "Chosen",
    "Counts",
    "Ratios",
    "Scored",
    "SelectionParams",
    "apply",
    "check_target",
    "choose",
    "counts",
    "merged",
    "ratios",
    "score",
    "target_counts",
]

REASON = "not selected"
EMPTY = -1e18
"""Weight of an empty text, in nats: below that of any other, and a number that JSON can hold."""

_NOISE = "corpus.build/select"


@dataclass(frozen=True)
class Scored:
    """The weights of one piece's documents.

    Args:
        score: float64[n], nats (per n-gram with `normalise: length`), noise included; higher is kept first. `EMPTY` for
            an empty text, 0 where the language is not one of the target's.
        language: int16[n], place in `Ratios.languages`; -1 if it is none of them.
        characters: int64[n].
    """

    score: npt.NDArray[np.float64]
    language: npt.NDArray[np.int16]
    characters: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[Any]) -> Scored:
        """Return it for some rows: positions, or bool[n]."""
        return Scored(self.score[rows], self.language[rows], self.characters[rows])


def score(table: pa.Table, found: Ratios, params: SelectionParams, *, seed: int) -> Scored:
    """Return the weight of each row of a table with `key`, `text` and `language`.

    A row's weight depends on its key, text and language alone.
    """
    texts = Texts.from_arrow(table.column("text"))
    keys = table.column("key").to_pylist()
    scores = np.zeros(len(texts), np.float64)
    languages = np.full(len(texts), -1, np.int16)
    for language, rows in by_language(table):
        if language not in found.languages:
            continue
        place = found.languages.index(language)
        part = texts if len(rows) == len(texts) else texts.take(rows)
        sums = weight_sums(part, params.ngrams, found.weights[place])
        sizes = gram_numbers(part.lengths, params.ngrams)
        values = sums / np.maximum(sizes, 1) if params.normalise == "length" else sums.astype(np.float64)
        values *= UNIT
        if params.noise_scale:
            values += params.noise_scale * gumbel_noise([keys[row] for row in rows], seed)
        values[sizes == 0] = EMPTY
        scores[rows] = values
        languages[rows] = place
    return Scored(scores, languages, texts.lengths)


def gumbel_noise(keys: Sequence[str], seed: int) -> npt.NDArray[np.float64]:
    """Return a standard Gumbel variate a key, drawn on (seed, key), in whole `UNIT`s.

    The keys in the order of weight + noise are a sample without replacement (Gumbel top-k; Vieira 2014).
    """
    draws = np.array([draw_uint64(seed, _NOISE, key) for key in keys], np.uint64)
    uniform = ((draws >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    noise: npt.NDArray[np.float64] = np.rint(-np.log(-np.log(uniform)) / UNIT) * UNIT
    return noise


@dataclass(frozen=True)
class Chosen:
    """What was selected of one language.

    Args:
        language: Its code.
        documents, characters: In the corpus before.
        kept_documents, kept_characters: After.
        threshold: The weight at the cut: what is above it is kept, what is below is not, what equals it goes by key. None
            where all is kept.
        wanted: `keep`, in documents or characters.
        unit: Of `wanted`.
    """

    language: str
    documents: int
    characters: int
    kept_documents: int
    kept_characters: int
    threshold: float | None
    wanted: int
    unit: Literal["documents", "characters"]

    @property
    def short(self) -> bool:
        """True if the corpus holds less than was asked for."""
        return (self.documents if self.unit == "documents" else self.characters) < self.wanted


@dataclass(frozen=True)
class Choice:
    """What was selected.

    Args:
        kept: bool[n] a piece.
        languages: One entry a language of the target, sorted.
    """

    kept: list[npt.NDArray[np.bool_]]
    languages: list[Chosen]

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """float64: the weight at the cut, by the place of the language; NaN where all is kept."""
        return np.array([np.nan if c.threshold is None else c.threshold for c in self.languages], np.float64)


def choose(
    scored: Sequence[Scored], keys: Sequence[Keys], names: Sequence[str], params: SelectionParams
) -> Choice:
    """Return which documents are kept: of each of the target's languages those with the highest weights.

    Documents in other languages are all kept. Equal weights go by key, the smallest first. A count of documents is
    met exactly; a count of characters is not exceeded, and missed by less than one document. Memory: a byte a
    document, beside the arrays given, which may be mapped files.

    Args:
        scored: One a piece.
        keys: Of the same rows, one array a piece, of a type that NumPy compares.
        names: `Ratios.languages`.
        params: As given to `score`.
    """
    kept = [np.asarray(piece.language) < 0 for piece in scored]
    languages = [_choose(scored, keys, place, name, params, kept) for place, name in enumerate(names)]
    return Choice(kept, languages)


def _choose(
    scored: Sequence[Scored],
    keys: Sequence[Keys],
    place: int,
    name: str,
    params: SelectionParams,
    kept: list[npt.NDArray[np.bool_]],
) -> Chosen:
    columns = (
        [piece.language for piece in scored],
        [piece.score for piece in scored],
        [piece.characters for piece in scored],
    )
    documents = characters = 0
    for language, values, sizes in in_chunks(*columns):
        own = language == place
        if np.isnan(values[own]).any():
            raise AssertionError("a weight is not a number")
        documents += int(own.sum())
        characters += int(sizes[own].sum())
    amount = params.amount(name)
    by_characters = amount.characters is not None
    wanted = amount.characters or amount.documents or round((amount.share or 0.0) * documents)

    def chunks() -> Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        for language, values, sizes in in_chunks(*columns):
            own = language == place
            # The order is ascending, the highest weight is wanted first.
            yield -values[own], sizes[own] if by_characters else np.ones(int(own.sum()), np.int64)

    cut = find_cut(chunks, wanted)
    ties = []
    for number, piece in enumerate(scored):
        own, values = np.asarray(piece.language) == place, np.asarray(piece.score)
        kept[number] |= own if cut.whole else own & (-values < cut.value)
        for row in [] if cut.whole else np.flatnonzero(own & (-values == cut.value)).tolist():
            size = int(piece.characters[row]) if by_characters else 1
            ties.append(Tie(key_bytes(keys[number][row]), size, number, row))
    for tie in at_the_cut(ties, cut.left):
        kept[tie.piece][tie.row] = True
    kept_documents = kept_characters = 0
    for piece, mask in zip(scored, kept, strict=True):
        own = mask & (np.asarray(piece.language) == place)
        kept_documents += int(own.sum())
        kept_characters += int(np.asarray(piece.characters)[own].sum())
    return Chosen(
        name,
        documents,
        characters,
        kept_documents,
        kept_characters,
        None if cut.whole else -cut.value,
        wanted,
        "characters" if by_characters else "documents",
    )


def apply(
    table: pa.Table, scored: Scored, kept: npt.NDArray[np.bool_], thresholds: npt.NDArray[np.float64]
) -> pa.Table:
    """Return the table with the verdict "not selected" on the rows that are not kept.

    `value` is the row's weight, `threshold` the weight at the cut: the highest that was not kept of its language.
    """
    rows = np.flatnonzero(~kept).astype(np.int64)
    return dropped(
        table,
        rows,
        REASON,
        value=np.asarray(scored.score, np.float64)[rows],
        threshold=thresholds[np.asarray(scored.language)[rows]],
    )
