"""Texts of a table that a step has changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watari.corpus.table import with_column


def with_texts(table: pa.Table, texts: Mapping[int, str]) -> pa.Table:
    """Return the table with new texts in some rows, by their place."""
    if not texts:
        return table
    where = np.zeros(table.num_rows, bool)
    where[list(texts)] = True
    old = table.column("text").combine_chunks()
    new = pa.array([texts[row] for row in sorted(texts)], old.type)
    return with_column(table, "text", pc.replace_with_mask(old, pa.array(where), new))
