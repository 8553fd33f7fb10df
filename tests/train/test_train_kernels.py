"""Each kernel against the plain form: values and gradients, in fp64 by finite differences and in fp32 beside transformers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.functional import linear, silu
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.models.llama.modeling_llama import (
    LlamaRMSNorm,
    apply_rotary_pos_emb,
    eager_attention_forward,
)

from watari.train.kernels import attention
from watari.train.kernels.attention import Span, attend, rotated_heads
from watari.train.kernels.gated import gated_down
from watari.train.kernels.linear import project
from watari.train.kernels.norm import rms_norm
from watari.train.kernels.sums import add_into

F64 = torch.float64


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    draw = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=draw, dtype=F64).to(dtype).requires_grad_()


def compare(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Values and all gradients in fp32 agree to 1e-5 (relative to the largest of each)."""
    found = []
    for function in (ours, plain):
        leaves = [each.detach().float().requires_grad_() for each in inputs]
        out = function(*leaves)
        weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
        found.append([out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)])
    for ours_, plain_ in zip(*found, strict=True):
        torch.testing.assert_close(ours_, plain_, rtol=0, atol=1e-5 * max(1.0, float(plain_.abs().max())))


def test_rms_norm() -> None:
    states, weight = drawn(5, 8), drawn(8)
    assert gradcheck(lambda x, w: rms_norm(x, w, 1e-5, F64), (states, weight))

    def plain(x: Tensor, w: Tensor) -> Tensor:
        module = LlamaRMSNorm(8, 1e-5)
        del module.weight
        module.weight = w  # type: ignore[assignment]
        out: Tensor = module(x)
        return out

    compare(lambda x, w: rms_norm(x, w, 1e-5, torch.float32), plain, states, weight)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_project(count: int, biased: bool) -> None:
    states = drawn(5, 8)
    weights = [drawn(4 + index, 8, seed=index) for index in range(count)]
    biases = [drawn(4 + index, seed=9) for index in range(count)] if biased else []

    def ours(dtype: torch.dtype) -> Callable[..., Tensor]:
        return lambda x, *rest: project(x, rest[:count], rest[count:] or [None] * count, dtype)

    def plain(x: Tensor, *rest: Tensor) -> Tensor:
        bias = rest[count:] or [None] * count
        return torch.cat([linear(x, w, b) for w, b in zip(rest[:count], bias, strict=True)], -1)

    assert gradcheck(ours(F64), (states, *weights, *biases))
    compare(ours(torch.float32), plain, states, *weights, *biases)


def test_gated_down() -> None:
    inputs = drawn(5, 12), drawn(4, 6)
    assert gradcheck(lambda x, w: gated_down(x, w, F64), inputs)
    compare(
        lambda x, w: gated_down(x, w, torch.float32),
        lambda x, w: linear(silu(x[:, :6]) * x[:, 6:], w),
        *inputs,
    )


