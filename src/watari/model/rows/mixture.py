"""New rows as weighted sums of base rows: the same weights serve the embedding and the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Mixture:
    """Row k is the sum of `weights[i] · base row ids[i]` over all i with `owner[i] == k`.

    Args:
        count: Number of new rows.
        owner: (m,) int64, which new row.
        ids: (m,) int64, which base row.
        weights: (m,) float32.
    """

    count: int
    owner: Tensor
    ids: Tensor
    weights: Tensor

    def apply(self, table: Tensor) -> Tensor:
        """Return the rows (count, width), float32, for a base table (rows, width) or (rows,) of any float type.

        In blocks of 16 MiB: the parents' rows of 88,000 pieces of a 7B model would be 6 GB at once.
        """
        import torch

        out = torch.zeros(self.count, *table.shape[1:])
        step = max(1, _BLOCK_BYTES // (4 * (table.shape[1] if table.dim() > 1 else 1)))
        for start in range(0, len(self.ids), step):
            block = slice(start, start + step)
            weights = self.weights[block].reshape(-1, *[1] * (table.dim() - 1))
            out.index_add_(0, self.owner[block], table[self.ids[block]].float() * weights)
        return out


def mixture(ids: Sequence[Sequence[int]], weights: Sequence[Sequence[float]]) -> Mixture:
    """Return the mixture of some lists of base ids with their weights, one list a new row."""
    import torch

    lengths = torch.tensor([len(row) for row in ids])
    return Mixture(
        count=len(ids),
        owner=torch.repeat_interleave(torch.arange(len(ids)), lengths),
        ids=torch.tensor([index for row in ids for index in row], dtype=torch.int64),
        weights=torch.tensor([weight for row in weights for weight in row], dtype=torch.float32),
    )
