"""script_loss: a set's unlikelihood and the hold are what plain autograd makes of their formulas, and lose nothing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from watari.train import script_loss as module
from watari.train.script_loss import Held, held, script_loss

WIDTH, TOKENS = 6, 90


def made(seed: int, n: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return hidden states, an output matrix, the wrong tokens of two sequences, and whose each position is."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, WIDTH, generator=draw)
    weight = torch.randn(TOKENS, WIDTH, generator=draw)
    wrong = torch.rand(2, TOKENS, generator=draw) < 0.3
    return hidden, weight, wrong, torch.arange(n) % 2


def plain(
    hidden: Tensor, weight: Tensor, wrong: Tensor, owner: Tensor, before: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return M, -log(1 - M) and KL(q || r) over single tokens, in fp64; `before`: the hidden states of q."""
    mask = wrong[owner]
    scores = torch.log_softmax(hidden.double() @ weight.double().T, -1)
    mass = scores.exp().masked_fill(~mask, 0.0).sum(-1)
    now = torch.log_softmax((hidden.double() @ weight.double().T).masked_fill(mask, -1e30), -1)
    then = torch.log_softmax((before.double() @ weight.double().T).masked_fill(mask, -1e30), -1)
    return mass, -torch.log1p(-mass), (then.exp() * (then - now)).masked_fill(mask, 0.0).sum(-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 3.0]), st.sampled_from([0.0, 1.0, 0.5]))
def test_loss_and_gradient_are_those_of_the_formulas(seed: int, unlikely: float, hold: float) -> None:
    hidden, weight, wrong, owner = made(seed)
    earlier = hidden + 0.3 * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(seed + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIKELIEST", TOKENS)
        patch.setattr(module, "chunk_rows", lambda *_: 3)
        before = held(earlier, weight, wrong, owner)
        own, matrix = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        found = script_loss(own, matrix, wrong, owner, before, unlikely=unlikely, hold=hold)
    (2.0 * found.loss).backward()
    states, table = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    mass, single, drift = plain(states, table, wrong, owner, earlier)
    loss = unlikely * single.sum() + hold * _held_to(states, table, wrong, owner, before).sum()
    (2.0 * loss).backward()
    assert float(found.loss.detach()) == pytest.approx(float(loss.detach()), rel=1e-5, abs=1e-5)
    assert found.mass == pytest.approx(mass.detach(), rel=1e-5, abs=1e-9)
    assert found.drift == pytest.approx(drift.detach(), rel=1e-3, abs=1e-5)
    for mine, other in ((own.grad, states.grad), (matrix.grad, table.grad)):
        assert mine is not None
        assert other is not None
        assert torch.allclose(mine, other.float(), rtol=1e-3, atol=2e-5)


def _held_to(hidden: Tensor, weight: Tensor, wrong: Tensor, owner: Tensor, before: Held) -> Tensor:
    """Return the hold of each position from the stored shares, by autograd's own operations."""
    scores = (hidden.double() @ weight.double().T).masked_fill(wrong[owner], float("-inf"))
    now = torch.log_softmax(scores, -1).gather(1, before.ids)
    share = before.share.double()
    real = share > 0
    return torch.where(real, share * (share.clamp_min(1e-300).log() - now.masked_fill(~real, 0.0)), 0.0).sum(
        -1
    )


def test_both_together_are_the_distance_to_the_model_with_the_wrong_tokens_forbidden() -> None:
    hidden, weight, wrong, owner = made(3)
    before = held(hidden, weight, wrong, owner)
    moved = hidden + 0.2
    found = script_loss(moved, weight, wrong, owner, before, unlikely=1.0, hold=1.0)
    mask = wrong[owner]
    forbidden = torch.softmax((hidden @ weight.T).masked_fill(mask, float("-inf")), -1).double()
    now = torch.log_softmax((moved @ weight.T).double(), -1)
    whole = (torch.xlogy(forbidden, forbidden) - forbidden * now).sum()
    assert float(found.loss) == pytest.approx(float(whole), rel=1e-2)
    # Lumped together the rest can only seem nearer.
    assert float(found.loss) <= float(whole) + 1e-5


def test_what_has_not_moved_is_not_pulled() -> None:
    hidden, weight, wrong, owner = made(4)
    before = held(hidden, weight, wrong, owner)
    own = hidden.clone().requires_grad_()
    found = script_loss(own, weight, wrong, owner, before, unlikely=0.0, hold=1.0)
    found.loss.backward()
    assert float(found.loss.detach()) < 1e-5
    assert own.grad is not None
    assert float(own.grad.abs().max()) < 1e-5


def test_a_sequence_without_wrong_tokens_costs_nothing() -> None:
    hidden, weight, wrong, owner = made(5)
    before = held(hidden, weight, torch.zeros_like(wrong), owner)
    own = hidden.clone().requires_grad_()
    found = script_loss(own, weight, torch.zeros_like(wrong), owner, before, unlikely=1.0, hold=1.0)
    found.loss.backward()
    assert found.mass.tolist() == [0.0] * len(hidden)
    assert own.grad is not None
    assert bool(own.grad.isfinite().all())
    assert float(own.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("shift", [-40.0, 40.0])
def test_nothing_is_lost_at_either_end(shift: float) -> None:
    """A mass of e⁻⁴⁰ keeps its size, and one of 1 - e⁻⁴⁰ its loss and a gradient of 1."""
    weight = torch.tensor([[0.0], [shift]])
    wrong = torch.tensor([[False, True]])
    hidden = torch.ones(1, 1, requires_grad=True)
    before = Held(torch.tensor([[0]]), torch.ones(1, 1), torch.zeros(1))
    found = script_loss(
        hidden, weight, wrong, torch.zeros(1, dtype=torch.int64), before, unlikely=1.0, hold=1.0
    )
    found.loss.backward()
    assert float(found.loss.detach()) == pytest.approx(math.exp(-40) if shift < 0 else 40.0, rel=1e-5)
    assert hidden.grad is not None
    assert float(hidden.grad[0, 0]) == pytest.approx(shift * (math.exp(-40) if shift < 0 else 1.0), rel=1e-5)
