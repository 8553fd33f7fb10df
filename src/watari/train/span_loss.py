"""Losses on single tokens of a reply: unlikely where it leaks, likely where it is mended.

    unlikelihood   -log(1 - p)   of a token that should not have come (Welleck et al. 2019, arXiv:1908.04319)
    likelihood     -log p        of the one that should have

Both are softplus of the token's log-odds, ±(z - log Σ exp(others)): with it nothing cancels, whether p is 1e-12 or
1 - 1e-12, where log(1 - exp(log p)) in fp32 is off by its whole size or infinite. The gradient by the logits is
±w·σ(±odds)·(one-hot - softmax of the others), bounded everywhere. All of it is fp32, whatever the layers compute in; the
positions are few.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from watari.train.head import chunk_rows


def span_loss(
    hidden: Tensor, weight: Tensor, targets: Tensor, bad: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the summed loss, a scalar differentiable in `hidden` and `weight`, and the targets' log-odds.

    Args:
        hidden: [n, width] last hidden states of the positions before the targets.
        weight: [vocabulary, width] output matrix.
        targets: [n] ids.
        bad: [n] True where the target should not have come.
        scale: [n] fp32 weight of each position.

    Returns:
        The loss; [n] log-odds in fp32, log p/(1 - p), not differentiable.
    """
    loss, odds = _SpanLoss.apply(hidden, weight, targets, bad, scale)  # type: ignore[no-untyped-call]
    return loss, odds


class _SpanLoss(torch.autograd.Function):
    """The gradient of a sum does not depend on what follows it, so it is taken while the logits are at hand."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, bad: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        for_hidden, for_weight = ctx.needs_input_grad[:2]
        states, matrix = hidden.float(), weight.float()
        by_hidden = torch.zeros_like(states) if for_hidden else None
        by_weight = torch.zeros_like(matrix) if for_weight else None
        odds = torch.empty(len(states), dtype=torch.float32, device=states.device)
        sign = torch.where(bad, 1.0, -1.0).to(states.device)
        size = chunk_rows(len(matrix), states.device)
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            # fp32 products are meant as such: not as bf16 ones, which autocast would make of them.
            with torch.autocast(states.device.type, enabled=False):
                logits = states[part] @ matrix.T
                index = targets[part, None]
                own = logits.gather(1, index)
                logits.scatter_(1, index, float("-inf"))
                others = torch.logsumexp(logits, -1, keepdim=True)
                odds[part] = (own - others)[:, 0]
                if not (for_hidden or for_weight):
                    continue
                pull = sign[part] * scale[part] * torch.sigmoid(sign[part] * odds[part])
                gradient = logits.sub_(others).exp_().mul_(-pull[:, None])
                gradient.scatter_(1, index, pull[:, None])
                if by_hidden is not None:
                    by_hidden[part] = gradient @ matrix
                if by_weight is not None:
                    by_weight.addmm_(gradient.T, states[part])
        loss = (scale.double() * softplus((sign * odds).double())).sum().float()
        ctx.by_hidden, ctx.by_weight = by_hidden, by_weight
        ctx.types = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(odds)
        return loss, odds

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        found = []
        for gradient, dtype in zip((ctx.by_hidden, ctx.by_weight), ctx.types, strict=True):
            found.append(None if gradient is None else (gradient * upstream[0]).to(dtype))
        return *found, None, None, None
