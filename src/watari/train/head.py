"""From hidden states to losses, without ever holding all logits.

Only supervised positions reach the output matrix (facts/training.md §1: 5x on conversations, where 3-5 % of the tokens
are supervised), and they reach it in chunks, for any vocabulary: at most 128 MiB of fp32 logits on a CPU, 256 MiB on a
GPU. One buffer a call holds a chunk's logits, then its probabilities, then its gradient.

Products are taken in the compute type, sums over chunks in fp32. On a GPU, Liger's fused kernel takes the place of the
sum where `liger-kernel` is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from watari.train.kernels.gpu_head import linear_cross_entropy
from watari.train.kernels.sums import add_into

_CHUNK_CPU = 1 << 25
_CHUNK_GPU = 1 << 26
_WIDENED = 1 << 22
_FAINT = 1e-30
"""Below it, a probability may be subnormal and its logarithm is not to be trusted."""


def chunk_rows(vocabulary: int, device: torch.device) -> int:
    """Return how many positions are scored at once."""
    return max(16, (_CHUNK_GPU if device.type == "cuda" else _CHUNK_CPU) // vocabulary)


@dataclass(frozen=True)
class Scores:
    """What the positions of a pass came to.

    Args:
        loss: Scalar: summed cross-entropy plus `z`; differentiable.
        z: Scalar: the share of the z-loss in it, for the log; not differentiable.
    """

    loss: Tensor
    z: Tensor


def cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, *, z_loss: float = 0.0
) -> Tensor:
    """Return the summed cross-entropy of `targets`, as a scalar, differentiable in `hidden` and `weight`.

    Args:
        hidden: [n, width] last hidden states of the supervised positions.
        weight: [vocabulary, width] output matrix, fp32.
        targets: [n] ids.
        dtype: Type of the matrix products.
        z_loss: Weight of the sum of squared log-normalisers, log² Σ exp(logits), which is added (PaLM,
            arXiv:2204.02311, §5: 1e-4).
    """
    return scores(hidden, weight, targets, dtype, z_loss=z_loss).loss


def scores(
    hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, *, z_loss: float = 0.0
) -> Scores:
    """Return what `cross_entropy` returns, and beside it the z-loss alone."""
    if fused := linear_cross_entropy(hidden, weight, targets, dtype, z_loss):
        return Scores(*fused)
    loss, z = _CrossEntropy.apply(hidden, weight, targets, dtype, z_loss)  # type: ignore[no-untyped-call]
    return Scores(loss, z)


def token_logprobs(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Return log p(target) of each position, [n] in fp32, differentiable in `hidden` and `weight`.

    For losses that are not a plain sum. The normaliser is summed in fp32. Backward computes the logits a second time
    unless they all fit into one chunk.
    """
    logprobs: Tensor = _TokenLogProbs.apply(hidden, weight, targets, dtype)  # type: ignore[no-untyped-call]
    return logprobs


