"""Rows for new tokens, made from the rows of the base tokens that they replace.

A new piece stands for the base tokens p1 … pm (its parents). Its input row is what the model reads, its output row
what it is scored by. Count bias (facts: tokenizer §7): the output row is that of p1, moved along the direction u in
which every hidden state has component 1, by log P(rest | p1) = log(count(piece) / count(p1)); by the chain rule the
piece is then as likely as its base spelling, on average over contexts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from watari.artifact.draws import generator
from watari.pretrained.graft import Graft

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Init = Literal["mean", "last-first", "count-bias", "random"]
_STAGE = "model.graft"
_SMOOTH = 0.5
"""Added to both counts: a piece that only served to build longer ones may never come out itself."""


@dataclass(frozen=True)
class Rows:
    """New rows, float32: `input` (n, width) and `output` (n, width), which is None where the head is tied."""

    input: Tensor
    output: Tensor | None


def new_rows(
    graft: Graft,
    embedding: Tensor,
    head: Tensor | None,
    *,
    init: Init,
    bias: Tensor | None = None,
    spread: float = 0.02,
    seed: int = 0,
) -> Rows:
    """Return the rows of the pieces of `graft`, in the order of their ids.

    Args:
        graft: The pieces and their parents.
        embedding: The base's input embedding (vocabulary, width).
        head: The base's output head (vocabulary, width), or None if it is the embedding.
        init: `mean`: mean of the parents' rows, in both matrices (Swallow, FVT). `last-first`: the input row of the
            last parent, the output row of the first. `count-bias`: the same plus the bias; on a tied head, the mean
            plus the bias. `random`: normal, for comparison.
        bias: The direction u (width,), for `count-bias`.
        spread: Standard deviation for `random` (the model's initializer_range).
        seed: For `random`; drawn by piece, so that a longer graft keeps the rows of a shorter one.
    """
    import torch

    with torch.no_grad():
        if init == "random":
            return Rows(
                _drawn(graft, embedding.shape[1], spread, seed, "input"),
                None if head is None else _drawn(graft, embedding.shape[1], spread, seed, "output"),
            )
        if init == "mean":
            return Rows(parent_means(graft, embedding), None if head is None else parent_means(graft, head))
        shift = torch.zeros(len(graft.pieces), 1)
        if init == "count-bias":
            if bias is None:
                raise ValueError("count-bias needs the direction `bias`")
            shift = log_ratios(graft)[:, None] * bias.float()[None, :]
        if head is None:
            return Rows(parent_means(graft, embedding) + shift, None)
        last = embedding[[ids[-1] for ids in graft.parents]].float()
        first = head[[ids[0] for ids in graft.parents]].float()
        return Rows(last, first + shift)


def log_ratios(graft: Graft) -> Tensor:
    """Return log(count(piece) / count(first parent)) of each piece (n,), never above 0."""
    import torch

    pieces = torch.tensor(graft.frequency, dtype=torch.float64) + _SMOOTH
    firsts = torch.tensor(graft.first_frequency, dtype=torch.float64) + _SMOOTH
    return torch.log(pieces / firsts).clamp(max=0.0).float()


def parent_means(graft: Graft, matrix: Tensor) -> Tensor:
    """Return the mean of the parents' rows of each piece (n, width), float32."""
    import torch

    lengths = torch.tensor([len(ids) for ids in graft.parents])
    flat = torch.tensor([index for ids in graft.parents for index in ids])
    owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    sums = torch.zeros(len(lengths), matrix.shape[1])
    # In blocks: the parents' rows of 88,000 pieces of a 7B model would be 6 GB at once.
    for start in range(0, len(flat), 65_536):
        block = slice(start, start + 65_536)
        sums.index_add_(0, owner[block], matrix[flat[block]].float())
    return sums / lengths[:, None]


def bias_direction(hidden: Tensor) -> Tensor:
    """Return u (width,) = argmin ‖H u − 1‖² over hidden states H (n, width), float64 inside.

    The Gram matrix is given 1e-6 of its mean diagonal, so that it can be solved where H has less than full rank.
    """
    import torch

    states = hidden.double()
    gram = states.T @ states
    gram += torch.eye(gram.shape[0], dtype=torch.float64) * (1e-6 * gram.diagonal().mean())
    solved: torch.Tensor = torch.linalg.solve(gram, states.sum(0)).float()
    return solved


def _drawn(graft: Graft, width: int, spread: float, seed: int, which: str) -> Tensor:
    import numpy as np
    import torch

    rows = [
        generator(seed, _STAGE, f"{which} {piece}").standard_normal(width, dtype=np.float32)
        for piece in graft.pieces
    ]
    return torch.from_numpy(np.stack(rows)) * spread
