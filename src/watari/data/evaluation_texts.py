"""Are there evaluation texts among the rows? A screen for mixtures, on the kernels that corpora are decontaminated with.

It is simpler than `corpus.build`'s (which cuts, reports by task, and looks for short items whole; rooms do not import each
other): a row is contaminated if it holds one run of an evaluation text of at least `ngram` characters in the folded form
of `kernels.fold`, where letters of alphabets and digits count a third each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault
from watari.errors import UserError
from watari.kernels.fold import CODE, NARROW_PER_WIDE, Folded, fold, units
from watari.kernels.overlap import GramSet, HashSet, find_grams, gram_hashes, stride_of

REASON = "contaminated"
_DISTINCT = 5
"""A run of fewer distinct characters (a ruled line, zeros) says nothing."""
_PASSED_OVER = frozenset({"id", "url", "meta", "license", "source", "language", "category", "date"})


@dataclass(frozen=True)
class EvaluationTexts:
    """What rows are searched for.

    Args:
        ngram: Characters of a run.
        texts: How many evaluation texts are long enough to be found.
        grams: Their n-grams.
    """

    ngram: int
    texts: int
    grams: GramSet

    def found_in(self, texts: Sequence[str]) -> list[int]:
        """Return the places of the texts that hold a run, ascending."""
        if not texts:
            return []
        folded = fold(pa.array(texts, pa.large_string()))
        hits = find_grams(folded, self.grams)
        said = _said(folded, hits.rows, hits.starts, self.ngram)
        return [int(row) for row in np.unique(hits.rows[said >= NARROW_PER_WIDE * self.ngram])]


def _said(folded: Folded, rows: Any, starts: Any, n: int) -> Any:
    """Return, for each hit, the units of the run of overlapping hits that it ends."""
    sums = np.concatenate([[0], np.cumsum(units(folded.codes))])
    begin = folded.offsets[rows] + starts
    said = np.zeros(len(rows), np.int64)
    first = 0
    for place in range(len(rows)):
        if place and (rows[place] != rows[place - 1] or starts[place] > starts[place - 1] + 1):
            first = place
        said[place] = sums[begin[place] + n] - sums[begin[first]]
    return said


def read_evaluation_texts(locations: Sequence[str], ngram: int) -> EvaluationTexts:
    """Return the texts of some evaluation files: every text in every field of every row, but ids and addresses.

    Args:
        locations: As in `data.import`: jsonl, JSON, parquet, text.
        ngram: Characters of a run.

    Raises:
        UserError: for a file that cannot be read, or if no text is long enough.
    """
    texts: dict[str, None] = {}
    for location in locations:
        for record in read_records(location, ReadOptions()):
            if isinstance(record, Fault):
                raise UserError(f"decontaminate: {record}", "mend the file")
            texts |= dict.fromkeys(_texts(record.row))
    folded = fold(pa.array(list(texts), pa.large_string()))
    hashes, places = gram_hashes(folded, ngram)
    rows = np.searchsorted(folded.offsets, places, side="right") - 1
    sums = np.concatenate([[0], np.cumsum(units(folded.codes))])
    long_enough = (sums[folded.offsets[1:]] - sums[folded.offsets[:-1]]) >= NARROW_PER_WIDE * ngram
    varied = np.array(
        [len(set((folded.codes[p : p + ngram] & np.uint32(CODE)).tolist())) >= _DISTINCT for p in places],
        bool,
    )
    wanted = long_enough[rows] & varied if len(places) else np.zeros(0, bool)
    if not wanted.any():
        raise UserError(
            f"decontaminate: no text of {', '.join(locations)} has {ngram} characters",
            "check the files, or lower `contamination_ngram`",
        )
    inner, _ = gram_hashes(folded, ngram - stride_of(ngram) + 1)
    grams = GramSet(ngram, HashSet.of(hashes[wanted]), HashSet.of(inner))
    return EvaluationTexts(ngram, len(np.unique(rows[wanted])), grams)


def _texts(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if name not in _PASSED_OVER:
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, name)