class _CrossEntropy(torch.autograd.Function):
    """The gradient of a plain sum does not depend on what follows it, so it is taken while the chunk is at hand."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, z_loss: float
    ) -> tuple[Tensor, Tensor]:
        for_hidden, for_weight = ctx.needs_input_grad[:2]
        matrix, states = weight.to(dtype), hidden.to(dtype)
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        squares = torch.zeros_like(total)
        by_hidden = torch.empty_like(hidden, dtype=torch.float32) if for_hidden else None
        by_weight = _WeightGradient(weight, dtype) if for_weight else None
        buffer = _Buffer(len(states), len(weight), states)
        for start, stop in buffer.chunks:
            chunk, picked = states[start:stop], targets[start:stop]
            logits = torch.mm(chunk, matrix.T, out=buffer.rows(stop - start))
            index = picked[:, None]
            chosen = logits.gather(1, index)[:, 0].float()
            # Each row is read before it is written: the same bits as with a second buffer (a test holds this).
            probabilities = torch.softmax(logits, -1, out=logits)
            likelihood = probabilities.gather(1, index)[:, 0].float()
            logprobs = likelihood.log()
            faint = likelihood < _FAINT
            normaliser = chosen - logprobs
            if bool(faint.any()):
                exact = torch.logsumexp((chunk[faint] @ matrix.T).float(), -1)
                normaliser[faint] = exact
                logprobs[faint] = chosen[faint] - exact
            total -= logprobs.double().sum()
            if z_loss:
                squares += normaliser.double().square().sum()
                if for_hidden or for_weight:
                    probabilities *= (1 + 2 * z_loss * normaliser)[:, None].to(dtype)
            if for_hidden or for_weight:
                gradient = _minus_one(probabilities, picked)
            if by_hidden is not None:
                by_hidden[start:stop] = gradient @ matrix
            if by_weight is not None:
                by_weight.add(gradient, chunk)
        ctx.by_hidden, ctx.by_weight = by_hidden, None if by_weight is None else by_weight.total()
        z = (z_loss * squares).float()
        ctx.mark_non_differentiable(z)
        ctx.hidden_dtype = hidden.dtype
        return total.float() + z, z

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        by_hidden, by_weight = ctx.by_hidden, ctx.by_weight
        # Scaled in place and given away: a second backward over the same loss would find nothing.
        ctx.by_hidden = ctx.by_weight = None
        wanted = zip(ctx.needs_input_grad[:2], (by_hidden, by_weight), strict=True)
        if any(needed and found is None for needed, found in wanted):
            raise RuntimeError("backward a second time over one cross-entropy: compute it again")
        if by_hidden is not None:
            by_hidden = by_hidden.mul_(upstream[0]).to(ctx.hidden_dtype)
        if by_weight is not None:
            by_weight.mul_(upstream[0])
        return by_hidden, by_weight, None, None, None


class _TokenLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        matrix, states = weight.to(dtype), hidden.to(dtype)
        buffer = _Buffer(len(states), len(weight), states)
        logprobs = torch.empty(len(states), dtype=torch.float32, device=hidden.device)
        for start, stop in buffer.chunks:
            logits = torch.mm(states[start:stop], matrix.T, out=buffer.rows(stop - start))
            chosen = logits.gather(1, targets[start:stop, None])[:, 0].float()
            logprobs[start:stop] = chosen - _log_normaliser(logits)
        ctx.save_for_backward(hidden, weight, targets)
        ctx.dtype = dtype
        ctx.logits = logits if len(buffer.chunks) == 1 and any(ctx.needs_input_grad) else None
        return logprobs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        hidden, weight, targets = ctx.saved_tensors
        for_hidden, for_weight = ctx.needs_input_grad[:2]
        matrix, states = weight.to(ctx.dtype), hidden.to(ctx.dtype)
        by_hidden = torch.empty_like(hidden) if for_hidden else None
        by_weight = _WeightGradient(weight, ctx.dtype) if for_weight else None
        kept, ctx.logits = ctx.logits, None
        buffer = _Buffer(len(states), len(weight), states) if kept is None else _Buffer.of(kept)
        for start, stop in buffer.chunks:
            chunk, logits = states[start:stop], buffer.rows(stop - start)
            if kept is None:
                torch.mm(chunk, matrix.T, out=logits)
            gradient = _minus_one(torch.softmax(logits, -1, out=logits), targets[start:stop])
            gradient *= -upstream[0][start:stop, None].to(ctx.dtype)
            if by_hidden is not None:
                by_hidden[start:stop] = gradient @ matrix
            if by_weight is not None:
                by_weight.add(gradient, chunk)
        return by_hidden, None if by_weight is None else by_weight.total(), None, None


def _log_normaliser(logits: Tensor) -> Tensor:
    """Return log Σ exp(logits) of each row in fp32, whatever the logits' type, a few rows at a time."""
    rows = max(1, _WIDENED // logits.shape[1])
    parts = [
        torch.logsumexp(logits[start : start + rows].float(), -1) for start in range(0, len(logits), rows)
    ]
    return torch.cat(parts)


def _minus_one(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Turn probabilities into the gradient of -log p(target) by the logits, in place."""
    rows = torch.arange(len(targets), device=targets.device)
    probabilities[rows, targets] -= 1
    return probabilities


class _Buffer:
    """Room for one chunk of logits. Used again for every chunk: fresh pages cost more than the softmax.

    Args:
        positions: Of all chunks, which are as equal as can be.
        vocabulary: Length of a row.
        like: Gives type and device.
    """

    def __init__(self, positions: int, vocabulary: int, like: Tensor) -> None:
        number = -(-positions // chunk_rows(vocabulary, like.device))
        size = -(-positions // number) if number else 0
        self.chunks = [(start, min(start + size, positions)) for start in range(0, positions, size or 1)]
        self._room = like.new_empty(size, vocabulary)

    @classmethod
    def of(cls, logits: Tensor) -> _Buffer:
        """Return the buffer of a single chunk whose logits are known."""
        buffer = cls(0, logits.shape[1], logits)
        buffer.chunks, buffer._room = [(0, len(logits))], logits
        return buffer

    def rows(self, count: int) -> Tensor:
        """Return the first rows of the buffer."""
        return self._room[:count]


class _WeightGradient:
    """The output matrix's gradient, summed over chunks in fp32."""

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self._total = torch.empty_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        self._product = torch.empty_like(weight, dtype=dtype)
        self._empty = True

    def add(self, gradient: Tensor, states: Tensor) -> None:
        """Add one chunk's product."""
        torch.mm(gradient.T, states, out=self._product)
        if self._empty:
            self._total.copy_(self._product)
        else:
            add_into(self._total, self._product)
        self._empty = False

    def total(self) -> Tensor:
        """Return the sum; nothing may be added after it."""
        return self._total.zero_() if self._empty else self._total
