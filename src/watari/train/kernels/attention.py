"""Causal attention over rows that hold one sequence or several, and the rotary embedding before it (arXiv:2104.09864).

For CPUs: plain matrix products by blocks of queries, each against the keys up to its end, so that what the mask would
hide is mostly not computed; and each sequence of a packed row by itself, so that no mask is needed between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_BLOCK = 128
_KEPT = 1 << 24
"""Probabilities of one layer that are kept for backward, at most; with more, they are computed again."""


@dataclass(frozen=True)
class Span:
    """Sequences of one length at the same place of neighbouring rows.

    Args:
        rows: The rows.
        columns: Their positions.
    """

    rows: slice
    columns: slice


def rotated_heads(
    projected: Tensor, cosine: Tensor, sine: Tensor, *, heads: int, keys: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries [rows, heads, columns, size], keys and values [rows, keys, columns, size] in the type given.

    Queries and keys are rotated in fp32 and rounded once.

    Args:
        projected: [rows, columns, (heads + 2 · keys) · size]: queries, keys, values side by side.
        cosine, sine: [rows or 1, columns, size] of each position, fp32; both halves are equal.
        heads: Number of query heads.
        keys: Number of key heads.
    """
    out: tuple[Tensor, Tensor, Tensor] = _RotatedHeads.apply(projected, cosine, sine, heads, keys)  # type: ignore[no-untyped-call]
    return out


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: tuple[Span, ...],
    scale: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Return causal attention within each span, [rows, columns, heads · size]; zero where no span is.

    Args:
        query: [rows, heads, columns, size].
        key, value: [rows, keys, columns, size]; `heads` is a multiple of `keys`.
        spans: The sequences; they do not overlap.
        scale: Factor of the products of queries and keys.
        mask: [rows, 1, columns, columns] True where a query sees a key, itself included and none behind it; or None:
            each sees all before it in its span.
    """
    out: Tensor = _Attend.apply(query, key, value, spans, scale, mask)  # type: ignore[no-untyped-call]
    return out


class _RotatedHeads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, cosine: Tensor, sine: Tensor, heads: int, keys: int
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(cosine, sine)
        ctx.sizes = heads, keys
        rows, columns, width = projected.shape
        parts = projected.view(rows, columns, heads + 2 * keys, width // (heads + 2 * keys))
        turned = _rotate(parts[:, :, : heads + keys].to(cosine.dtype), cosine, sine)
        found = (turned[:, :, :heads], turned[:, :, heads:], parts[:, :, heads + keys :])
        return tuple(
            torch.empty_like(part.transpose(1, 2), dtype=projected.dtype, memory_format=torch.contiguous_format)
            .copy_(part.transpose(1, 2))
            for part in found
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        cosine, sine = ctx.saved_tensors
        heads, keys = ctx.sizes
        rows, _, columns, size = upstream[0].shape
        both = upstream[0].new_empty((rows, columns, heads + keys, size), dtype=cosine.dtype)
        both[:, :, :heads].copy_(upstream[0].transpose(1, 2))
        both[:, :, heads:].copy_(upstream[1].transpose(1, 2))
        out = upstream[0].new_empty((rows, columns, heads + 2 * keys, size))
        out[:, :, : heads + keys].copy_(_rotate(both, cosine, -sine))
        out[:, :, heads + keys :].copy_(upstream[2].transpose(1, 2))
        return out.flatten(2), None, None, None, None


def _rotate(parts: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Return [rows, columns, heads, size] turned by the angle of each position; `parts` is left as it is."""
    half = parts.shape[-1] // 2
    cosine, sine = cosine[:, :, None], sine[:, :, None, :half]
    turned = parts * cosine
    turned[..., :half].addcmul_(parts[..., half:], sine, value=-1)
    turned[..., half:].addcmul_(parts[..., :half], sine)
    return turned


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        spans: tuple[Span, ...],
        scale: float,
        mask: Tensor | None,
    ) -> Tensor:
        rows, heads, columns, size = query.shape
        out = query.new_zeros(rows, columns, heads, size)
        blocks = [_Blocks(query, key, value, span, scale, mask) for span in spans]
        total = sum(each.area for each in blocks)
        keep = any(ctx.needs_input_grad) and total <= _KEPT
        kept: list[Tensor] = []
        for span, each in zip(spans, blocks, strict=True):
            place = out[span.rows, span.columns].transpose(1, 2)
            for start in each.starts:
                probabilities = each.probabilities(start)
                each.part(place, start).copy_(each.product(probabilities, each.values(start)))
                if keep:
                    kept.append(probabilities)
        ctx.save_for_backward(query, key, value, mask, *kept)
        ctx.spans, ctx.scale = spans, scale
        return out.flatten(2)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        query, key, value, mask, *kept = ctx.saved_tensors
        rows, heads, columns, size = query.shape
        above = upstream[0].view(rows, columns, heads, size)
        by_query, by_key, by_value = (torch.zeros_like(each) for each in (query, key, value))
        number = 0
        for span in ctx.spans:
            each = _Blocks(query, key, value, span, ctx.scale, mask)
            sums = [torch.zeros_like(each.key, dtype=each.wide) for _ in range(2)]
            out = by_query[span.rows, :, span.columns]
            incoming = above[span.rows, span.columns].transpose(1, 2)
            for start in each.starts:
                probabilities = kept[number] if kept else each.probabilities(start)
                number += 1
                arriving = each.folded(each.part(incoming, start))
                end = each.end(start)
                by_probabilities = torch.bmm(arriving, each.values(start).transpose(1, 2))
                by_scores = torch.ops.aten._softmax_backward_data(
                    by_probabilities, probabilities, -1, probabilities.dtype
                )
                each.part(out, start).copy_(each.product(by_scores, each.key[:, :end], ctx.scale))
                queries = each.folded(each.part(each.query, start))
                sums[0][:, :end] += _scaled(by_scores.transpose(1, 2), queries, ctx.scale)
                sums[1][:, :end] += torch.bmm(probabilities.transpose(1, 2), arriving)
            for total, place in zip(sums, (by_key, by_value), strict=True):
                target = place[span.rows, :, span.columns]
                target.copy_(total.view(target.shape))
        return by_query, by_key, by_value, None, None, None


