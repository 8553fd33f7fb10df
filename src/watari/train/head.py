"""From hidden states to losses, without ever holding all logits.

Only supervised positions reach the output matrix (facts/training.md §1: 5x on conversations, where 3-5 % of the tokens
are supervised), and they reach it in chunks: a chunk's fp32 logits stay below 32 MiB on a CPU, where they then fit its
last cache, and below 256 MiB on a GPU, for any vocabulary.

Both functions multiply in the compute type and sum in fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_CHUNK_CPU = 1 << 23
_CHUNK_GPU = 1 << 26


def chunk_rows(vocabulary: int, device: torch.device) -> int:
    """Return how many positions are scored at once."""
    return max(16, (_CHUNK_GPU if device.type == "cuda" else _CHUNK_CPU) // vocabulary)


def cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the summed cross-entropy of `targets`, as a scalar, differentiable in `hidden` and `weight`.

    Args:
        hidden: [n, width] last hidden states of the supervised positions.
        weight: [vocabulary, width] output matrix, fp32.
        targets: [n] ids.
        dtype: Type of the matrix products.
    """
    loss: Tensor = _CrossEntropy.apply(hidden, weight, targets, dtype)  # type: ignore[no-untyped-call]
    return loss


def token_logprobs(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Return log p(target) of each position, [n] in fp32, differentiable in `hidden` and `weight`.

    For losses that are not a plain sum; backward computes the logits a second time.
    """
    logprobs: Tensor = _TokenLogProbs.apply(hidden, weight, targets, dtype)  # type: ignore[no-untyped-call]
    return logprobs


def _softmax(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return (probabilities [n, vocabulary] in the compute type, log p(target) [n] fp32) of one chunk.

    The largest probability is exp(largest logit - log-sum-exp) and cannot underflow, so the log-sum-exp costs no second
    pass of exponentials. In bfloat16 its rounding (2^-9) is small beside that of the logits themselves.
    """
    logits = hidden @ weight.T
    probabilities = torch.softmax(logits, -1)
    normaliser = logits.amax(-1).float() - probabilities.amax(-1).float().log()
    picked = logits.gather(1, targets[:, None])[:, 0].float()
    return probabilities, picked - normaliser


def _minus_one_hot(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Turn probabilities into the gradient of -log p(target) by the logits, in place."""
    rows = torch.arange(len(targets), device=targets.device)
    probabilities[rows, targets] -= 1
    return probabilities


class _CrossEntropy(torch.autograd.Function):
    """The gradient of a plain sum does not depend on what follows it, so it is taken while the chunk is in cache."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        matrix = weight.to(dtype)
        states = hidden.to(dtype)
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        by_hidden = torch.empty_like(states, dtype=torch.float32) if wanted else None
        by_weight = torch.zeros_like(weight) if wanted else None
        rows = chunk_rows(len(weight), hidden.device)
        for start in range(0, len(states), rows):
            chunk, picked = states[start : start + rows], targets[start : start + rows]
            probabilities, logprobs = _softmax(chunk, matrix, picked)
            total -= logprobs.double().sum()
            if by_hidden is not None and by_weight is not None:
                gradient = _minus_one_hot(probabilities, picked)
                by_hidden[start : start + rows] = gradient @ matrix
                by_weight += gradient.T @ chunk
        ctx.save_for_backward(by_hidden, by_weight)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        by_hidden, by_weight = ctx.saved_tensors
        return by_hidden * upstream[0], by_weight * upstream[0], None, None


class _TokenLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        matrix = weight.to(dtype)
        states = hidden.to(dtype)
        rows = chunk_rows(len(weight), hidden.device)
        parts = [
            torch.log_softmax((states[start : start + rows] @ matrix.T).float(), -1).gather(
                1, targets[start : start + rows, None]
            )[:, 0]
            for start in range(0, len(states), rows)
        ]
        ctx.save_for_backward(hidden, weight, targets)
        ctx.dtype = dtype
        return torch.cat(parts) if parts else hidden.new_zeros(0)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        hidden, weight, targets = ctx.saved_tensors
        matrix = weight.to(ctx.dtype)
        states = hidden.to(ctx.dtype)
        by_hidden = torch.empty_like(hidden, dtype=torch.float32)
        by_weight = torch.zeros_like(weight)
        rows = chunk_rows(len(weight), hidden.device)
        for start in range(0, len(states), rows):
            chunk, picked = states[start : start + rows], targets[start : start + rows]
            gradient = _minus_one_hot(_softmax(chunk, matrix, picked)[0], picked)
            gradient = gradient * -upstream[0][start : start + rows, None].to(ctx.dtype)
            by_hidden[start : start + rows] = gradient @ matrix
            by_weight += gradient.T @ chunk
        return by_hidden, by_weight, None, None
