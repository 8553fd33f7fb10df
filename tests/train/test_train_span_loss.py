"""The loss of single tokens: what plain autograd gives in fp64, and finite where p rounds to 0 or 1."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from watari.train import span_loss as module
from watari.train.span_loss import span_loss


def reference(
    hidden: Tensor, weight: Tensor, targets: Tensor, bad: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss as it is written down, and the log-odds."""
    logp = torch.log_softmax(hidden @ weight.T, -1).gather(1, targets[:, None])[:, 0]
    each = torch.where(bad, -torch.log1p(-logp.exp()), -logp)
    return (scale * each).sum(), logp - torch.log1p(-logp.exp())


@pytest.mark.parametrize("chunk", [1 << 25, 3 * 29, 29])
def test_loss_and_gradients_are_those_of_autograd(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "chunk_rows", lambda vocabulary, device: max(1, chunk // vocabulary))
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(11, 7, generator=draw)
    weight = torch.randn(29, 7, generator=draw)
    targets = torch.randint(0, 29, (11,), generator=draw)
    bad = torch.rand(11, generator=draw) < 0.5
    scale = torch.rand(11, generator=draw)
    assert 0 < int(bad.sum()) < 11
    ours = [tensor.clone().requires_grad_() for tensor in (hidden, weight)]
    loss, odds = span_loss(*ours, targets, bad, scale)
    (2.5 * loss).backward()
    plain = [tensor.double().requires_grad_() for tensor in (hidden, weight)]
    expected, wanted = reference(*plain, targets, bad, scale.double())
    (2.5 * expected).backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    torch.testing.assert_close(odds.double(), wanted.detach(), atol=1e-5, rtol=1e-5)
    for own, other in zip(ours, plain, strict=True):
        assert own.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(own.grad.double(), other.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gap", [-200.0, -40.0, -(2.0**-10), 0.0, 2.0**-10, 20.0, 40.0, 200.0])
def test_nothing_is_lost_at_the_ends(gap: float) -> None:
    """Two tokens: log-odds are the gap of their logits; log1mexp in fp32 would give 0 or infinity at ±20 and more."""
    weight = torch.tensor([[1.0], [0.0]]).requires_grad_()
    hidden = torch.full((2, 1), gap).requires_grad_()
    targets, bad = torch.tensor([0, 0]), torch.tensor([True, False])
    loss, odds = span_loss(hidden, weight, targets, bad, torch.ones(2))
    loss.backward()
    assert odds.tolist() == [gap, gap]
    exact = max(gap, 0) + math.log1p(math.exp(-abs(gap)))
    assert float(loss.detach()) == pytest.approx(exact + exact - gap, rel=1e-6, abs=1e-30)
    p = 1 / (1 + math.exp(-gap)) if gap > 0 else math.exp(gap) / (1 + math.exp(gap))
    assert hidden.grad is not None
    assert hidden.grad[:, 0].tolist() == pytest.approx(
        [p, -1 / (1 + math.exp(gap)) if gap < 0 else -math.exp(-gap) / (1 + math.exp(-gap))],
        rel=1e-5,
        abs=1e-30,
    )


def test_states_of_a_lower_type_are_scored_in_fp32() -> None:
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(4, 8, generator=draw).bfloat16().requires_grad_()
    weight = torch.randn(50, 8, generator=draw).requires_grad_()
    targets, bad = torch.tensor([1, 2, 3, 4]), torch.tensor([True, False, True, False])
    with torch.autocast("cpu", torch.bfloat16):
        loss, odds = span_loss(hidden, weight, targets, bad, torch.ones(4))
    loss.backward()
    exact = span_loss(hidden.detach().float(), weight.detach(), targets, bad, torch.ones(4))
    assert float(loss.detach()) == float(exact[0])
    assert torch.equal(odds, exact[1])
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
