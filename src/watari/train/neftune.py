"""NEFTune: noise on the embeddings of the training data (Jain et al. 2023, arXiv:2310.05914).

Uniform noise in (-1, 1), scaled by alpha / sqrt(L · d), with L the length of that sample and d the embedding's width.
Other trainers take L from the padded or packed row, which makes the noise up to 5x too weak (facts/training.md §1,
transformers issue 34659); here each sample has its own L wherever it lies. The noise is drawn from (seed, step, row), so
that a resumed run hears the same noise, and so does the row in whatever layout it comes.

The draws have 16 bits, the midpoints of 65,536 equal steps: four from each word of the generator, and half as much to carry
to a GPU as fp32, which turns them into noise itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from watari.artifact.draws import draw_uint64
from watari.train.batches import Batch

_CPU = torch.device("cpu")


def noise(
    batch: Batch,
    row_ids: Sequence[str],
    *,
    width: int,
    alpha: float,
    seed: int,
    stage: str,
    step: int,
    device: torch.device = _CPU,
) -> Tensor:
    """Return the noise to add to the embeddings of `batch`: [rows, columns, width] fp32, zero on padding.

    Args:
        batch: The laid-out sequences.
        row_ids: The id of each, in the same order.
        width: Of the embeddings.
        alpha: Strength; the paper uses 5, 10 and 15, Shisa V2 uses 5.
        seed: The stage's.
        stage: The stage's kind.
        step: The step's number.
        device: Where to return it.
    """
    drawn = np.zeros((*batch.ids.shape, width), dtype=np.int16)
    scale = np.zeros((*batch.ids.shape, 1), dtype=np.float32)
    for (row, column, columns, length), row_id in zip(batch.spans, row_ids, strict=True):
        place = slice(column, column + columns)
        drawn[row, place] = _draws(draw_uint64(seed, f"{stage} neftune {step}", row_id), columns, width)
        scale[row, place] = alpha / math.sqrt(length * width) / 2**15
    values = torch.from_numpy(drawn).to(device).float()
    return values.add_(0.5).mul_(torch.from_numpy(scale).to(device))


def _draws(key: int, columns: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    """Return uniform 16-bit integers; the first columns are the same for any number of them."""
    words = np.random.PCG64(key).random_raw(-(-columns * width // 4)).astype("<u8", copy=False)
    return words.view("<i2")[: columns * width].reshape(columns, width)
