"""NEFTune: noise on the embeddings of the training data (Jain et al. 2023, arXiv:2310.05914).

Uniform noise in [-1, 1], scaled by alpha / sqrt(L · d), with L the length of that sample and d the embedding's width.
Other trainers take L from the padded or packed row, which makes the noise up to 5x too weak (facts/training.md §1,
transformers issue 34659); here each sample has its own L wherever it lies. The noise is drawn from (seed, step, row), so
that a resumed run hears the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from watari.artifact.draws import generator
from watari.train.batches import Batch


def noise(
    batch: Batch, row_ids: Sequence[str], *, width: int, alpha: float, seed: int, stage: str, step: int
) -> Tensor:
    """Return the noise to add to the embeddings of `batch`: [rows, columns, width] fp32 on the CPU, zero on padding.

    Args:
        batch: The laid-out sequences.
        row_ids: The id of each, in the same order.
        width: Of the embeddings.
        alpha: Strength; the paper uses 5, 10 and 15, Shisa V2 uses 5.
        seed: The stage's.
        stage: The stage's kind.
        step: The step's number.
    """
    drawn = np.zeros((*batch.ids.shape, width), dtype=np.float32)
    for (row, column, columns, length), row_id in zip(batch.spans, row_ids, strict=True):
        uniform = generator(seed, f"{stage} neftune {step}", row_id).random(
            (columns, width), dtype=np.float32
        )
        scale = np.float32(alpha / math.sqrt(length * width))
        drawn[row, column : column + columns] = (uniform * np.float32(2) - np.float32(1)) * scale
    return torch.from_numpy(drawn)
