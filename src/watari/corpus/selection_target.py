"""Reading the target of a selection from its files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

import pyarrow as pa

from watari.artifact.records import Fault
from watari.corpus.selection_features import Counts, check_target, counts, merged
from watari.corpus.selection_params import SelectionParams
from watari.corpus.sources import read_source
from watari.errors import UserError

_BATCH = 1024


def target_counts(
    params: SelectionParams,
    *,
    seed: int,
    more: Iterable[pa.Table] = (),
    languages: Collection[str] | None = None,
) -> Counts:
    """Return the n-gram counts of the target, read and normalised as the corpus is; held to `check_target`.

    Args:
        params: The selection; each of its `target` files is read.
        seed: Of the demo world.
        more: Further documents of the target, as tables with `text` and `language`: those of other stages.
        languages: Those that the corpus keeps; the target's documents in others have nothing to be compared with and are
            left out. None: all are kept.

    Raises:
        UserError: for a file that cannot be read or holds a row that cannot, and as `check_target`.
    """
    found = merged(counts(table, params) for table in chain(_tables(params, seed, languages), more))
    check_target(found, params)
    return found


def _tables(params: SelectionParams, seed: int, wanted: Collection[str] | None) -> Iterator[pa.Table]:
    schema = pa.schema([("text", pa.large_string()), ("language", pa.string())])
    texts: list[str] = []
    languages: list[str] = []
    for source in params.target:
        for item in read_source(source, None, seed=seed, stage="corpus.build/target"):
            if isinstance(item, Fault):
                raise UserError(f"select: target: {item}", "mend the row, or leave the file out")
            if wanted and item.language not in wanted:
                continue
            texts.append(item.text)
            languages.append(item.language)
            if len(texts) >= _BATCH:
                yield pa.table([texts, languages], schema=schema)
                texts, languages = [], []
    if texts:
        yield pa.table([texts, languages], schema=schema)
