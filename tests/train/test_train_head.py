"""The chunked output layer against PyTorch's own losses: values, gradients, memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

import watari
from watari.train import head


def inputs(n: int, vocabulary: int, width: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(n * 1000 + vocabulary)
    hidden = torch.randn(n, width, generator=draw).requires_grad_()
    weight = torch.randn(vocabulary, width, generator=draw).requires_grad_()
    return hidden, weight, torch.randint(0, vocabulary, (n,), generator=draw)


@given(st.integers(1, 70), st.sampled_from([17, 1000]), st.sampled_from([1 << 12, 1 << 23]))
def test_cross_entropy_is_pytorchs(n: int, vocabulary: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "_CHUNK_CPU", chunk)
        hidden, weight, targets = inputs(n, vocabulary)
        ours = head.cross_entropy(hidden, weight, targets, torch.float32) / n
        ours.backward()
        got = hidden.grad, weight.grad
        hidden2, weight2, _ = inputs(n, vocabulary)
        theirs = torch_cross_entropy(hidden2 @ weight2.T, targets)
        theirs.backward()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[0], hidden2.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got[1], weight2.grad, atol=1e-5, rtol=1e-4)


@given(st.integers(1, 70), st.sampled_from([17, 1000]), st.sampled_from([1 << 12, 1 << 23]))
def test_token_logprobs_are_pytorchs_under_any_loss(n: int, vocabulary: int, chunk: int) -> None:
    def loss(each: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.logsigmoid(each.sum() / 10) + (each * torch.arange(n)).mean()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "_CHUNK_CPU", chunk)
        hidden, weight, targets = inputs(n, vocabulary)
        ours = head.token_logprobs(hidden, weight, targets, torch.float32)
        loss(ours).backward()
        got = hidden.grad, weight.grad
    hidden2, weight2, _ = inputs(n, vocabulary)
    theirs = torch.log_softmax(hidden2 @ weight2.T, -1)[torch.arange(n), targets]
    loss(theirs).backward()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[0], hidden2.grad, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(got[1], weight2.grad, atol=2e-4, rtol=1e-3)


def test_bf16_is_as_near_as_pytorchs_autocast() -> None:
    hidden, weight, targets = inputs(300, 2000)
    exact = torch_cross_entropy(hidden @ weight.T, targets)
    (exact_grad,) = torch.autograd.grad(exact, weight)
    with torch.autocast("cpu", torch.bfloat16):
        stock = torch_cross_entropy((hidden @ weight.T).float(), targets)
    (stock_grad,) = torch.autograd.grad(stock, weight)
    ours = head.cross_entropy(hidden, weight, targets, torch.bfloat16) / 300
    (our_grad,) = torch.autograd.grad(ours, weight)
    assert abs((ours - exact).item()) < 2 * abs((stock - exact).item()) + 1e-3
    assert float((our_grad - exact_grad).norm()) < 1.5 * float((stock_grad - exact_grad).norm())


def test_large_logits_stay_finite() -> None:
    hidden, weight, targets = inputs(20, 50)
    for dtype in (torch.float32, torch.bfloat16):
        loss = head.cross_entropy(hidden * 300, weight, targets, dtype)
        assert torch.isfinite(loss)
        torch.testing.assert_close(
            loss.item(), torch_cross_entropy(hidden * 300 @ weight.T, targets).item() * 20, rtol=0.02, atol=0
        )


def test_no_position_gives_no_loss() -> None:
    hidden, weight, targets = inputs(1, 17)
    for function in (head.cross_entropy, head.token_logprobs):
        value = function(hidden[:0], weight, targets[:0], torch.float32).sum()
        value.backward()
        assert value.item() == 0
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) == 0


def test_logits_of_a_large_vocabulary_stay_small() -> None:
    """4096 positions x 120,128 ids are 1.97 GB of fp32 logits, several times over in a plain loss."""
    code = (
        "import torch; from watari.peak import peak_memory; from watari.train.head import cross_entropy\n"
        "torch.set_num_threads(1)\n"
        "peak = lambda: peak_memory() / 2**20\n"
        "hidden = torch.randn(4096, 8, requires_grad=True); weight = torch.randn(120128, 8, requires_grad=True)\n"
        "targets = torch.zeros(4096, dtype=torch.long); cross_entropy(hidden[:16], weight, targets[:16], torch.bfloat16)\n"
        "before = peak(); cross_entropy(hidden, weight, targets, torch.bfloat16).backward(); print(peak() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert float(done.stdout) < 256


@pytest.mark.parametrize("z_loss", [0.0, 0.3])
@pytest.mark.parametrize("chunk", [1 << 12, 1 << 25])
def test_z_loss_is_the_squared_log_normaliser(
    z_loss: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_CHUNK_CPU", chunk)
    hidden, weight, targets = inputs(50, 1000)
    found = head.scores(hidden, weight, targets, torch.float32, z_loss=z_loss)
    ours = torch.autograd.grad(found.loss / 50, (hidden, weight))
    logits = hidden @ weight.T
    z = z_loss * torch.logsumexp(logits, -1).square().sum()
    loss = torch_cross_entropy(logits, targets, reduction="sum") + z
    torch.testing.assert_close(found.loss, loss, atol=0, rtol=1e-5)
    torch.testing.assert_close(found.z, z.detach(), atol=1e-6, rtol=1e-5)
    assert not found.z.requires_grad
    for mine, theirs in zip(ours, torch.autograd.grad(loss / 50, (hidden, weight)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert torch.equal(found.loss, head.cross_entropy(hidden, weight, targets, torch.float32, z_loss=z_loss))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_targets_of_vanishing_probability_keep_their_loss(dtype: torch.dtype) -> None:
    """Their probability underflows, the logarithm of it must not."""
    hidden = torch.eye(3, 16).requires_grad_()
    weight = torch.zeros(50, 16)
    weight[7, 0], weight[8, 1] = 120.0, 96.0
    weight.requires_grad_()
    targets = torch.tensor([3, 4, 5])
    found = head.scores(hidden, weight, targets, dtype, z_loss=1.0)
    plain = torch_cross_entropy(hidden @ weight.T, targets, reduction="sum")
    z = torch.logsumexp(hidden @ weight.T, -1).square().sum()
    torch.testing.assert_close(found.loss, plain + z, rtol=1e-3, atol=0)
    each = head.token_logprobs(hidden, weight, targets, dtype)
    torch.testing.assert_close(-each.sum(), plain, rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_softmax_may_be_written_over_its_input(dtype: torch.dtype) -> None:
    """The head counts on it."""
    for width in (1, 17, 1000, 43_176):
        logits = (torch.randn(5, width, generator=torch.Generator().manual_seed(width)) * 5).to(dtype)
        expected = torch.softmax(logits, -1)
        assert torch.equal(torch.softmax(logits, -1, out=logits), expected)


@pytest.mark.parametrize("function", [head.cross_entropy, head.token_logprobs])
@pytest.mark.parametrize("trained", ["hidden", "weight"])
def test_what_is_frozen_costs_no_product(function: Callable[..., torch.Tensor], trained: str) -> None:
    class Products(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            self.count += func.overloadpacket.__name__ == "mm"
            return func(*args, **(kwargs or {}))

    hidden, weight, targets = inputs(20, 50)
    both = torch.autograd.grad(function(hidden, weight, targets, torch.float32).sum(), (hidden, weight))
    (weight if trained == "hidden" else hidden).requires_grad_(False)
    with Products() as products:
        function(hidden, weight, targets, torch.float32).sum().backward()
    assert products.count == 2
    assert (hidden.grad is None, weight.grad is None) == (trained == "weight", trained == "hidden")
    torch.testing.assert_close(*((hidden.grad, both[0]) if trained == "hidden" else (weight.grad, both[1])))


def test_one_loss_has_one_backward() -> None:
    hidden, weight, targets = inputs(20, 50)
    loss = head.cross_entropy(hidden, weight, targets, torch.float32)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("function", [head.cross_entropy, head.token_logprobs])
def test_gradients_repeat_to_the_bit(function: Callable[..., torch.Tensor], dtype: torch.dtype) -> None:
    found = []
    for _ in range(2):
        hidden, weight, targets = inputs(300, 2000)
        value = function(hidden, weight, targets, dtype)
        found.append([value.detach(), *torch.autograd.grad(value.sum(), (hidden, weight))])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
