"""New rows at a rate of their own, and alone at first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from made_artifacts import as_input
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.train import pretrain
from watari.train.optimizer import NewRows, Optimizer
from watari.train.settings import TrainingParams

Shard = Callable[..., InputArtifact]


def _weights(seed: int = 0) -> dict[str, torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "table": torch.nn.Parameter(torch.randn(10, 4, generator=draw)),
        "matrix": torch.nn.Parameter(torch.randn(4, 4, generator=draw)),
        "norm": torch.nn.Parameter(torch.randn(4, generator=draw)),
    }


def _gradients(weights: dict[str, torch.nn.Parameter], step: int) -> None:
    draw = torch.Generator().manual_seed(100 + step)
    for weight in weights.values():
        weight.grad = torch.randn(weight.shape, generator=draw)


def test_new_rows_move_as_under_an_adamw_of_their_own() -> None:
    """The oracle: two separate tensors in two groups of torch's AdamW."""
    params = TrainingParams(lr=1e-2, lr_new_rows=5e-2, weight_decay=0.1)
    ours = _weights()
    theirs = {name: value for name, value in _weights().items() if name != "table"}
    table = _weights()["table"].data
    old, new = torch.nn.Parameter(table[:7].clone()), torch.nn.Parameter(table[7:].clone())
    oracle = torch.optim.AdamW(
        [
            {"params": [old, theirs["matrix"]], "lr": 1e-2, "weight_decay": 0.1},
            {"params": [new], "lr": 5e-2, "weight_decay": 0.1},
            {"params": [theirs["norm"]], "lr": 1e-2, "weight_decay": 0.0},
        ],
        betas=(params.beta1, params.beta2),
        eps=params.eps,
    )
    optimizer = Optimizer(ours, params, NewRows({"table": 7}))
    for step in range(6):
        optimizer.begin(step, 1e-2)
        _gradients(ours, step)
        assert ours["table"].grad is not None
        old.grad, new.grad = ours["table"].grad[:7].clone(), ours["table"].grad[7:].clone()
        for name, weight in theirs.items():
            weight.grad = ours[name].grad
        optimizer.restrict(step)
        optimizer.step()
        oracle.step()
    assert torch.allclose(ours["table"][:7], old, rtol=0, atol=1e-6)
    assert torch.allclose(ours["table"][7:], new, rtol=0, atol=1e-6)
    for name, weight in theirs.items():
        assert torch.allclose(ours[name], weight, rtol=0, atol=1e-6)
    # The rate was felt: at the common one the new rows stand elsewhere.
    plain = _weights()
    common = Optimizer(plain, params.model_copy(update={"lr_new_rows": None}), NewRows({"table": 7}))
    for step in range(6):
        common.begin(step, 1e-2)
        _gradients(plain, step)
        common.step()
    assert torch.equal(plain["table"][:7], ours["table"][:7])
    assert not torch.allclose(plain["table"][7:], ours["table"][7:], atol=1e-2)


def test_a_table_of_new_rows_only_is_a_group_of_its_own() -> None:
    """LoRA trains them as a tensor of their own."""
    params = TrainingParams(lr=1e-2, lr_new_rows=3e-2)
    optimizer = Optimizer(_weights(), params, NewRows({"table": 0}))
    optimizer.begin(0, 1e-3)
    assert {group["kind"]: group["lr"] for group in optimizer.inner.param_groups} == {
        "new": pytest.approx(3e-3),
        "plain": 1e-3,
    }


def test_alone_at_first_and_then_with_fresh_moments() -> None:
    params = TrainingParams(lr=1e-2, weight_decay=0.3)
    weights, start = _weights(), _weights()
    optimizer = Optimizer(weights, params, NewRows({"table": 7}, alone=3))
    for step in range(3):
        optimizer.begin(step, 1e-2)
        assert not weights["matrix"].requires_grad
        _gradients({"table": weights["table"]}, step)
        optimizer.restrict(step)
        optimizer.step()
    assert torch.equal(weights["table"][:7], start["table"][:7])
    assert not torch.equal(weights["table"][7:], start["table"][7:])
    assert torch.equal(weights["matrix"], start["matrix"])
    optimizer.begin(3, 1e-2)
    assert weights["matrix"].requires_grad
    assert not optimizer.inner.state
    _gradients(weights, 3)
    optimizer.restrict(3)
    optimizer.step()
    assert not torch.equal(weights["table"][:7], start["table"][:7])
    assert not torch.equal(weights["matrix"], start["matrix"])


@pytest.mark.parametrize("tied", [False, True])
def test_the_first_phase_of_a_run_leaves_the_base_as_it_was(
    shard_of: Shard, stories: list[list[int]], tmp_path: Path, tied: bool
) -> None:
    base = as_input("b", make_folder(tmp_path / "m", tied=tied, initializer_range=0.05), Kind.MODEL)
    data = shard_of("d", stories)
    tokens = 4 * 32 * 6
    given: dict[str, Any] = {
        "batch": 4,
        "sequence": 32,
        "threads": 1,
        "tokens": tokens,
        "lr": 1e-2,
        "weight_decay": 0.5,
        "new_rows_from": 30,
        "checkpoint_steps": 2,
    }

    def run(name: str, progress: Any = None, **more: Any) -> dict[str, Any]:
        (tmp_path / name).mkdir(exist_ok=True)
        params = pretrain.Params(model="b", data=["d"], **{**given, **more})
        inputs = Inputs({"model": [base], "data": [data]})
        return pretrain.run(params, inputs, tmp_path / name, progress or Silent()).metrics

    run("alone", new_rows_first=6)
    before = load_file(base.path / "model.safetensors")
    after = load_file(tmp_path / "alone" / "model.safetensors")
    tables = {"model.embed_tokens.weight"} | (set() if tied else {"lm_head.weight"})
    for name, weight in before.items():
        if name in tables:
            assert torch.equal(weight[:30], after[name][:30])
            assert not torch.equal(weight[30:], after[name][30:])
        else:
            assert torch.equal(weight, after[name]), name
    whole = run("both", new_rows_first=0.5)
    moved = load_file(tmp_path / "both" / "model.safetensors")
    assert not torch.equal(moved["model.embed_tokens.weight"][:30], before["model.embed_tokens.weight"][:30])

    class Stop(Silent):
        def __init__(self, at: int) -> None:
            self.at, self.seen = at, 0

        def update(self, *args: Any, **kwargs: Any) -> None:
            self.seen += 1

        def stop_requested(self) -> bool:
            return self.seen >= self.at

    # On either side of the border between the phases, and on it.
    for at in (2, 3, 4):
        with pytest.raises(Interrupted):
            run(f"stop{at}", Stop(at), new_rows_first=0.5)
        assert run(f"stop{at}", new_rows_first=0.5) == whole
        assert digest_of(list_files(tmp_path / f"stop{at}")) == digest_of(list_files(tmp_path / "both"))


def test_rows_that_nobody_knows_are_asked_for(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    data = shard_of("d", stories)
    for given, said in (
        ({"lr_new_rows": 1e-3}, "lr_new_rows: nothing says which rows of 'base' are new"),
        ({"new_rows_first": 0.5}, "new_rows_first: this model has no rows of a graft"),
        ({"new_rows_from": 420}, "new_rows_from: 420 is not below the 420 rows of 'base'"),
    ):
        params = pretrain.Params(
            model="base", data=["d"], tokens=500, batch=4, sequence=32, threads=1, **given
        )
        with pytest.raises(UserError, match=said):
            pretrain.run(params, Inputs({"model": [tiny], "data": [data]}), tmp_path, Silent())
