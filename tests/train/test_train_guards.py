"""Spikes: told, left out or stopped at; judged alike after a resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, StageFailed
from watari.train import pretrain
from watari.train.guards import IN_A_ROW, LEAST, WINDOW, Guard

Shard = Callable[..., InputArtifact]


def steps(losses: list[float], norms: list[float] | None = None) -> list[dict[str, float]]:
    return [
        {"loss": loss, "grad_norm": norm}
        for loss, norm in zip(losses, norms or [1.0] * len(losses), strict=True)
    ]


def test_nothing_is_a_spike_before_enough_was_seen() -> None:
    guard = Guard(steps([5.0] * (LEAST - 1)))
    assert guard.judge({"loss": 50.0, "grad_norm": 1.0}) is None
    guard.remember({"loss": 5.0, "grad_norm": 1.0})
    found = guard.judge({"loss": 50.0, "grad_norm": 1.0})
    assert found is not None
    assert (found.what, found.value, found.usual) == ("loss", 50.0, 5.0)
    assert "median 5" in str(found)


def test_what_is_no_number_is_a_spike_from_the_first_step_on() -> None:
    for what in ("loss", "grad_norm"):
        for value in (math.nan, math.inf):
            found = Guard().judge({"loss": 1.0, "grad_norm": 1.0, what: value})
            assert found is not None
            assert (found.what, found.finite) == (what, False)


def test_noise_and_descent_are_no_spikes() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    guard = Guard()
    for step in range(600):
        # Batches of a few conversations: a loss that falls, with a third of itself in noise, and uneven norms.
        value = (8 * math.exp(-step / 150) + 2) * float(draw.lognormal(0, 0.15))
        line = {"loss": value, "grad_norm": float(draw.lognormal(0, 0.5))}
        assert guard.judge(line) is None, (step, line)
        guard.remember(line)
    assert guard.judge({"loss": 12.0, "grad_norm": 1.0}) is not None
    assert guard.judge({"loss": 2.0, "grad_norm": 60.0}) is not None


def test_spikes_do_not_count_in_what_the_next_steps_are_judged_by() -> None:
    guard = Guard(steps([2.0] * WINDOW))
    for _ in range(3 * WINDOW):
        line: dict[str, Any] = {"loss": 9.0, "grad_norm": 1.0}
        assert guard.judge(line) is not None
        guard.remember({**line, "spike": "loss"})
    assert guard.skipped == 0
    for count in range(1, 4):
        guard.remember({"loss": None, "grad_norm": None, "spike": "loss", "skipped": True})
        assert guard.skipped == count
    guard.remember({"loss": 2.0, "grad_norm": 1.0})
    assert guard.skipped == 0


class _Poisoned:
    """Pre-training whose loss of some steps is multiplied; stands in for a batch that is bad."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, factor: float, at: set[int]) -> None:
        plain = pretrain.Pretraining.part

        def part(self: Any, model: Any, step: int, batch: Any) -> Any:
            found = plain(self, model, step, batch)
            if step in at:
                return type(found)(found.loss * factor, found.tokens, found.figures)
            return found

        monkeypatch.setattr(pretrain.Pretraining, "part", part)


def run(
    tiny: InputArtifact, data: InputArtifact, out: Path, progress: Any = None, **given: Any
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    params = pretrain.Params(
        model="base",
        data=["d"],
        **{"batch": 4, "sequence": 32, "threads": 1, "epochs": 3, "lr": 1e-3, "checkpoint_steps": 4, **given},
    )
    return pretrain.run(params, Inputs({"model": [tiny], "data": [data]}), out, progress or Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def test_a_spike_is_noted_skipped_or_stopped_at(
    tiny: InputArtifact,
    shard_of: Shard,
    stories: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = shard_of("d", stories)
    _Poisoned(monkeypatch, 50.0, {20})
    noted = run(tiny, data, tmp_path / "noted", spike="note")
    assert (noted["spikes"], noted["skipped_steps"]) == (1, 0)
    assert log(tmp_path / "noted")[20]["spike"] == "loss"
    skipped = run(tiny, data, tmp_path / "skipped", spike="skip")
    assert (skipped["spikes"], skipped["skipped_steps"]) == (1, 1)
    lines = log(tmp_path / "skipped")
    assert lines[20]["skipped"] is True
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    with pytest.raises(StageFailed, match=r"step 21 of \d+: the loss is .*median"):
        run(tiny, data, tmp_path / "stopped", spike="stop")


def test_a_skipped_step_moves_nothing(
    tiny: InputArtifact,
    shard_of: Shard,
    stories: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loss that is no number poisons nothing: the step after it sees the weights of the step before it."""
    from safetensors.torch import load_file

    data = shard_of("d", stories)
    given: dict[str, Any] = {"epochs": None, "tokens": 4 * 32 * 12, "schedule": "constant", "warmup": 0}
    with monkeypatch.context() as patch:
        _Poisoned(patch, math.nan, {11})
        metrics = run(tiny, data, tmp_path / "last", spike="skip", **given)
        assert metrics["steps"] == 12
        assert metrics["last_loss"] == log(tmp_path / "last")[10]["loss"]
        assert log(tmp_path / "last")[11]["loss"] is None
        with pytest.raises(StageFailed, match="step 12 of 12: the loss is not finite"):
            run(tiny, data, tmp_path / "failed", **given)
    run(tiny, data, tmp_path / "shorter", **{**given, "tokens": 4 * 32 * 12})
    with monkeypatch.context() as patch:
        # The same twelve steps with the last one's update left out by hand.
        from watari.train.optimizer import Optimizer

        plain, count = Optimizer.step, iter(range(99))
        patch.setattr(Optimizer, "step", lambda self: plain(self) if next(count) < 11 else None)
        run(tiny, data, tmp_path / "by hand", **given)
    wanted = load_file(tmp_path / "by hand" / "model.safetensors")
    found = load_file(tmp_path / "last" / "model.safetensors")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    other = load_file(tmp_path / "shorter" / "model.safetensors")
    assert not torch.equal(other["model.norm.weight"], wanted["model.norm.weight"])


def test_a_run_that_only_spikes_is_given_up(
    tiny: InputArtifact,
    shard_of: Shard,
    stories: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _Poisoned(monkeypatch, math.nan, set(range(3, 99)))
    with pytest.raises(StageFailed, match=f"{IN_A_ROW} steps in a row"):
        run(tiny, shard_of("d", stories), tmp_path / "out", spike="skip")


class _StopAt(Silent):
    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.seen += 1

    def stop_requested(self) -> bool:
        return self.seen >= self.at


def test_a_resumed_run_judges_as_an_undisturbed_one(
    tiny: InputArtifact,
    shard_of: Shard,
    stories: list[list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = shard_of("d", stories)
    _Poisoned(monkeypatch, 40.0, {18, 20, 21})
    whole = run(tiny, data, tmp_path / "whole", spike="skip")
    assert whole["skipped_steps"] == 3
    for stop in (17, 19, 21):
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(Interrupted):
            run(tiny, data, out, _StopAt(stop), spike="skip")
        assert run(tiny, data, out, spike="skip") == whole
        assert digest_of(list_files(out)) == digest_of(list_files(tmp_path / "whole"))