class _Blocks:
    """One span's queries by blocks: [groups = rows · keys, ...], the query heads of a key head folded into its rows."""

    def __init__(
        self, query: Tensor, key: Tensor, value: Tensor, span: Span, scale: float, mask: Tensor | None
    ) -> None:
        self.query = query[span.rows, :, span.columns]
        rows, heads, length, size = self.query.shape
        self.key = key[span.rows, :, span.columns].reshape(-1, length, size)
        self._value = value[span.rows, :, span.columns].reshape(-1, length, size)
        self._groups = len(self.key)
        self._shape = rows, heads, size
        self._length = length
        self._scale = scale
        self._mask = None if mask is None else mask[span.rows, :, span.columns, span.columns]
        self.starts = range(0, length, _BLOCK)
        self.area = rows * heads * sum((self.end(start) - start) * self.end(start) for start in self.starts)
        self.wide = torch.promote_types(query.dtype, torch.float32)

    def end(self, start: int) -> int:
        """Return the end of the block that starts there."""
        return min(start + _BLOCK, self._length)

    def values(self, start: int) -> Tensor:
        """Return the values that the block sees."""
        return self._value[:, : self.end(start)]

    def part(self, whole: Tensor, start: int) -> Tensor:
        """Return the block of [rows, heads, columns, size]."""
        return whole[:, :, start : self.end(start)]

    def folded(self, block: Tensor) -> Tensor:
        """Return [rows, heads, columns, size] as [groups, heads a group · columns, size]."""
        return block.reshape(self._groups, -1, block.shape[-1])

    def product(self, weights: Tensor, vectors: Tensor, scale: float = 1.0) -> Tensor:
        """Return weights @ vectors, [rows, heads, columns, size]."""
        rows, heads, size = self._shape
        return _scaled(weights, vectors, scale).view(rows, heads, -1, size)

    def probabilities(self, start: int) -> Tensor:
        """Return the block's attention, [groups, heads a group · columns, end]."""
        end = self.end(start)
        scores = _scaled(
            self.folded(self.part(self.query, start)), self.key[:, :end].transpose(1, 2), self._scale
        )
        if self._mask is None:
            corner = scores.view(self._groups, -1, end - start, end)[..., start:]
            hidden = torch.full(
                (end - start, end - start), -torch.inf, dtype=scores.dtype, device=scores.device
            )
            corner += hidden.triu_(1)
        else:
            rows, heads, _ = self._shape
            unseen = ~self._mask[:, :, start:end, :end]
            scores.view(rows, heads, end - start, end).masked_fill_(unseen, -torch.inf)
        return torch.softmax(scores, -1, out=scores)


def _scaled(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """Return scale · left @ right; the factor is applied before rounding."""
    if scale == 1.0:
        return torch.bmm(left, right)
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=scale)
