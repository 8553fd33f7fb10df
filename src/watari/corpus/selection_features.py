"""What a corpus and a target are made of, as counts of hashed character n-grams; and how the two compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watari.corpus.selection_params import SelectionParams
from watari.errors import UserError
from watari.kernels.features import gram_counts
from watari.kernels.texts import Texts

UNIT = 2.0**-20
"""Unit of the fixed-point log ratios and of the noise, in nats: sums of them are exact."""


@dataclass(frozen=True)
class Counts:
    """N-grams by bucket, and what they were counted over, by language.

    Args:
        grams: {language: int64[buckets]}.
        documents, characters: {language: number}.
    """

    grams: Mapping[str, npt.NDArray[np.int64]]
    documents: Mapping[str, int]
    characters: Mapping[str, int]

    def save(self, path: Path) -> None:
        """Write it as .npz; a file that has its name is whole."""
        names = sorted(self.grams)
        sizes = np.array([(self.documents[name], self.characters[name]) for name in names], np.int64)
        _save(path, names, [self.grams[name] for name in names], sizes.reshape(-1, 2))

    @classmethod
    def load(cls, path: Path) -> Counts:
        """Return what `save` wrote."""
        names, grams, sizes = _load(path)
        return cls(
            dict(zip(names, grams, strict=True)),
            {name: int(size[0]) for name, size in zip(names, sizes, strict=True)},
            {name: int(size[1]) for name, size in zip(names, sizes, strict=True)},
        )


def counts(table: pa.Table, params: SelectionParams) -> Counts:
    """Return the n-gram counts of a table with `text` and `language`; a null language is `und`."""
    grams, documents, characters = {}, {}, {}
    texts = Texts.from_arrow(table.column("text"))
    for language, rows in by_language(table):
        part = texts if len(rows) == len(texts) else texts.take(rows)
        grams[language] = gram_counts(part, params.ngrams, params.buckets)
        documents[language] = len(part)
        characters[language] = len(part.codes)
    return Counts(grams, documents, characters)


def merged(parts: Iterable[Counts]) -> Counts:
    """Return the sum of counts; their order does not matter."""
    grams: dict[str, npt.NDArray[np.int64]] = {}
    documents: dict[str, int] = {}
    characters: dict[str, int] = {}
    for part in parts:
        for language, found in part.grams.items():
            if language in grams:
                grams[language] += found
            else:
                grams[language] = found.copy()
            documents[language] = documents.get(language, 0) + part.documents[language]
            characters[language] = characters.get(language, 0) + part.characters[language]
    return Counts(grams, documents, characters)


def check_target(target: Counts, params: SelectionParams) -> None:
    """Make sure that a target can be resembled; call it before anything dear.

    Raises:
        UserError: if it is empty or shorter than `min_target` in a language, or `keep` and it name other languages.
    """
    if not sum(target.characters.values()):
        raise UserError(
            "select: the target is empty: nothing can resemble it", "name files that hold documents"
        )
    for language in sorted(target.characters):
        size = target.characters[language]
        if size < params.min_target:
            raise UserError(
                f"select: the target holds {size:,} characters in '{language}', {params.min_target:,} are wanted",
                "give a longer target, or set min_target",
            )
        params.amount(language)
    if isinstance(params.keep, dict):
        unknown = sorted(set(params.keep) - set(target.characters))
        if unknown:
            raise UserError(f"select: keep names '{unknown[0]}', the target holds no document in it")


@dataclass(frozen=True)
class Ratios:
    """How much likelier each bucket is in the target than in the corpus.

    Args:
        languages: The target's, sorted.
        weights: int64[buckets] a language: log ratio in `UNIT`s.
    """

    languages: tuple[str, ...]
    weights: tuple[npt.NDArray[np.int64], ...]

    def save(self, path: Path) -> None:
        """Write it as .npz; a file that has its name is whole."""
        _save(path, list(self.languages), list(self.weights), np.zeros((0, 2), np.int64))

    @classmethod
    def load(cls, path: Path) -> Ratios:
        """Return what `save` wrote."""
        names, weights, _ = _load(path)
        return cls(tuple(names), tuple(weights))


def ratios(raw: Counts, target: Counts, params: SelectionParams) -> Ratios:
    """Return the log ratios of the target's distribution to the corpus's, language by language.

    The corpus's counts are smoothed by one a bucket, the target's by `smoothing` n-grams of the corpus.

    Raises:
        UserError: as `check_target`; or if the corpus holds no document in one of its languages.
    """
    check_target(target, params)
    languages = tuple(sorted(target.grams))
    weights = []
    for language in languages:
        if not raw.characters.get(language):
            have = ", ".join(sorted(name for name, size in raw.characters.items() if size)) or "none"
            raise UserError(
                f"select: the target holds documents in '{language}', the corpus none (it has {have})",
                "take it out of the target, or add such documents",
            )
        wanted, found = target.grams[language], raw.grams[language]
        at_large = (found + 1) / (int(found.sum()) + len(found))
        likely = (wanted + params.smoothing * at_large) / (int(wanted.sum()) + params.smoothing)
        weights.append(np.rint(np.log(likely / at_large) / UNIT).astype(np.int64))
    return Ratios(languages, tuple(weights))


def by_language(table: pa.Table) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Yield (language, int64 positions of its rows); a null language is `und`."""
    column = table.column("language").cast(pa.string()).combine_chunks().fill_null("und")
    encoded = column.dictionary_encode()
    codes = np.asarray(encoded.indices)
    for code, language in enumerate(encoded.dictionary.to_pylist()):
        yield language, np.flatnonzero(codes == code).astype(np.int64)


def _save(
    path: Path, names: list[str], arrays: list[npt.NDArray[np.int64]], sizes: npt.NDArray[np.int64]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("wb") as handle:
        stacked = np.stack(arrays) if arrays else np.zeros((0, 0), np.int64)
        np.savez(handle, names=np.array(names, np.str_), arrays=stacked, sizes=sizes)
    temporary.replace(path)


def _load(path: Path) -> tuple[list[str], list[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    with np.load(path, allow_pickle=False) as found:
        return [str(name) for name in found["names"]], list(found["arrays"]), found["sizes"]
