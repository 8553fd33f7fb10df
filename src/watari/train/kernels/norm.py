"""Root mean square norm (Zhang & Sennrich 2019, arXiv:1910.07467) as Llama, Mistral and Qwen compute it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rms_norm(states: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """Return weight · states / √(mean of states² + eps) in `dtype`, [n, width], rounded once.

    Args:
        states: [n, width], fp32 (or fp64); all sums are taken in this type.
        weight: [width] in the type of `states`.
        eps: Added to the mean square.
        dtype: Type of the result, which is that of the matrix product that follows.
    """
    normed: Tensor = _RMSNorm.apply(states, weight, eps, dtype)  # type: ignore[no-untyped-call]
    return normed


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        inverse = length.square_().div_(states.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(states, weight, inverse)
        normed: Tensor = (states * inverse).mul_(weight).to(dtype)
        return normed

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        states, weight, inverse = ctx.saved_tensors
        for_states, for_weight = ctx.needs_input_grad[:2]
        # `to` copies unless the type is right already; what came from upstream is not ours to overwrite.
        above = upstream[0].to(states.dtype, copy=True)
        normed = states * inverse
        product = above * normed
        by_weight = product.sum(0) if for_weight else None
        if not for_states:
            return None, by_weight, None, None
        share = product @ weight / states.shape[-1]
        by_states = above.mul_(weight).addcmul_(normed, share[:, None], value=-1).mul_(inverse)
        return by_states, by_weight, None, None
