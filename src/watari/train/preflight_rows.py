"""Rows that a graft has added beside those that were there: their norms, read from the model's files.

From the files, not from memory: the same whether the model is divided among processes, wrapped by adapters or resumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from watari.train.memory import token_tables

_CHUNK_ROWS = 8192
_MOST_OUTSIDE = 0.01
"""Share of new rows outside the old rows' range above which it is told."""


@dataclass(frozen=True)
class Norms:
    """Euclidean norms of some rows: how many, mean, least, 5th, 50th and 95th percentile, greatest."""

    rows: int
    mean: float
    least: float
    p5: float
    p50: float
    p95: float
    greatest: float

    @classmethod
    def of(cls, norms: npt.NDArray[np.float64]) -> Norms:
        """Return the figures of at least one norm, six digits each."""
        p5, p50, p95 = np.percentile(norms, [5, 50, 95])
        figures = (norms.mean(), norms.min(), p5, p50, p95, norms.max())
        return cls(len(norms), *(float(f"{value:.6g}") for value in figures))


@dataclass(frozen=True)
class RowNorms:
    """The old and the new rows of one table.

    Args:
        table: "embedding" or "head"; "embedding and head" if they are one.
        old, new: Their norms.
        outside: New rows whose norm lies below the least or above the greatest of the old ones.
        zero: New rows that are zero throughout.
    """

    table: str
    old: Norms
    new: Norms
    outside: int
    zero: int

    def warnings(self) -> Iterator[str]:
        """Yield what is wrong with the new rows, in words."""
        if self.zero:
            yield f"{self.table}: {self.zero:,} of {self.new.rows:,} new rows are zero: they were never given a value"
        elif self.new.rows > 1 and self.new.greatest - self.new.least <= 1e-6 * self.new.greatest:
            yield f"{self.table}: all {self.new.rows:,} new rows have the same norm: are they one row repeated?"
        if self.outside - self.zero > _MOST_OUTSIDE * self.new.rows:
            yield (
                f"{self.table}: {self.outside:,} of {self.new.rows:,} new rows have norms outside those of the old "
                f"({self.new.least:.3g} to {self.new.greatest:.3g}, old {self.old.least:.3g} to {self.old.greatest:.3g})"
            )


def row_norms(folder: Path, first_new: int) -> list[RowNorms]:
    """Return the norms of old and new rows of every table of the model in `folder` that has a row for each token.

    Args:
        folder: A model's.
        first_new: The first new row.
    """
    from safetensors import safe_open

    wanted = token_tables(folder)
    norms: dict[str, npt.NDArray[np.float64]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            for name in sorted(wanted.keys() & set(file.keys())):
                table = file.get_slice(name)
                parts = [
                    table[start : start + _CHUNK_ROWS].float().norm(dim=1).double().numpy()
                    for start in range(0, wanted[name][0], _CHUNK_ROWS)
                ]
                norms[name] = np.concatenate(parts)
    found = []
    for name in sorted(norms, key=lambda name: (_is_head(name), name)):
        old, new = norms[name][:first_new], norms[name][first_new:]
        label = "embedding and head" if len(norms) == 1 else "head" if _is_head(name) else "embedding"
        outside = int(((new < old.min()) | (new > old.max())).sum())
        found.append(RowNorms(label, Norms.of(old), Norms.of(new), outside, int((new == 0).sum())))
    return found


def _is_head(name: str) -> bool:
    """True for the output matrix, as transformers' architectures call it."""
    return any(part in name for part in ("lm_head", "embed_out", "output."))
