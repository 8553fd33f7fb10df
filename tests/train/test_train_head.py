"""The chunked output layer against PyTorch's own losses: values, gradients, memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy as torch_cross_entropy

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
        "import resource, torch; from watari.train.head import cross_entropy; torch.set_num_threads(1)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "hidden = torch.randn(4096, 8, requires_grad=True); weight = torch.randn(120128, 8, requires_grad=True)\n"
        "targets = torch.zeros(4096, dtype=torch.long); cross_entropy(hidden[:16], weight, targets[:16], torch.bfloat16)\n"
        "before = peak(); cross_entropy(hidden, weight, targets, torch.bfloat16).backward(); print(peak() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert float(done.stdout) < 256
