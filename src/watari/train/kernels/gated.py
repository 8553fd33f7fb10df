"""The gated unit of Llama's feed-forward layer: down(silu(gate) · up) (SwiGLU, Shazeer 2020, arXiv:2002.05202)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu


def gated_down(gate_up: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (silu(gate) · up) @ weightᵀ, [n, width] in `dtype`.

    Only `gate_up` is kept for backward, which computes the inner product again.

    Args:
        gate_up: [n, 2 · inner] in `dtype`: the gate's half, then the other.
        weight: [width, inner] in any type.
        dtype: Type of the product.
    """
    out: Tensor = _GatedDown.apply(gate_up, weight, dtype)  # type: ignore[no-untyped-call]
    return out


class _GatedDown(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(gate_up, weight)
        ctx.dtype = dtype
        gate, up = gate_up.chunk(2, -1)
        return silu(gate).mul_(up) @ weight.to(dtype).T

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        gate_up, weight = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        active = silu(gate)
        by_weight = None
        if ctx.needs_input_grad[1]:
            by_weight = (upstream[0].T @ (active * up)).to(weight.dtype)
        if not ctx.needs_input_grad[0]:
            return None, by_weight, None
        by_product = upstream[0] @ weight.to(ctx.dtype)
        by_gate_up = torch.empty_like(gate_up)
        by_gate, by_up = by_gate_up.chunk(2, -1)
        torch.mul(by_product, active, out=by_up)
        torch.ops.aten.silu_backward.grad_input(by_product.mul_(up), gate, grad_input=by_gate)
        return by_gate_up, by_weight, None
