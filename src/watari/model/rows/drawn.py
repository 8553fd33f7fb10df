"""Rows drawn at random. Every row has its own generator, keyed by the piece: a longer graft keeps a shorter one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watari.artifact.draws import generator
from watari.pretrained.graft import Graft

if TYPE_CHECKING:
    from torch import Tensor

_STAGE = "model.graft"
RESIZED = 1e-9
"""Share of the covariance that transformers' mean resizing draws with (`_init_added_embeddings_weights_with_mean`)."""
_RIDGE = 1e-10
"""Added to the covariance, as a share of its mean variance, so that it can be factored where it has not full rank."""
_BLOCK = 8192


def standard_normal(graft: Graft, width: int, seed: int, side: str) -> Tensor:
    """Return (n, width) independent standard normal numbers, float32."""
    import numpy as np
    import torch

    rows = np.empty((len(graft.pieces), width), dtype=np.float32)
    for place, piece in enumerate(graft.pieces):
        rows[place] = generator(seed, _STAGE, f"{side} {piece}").standard_normal(width, dtype=np.float32)
    return torch.from_numpy(rows)


def like_base(graft: Graft, table: Tensor, share: float, seed: int, side: str) -> Tensor:
    """Return rows (n, width) drawn from N(μ, share · Σ) of the base's rows.

    With share 1 it is Hewitt's init (2021, "Initializing New Word Embeddings for Pretrained Language Models"). With
    share 1e-9 it is transformers' `resize_token_embeddings(mean_resizing=True)`, read in 5.23: mean and covariance
    (divided by n) of all old rows; the rows all but equal the mean. Σ needs two (width, width) float64 matrices.

    Args:
        graft: The pieces.
        table: The base's rows, those of its tokenizer alone.
        share: Of the covariance.
        seed: Of the draws.
        side: Which table, for the draws.
    """
    import torch

    drawn = standard_normal(graft, table.shape[1], seed, side)
    mean = _mean(table)
    covariance = torch.zeros(table.shape[1], table.shape[1], dtype=torch.float64)
    for start in range(0, len(table), _BLOCK):
        centred = table[start : start + _BLOCK].double() - mean
        covariance += centred.T @ centred
    covariance /= len(table)
    covariance.diagonal().add_(_RIDGE * float(covariance.diagonal().mean()))
    factor = torch.linalg.cholesky(covariance).float() * share**0.5
    del covariance
    for start in range(0, len(drawn), _BLOCK):
        block = slice(start, start + _BLOCK)
        drawn[block] = drawn[block] @ factor.T + mean.float()
    return drawn


def _mean(table: Tensor) -> Tensor:
    import torch

    total = torch.zeros(table.shape[1], dtype=torch.float64)
    for start in range(0, len(table), _BLOCK):
        total += table[start : start + _BLOCK].double().sum(0)
    return total / len(table)
