"""Linear layers that share an input, as one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor


def project(
    states: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], dtype: torch.dtype
) -> Tensor:
    """Return states @ weightᵀ + bias of every layer, side by side, [n, Σ out] in `dtype`.

    Args:
        states: [n, width] in `dtype`.
        weights: [out, width] each, in any type; cast for the product, as autocast does.
        biases: [out] each, or None for all.
        dtype: Type of the product. Gradients of weights are products in this type too, then in the weight's own.

    A weight that needs no gradient costs none.
    """
    out: Tensor = _Project.apply(states, dtype, *weights, *(biases if biases[0] is not None else ()))  # type: ignore[no-untyped-call]
    return out


def joined(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return tensors joined along their first side, in `dtype`, each copied once."""
    if len(parts) == 1:
        return parts[0].to(dtype)
    whole = parts[0].new_empty((sum(len(part) for part in parts), *parts[0].shape[1:]), dtype=dtype)
    for part, piece in zip(parts, torch.split(whole, [len(part) for part in parts]), strict=True):
        piece.copy_(part)
    return whole


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, dtype: torch.dtype, *parameters: Tensor) -> Tensor:
        matrices = [parameter for parameter in parameters if parameter.ndim == 2]
        vectors = parameters[len(matrices) :]
        ctx.save_for_backward(states, *matrices)
        ctx.dtype, ctx.biased = dtype, bool(vectors)
        matrix = joined(matrices, dtype)
        return torch.addmm(joined(vectors, dtype), states, matrix.T) if vectors else states @ matrix.T

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (above,) = upstream
        states, *matrices = ctx.saved_tensors
        needs = ctx.needs_input_grad
        by_states = above @ joined(matrices, ctx.dtype) if needs[0] else None
        bounds = list(accumulate((len(matrix) for matrix in matrices), initial=0))
        spans = list(pairwise(bounds))
        wanted = needs[2 : 2 + len(matrices)]
        by_matrices: list[Tensor | None] = [None] * len(matrices)
        if all(wanted):
            whole = (above.T @ states).to(matrices[0].dtype)
            by_matrices = [whole[start:stop] for start, stop in spans]
        else:
            for index, (start, stop) in enumerate(spans):
                if wanted[index]:
                    by_matrices[index] = (above[:, start:stop].T @ states).to(matrices[index].dtype)
        by_biases: list[Tensor | None] = []
        if ctx.biased:
            wanted = needs[2 + len(matrices) :]
            total = above.sum(0, dtype=matrices[0].dtype) if any(wanted) else above[0]
            by_biases = [
                total[start:stop] if need else None for need, (start, stop) in zip(wanted, spans, strict=True)
            ]
        return by_states, None, *by_matrices, *by_biases