class _Products(TorchDispatchMode):
    """Counts matrix products."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += func.overloadpacket.__name__ in ("mm", "addmm")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("frozen", [(), (0,), (0, 1), (0, 1, 2)])
def test_frozen_weights_cost_no_product(frozen: tuple[int, ...]) -> None:
    states, weights = drawn(5, 8), [drawn(4, 8, seed=index) for index in range(3)]
    down = drawn(3, 6).requires_grad_(1 not in frozen)
    for index in frozen:
        weights[index].requires_grad_(False)
    with _Products() as products:
        gated_down(project(states, weights, [None] * 3, F64), down, F64).sum().backward()
    assert [weight.grad is None for weight in weights] == [index in frozen for index in range(3)]
    # Two forward and two backward through the states; one for `down`, one for all three weights or one for each.
    assert products.count == 4 + (down.requires_grad) + (1 if not frozen else 3 - len(frozen))
    whole = linear(states.detach(), torch.cat([weight.detach().requires_grad_() for weight in weights]))
    torch.testing.assert_close(project(states, weights, [None] * 3, F64), whole)


def rotary(columns: int, size: int, rows: int = 1) -> tuple[Tensor, Tensor]:
    angles = torch.rand(rows, columns, size // 2, generator=torch.Generator().manual_seed(0), dtype=F64) * 6
    both = torch.cat([angles, angles], -1)
    return both.cos(), both.sin()


@pytest.mark.parametrize("keys", [1, 2, 4])
def test_rotated_heads(keys: int) -> None:
    heads, size, rows, columns = 4, 6, 2, 3
    projected = drawn(rows, columns, (heads + 2 * keys) * size)
    cosine, sine = rotary(columns, size, rows)
    assert gradcheck(lambda x: rotated_heads(x, cosine, sine, heads=heads, keys=keys), (projected,))

    def ours(x: Tensor) -> Tensor:
        return torch.cat(rotated_heads(x, cosine.float(), sine.float(), heads=heads, keys=keys), 1)

    def plain(x: Tensor) -> Tensor:
        parts = x.view(rows, columns, -1, size).transpose(1, 2).split([heads, keys, keys], 1)
        return torch.cat(
            [*apply_rotary_pos_emb(parts[0], parts[1], cosine.float(), sine.float()), parts[2]], 1
        )

    compare(ours, plain, projected)


def masked_attention(spans: tuple[Span, ...], mask: Tensor | None, heads: int) -> Callable[..., Tensor]:
    """transformers' eager attention with the mask that the spans mean; nothing where no span is."""

    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        rows, keys, columns, _ = key.shape
        seen = torch.zeros(rows, 1, columns, columns, dtype=torch.bool)
        inside = torch.zeros(rows, columns, 1)
        for span in spans:
            seen[span.rows, :, span.columns, span.columns] = True
            inside[span.rows, span.columns] = 1
        seen = seen.tril() if mask is None else mask
        module = nn.Module()
        module.num_key_value_groups = heads // keys  # type: ignore[assignment]
        additive = torch.zeros(seen.shape).masked_fill(~seen, -1e9)
        out, _ = eager_attention_forward(module, query, key, value, additive, scaling=0.4)
        return out.flatten(2) * inside

    return plain


WHOLE = (Span(slice(0, 2), slice(0, 7)),)
PACKED = (
    Span(slice(0, 1), slice(0, 3)),
    Span(slice(0, 1), slice(3, 7)),
    Span(slice(1, 2), slice(0, 1)),
    Span(slice(1, 2), slice(1, 6)),
)


@pytest.mark.parametrize("kept", [0, 1 << 20], ids=["computed again", "kept"])
@pytest.mark.parametrize("block", [3, 64])
@pytest.mark.parametrize("layout", ["padded", "packed", "masked"])
@pytest.mark.parametrize(("heads", "keys"), [(2, 2), (4, 2), (2, 1)])
def test_attend(
    heads: int, keys: int, layout: str, block: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_BLOCK", block)
    monkeypatch.setattr(attention, "_KEPT", kept)
    inputs = drawn(2, heads, 7, 4), drawn(2, keys, 7, 4, seed=1), drawn(2, keys, 7, 4, seed=2)
    spans = PACKED if layout == "packed" else WHOLE
    mask = None
    if layout == "masked":
        draw = torch.Generator().manual_seed(3)
        mask = (torch.rand(2, 1, 7, 7, generator=draw) < 0.5).tril() | torch.eye(7, dtype=torch.bool)
    if block == 3:
        assert gradcheck(lambda q, k, v: attend(q, k, v, spans, 0.4, mask), inputs, fast_mode=True)
    compare(lambda q, k, v: attend(q, k, v, spans, 0.4, mask), masked_attention(spans, mask, heads), *inputs)


def test_attend_is_bit_for_bit_the_same_kept_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kept in (0, 1 << 20, 1 << 20):
        monkeypatch.setattr(attention, "_KEPT", kept)
        inputs = [drawn(3, 2, 150, 16, seed=index, dtype=torch.bfloat16) for index in range(3)]
        out = attend(*inputs, (Span(slice(0, 3), slice(0, 150)),), 0.25)
        found.append([out, *torch.autograd.grad(out.float().square().sum(), inputs)])
    assert all(torch.equal(one, two) for other in found[1:] for one, two in zip(found[0], other, strict=True))


@pytest.mark.parametrize("rows", [1, 3000])
def test_add_into_is_plain_addition(rows: int) -> None:
    total = drawn(rows, 300, dtype=torch.float32).detach()
    part = drawn(rows, 300, seed=1, dtype=torch.bfloat16).detach()
    expected = total + part
    add_into(total, part)
    assert torch.equal(total, expected)
