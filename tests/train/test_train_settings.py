"""The schedule of the learning rate, and the memory estimate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.artifact.stage import InputArtifact
from watari.train import dpo, pretrain, sft
from watari.train.memory import parameter_count, training_bytes
from watari.train.settings import TrainingParams, learning_rate


def params(**settings: Any) -> TrainingParams:
    return TrainingParams(lr=1.0, **settings)


@given(
    st.sampled_from(["cosine", "linear", "constant", "wsd"]),
    st.floats(0, 0.9),
    st.floats(0, 1),
    st.integers(1, 300),
)
def test_rates_climb_then_never_climb_again(schedule: Any, warmup: float, low: float, steps: int) -> None:
    given_ = params(schedule=schedule, warmup=warmup, lr_min_ratio=low)
    rates = [learning_rate(given_, step, steps) for step in range(steps)]
    warm = round(warmup * steps)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)
    assert all(0 < rate <= 1 for rate in rates[:warm])
    assert all(low - 1e-12 <= rate <= 1 for rate in rates[warm:])
    if warm:
        assert rates[warm - 1] == 1.0


def test_schedules_are_their_formulas() -> None:
    assert learning_rate(params(schedule="cosine", lr_min_ratio=0.1), 50, 100) == pytest.approx(0.55)
    assert learning_rate(params(schedule="linear", lr_min_ratio=0.0), 25, 100) == pytest.approx(0.75)
    assert learning_rate(params(schedule="constant"), 99, 100) == 1.0
    wsd = params(schedule="wsd", decay_share=0.2, lr_min_ratio=0.0)
    assert learning_rate(wsd, 80, 100) == 1.0
    assert learning_rate(wsd, 90, 100) == pytest.approx(0.5)
    assert learning_rate(params(warmup=10), 4, 100) == pytest.approx(0.5)
    # Swallow 7B: 25,000 steps, 1,000 of them warm-up, 1e-4 -> 3.3e-6.
    swallow = pretrain.Params(model="m", data="d", tokens="1B")
    assert learning_rate(swallow, 999, 25_000) == pytest.approx(1e-4)
    assert learning_rate(swallow, 24_999, 25_000) == pytest.approx(3.3e-6, rel=1e-3)


def test_defaults_are_the_sources() -> None:
    tuned = sft.Params(model="m", data="d")
    assert (tuned.lr, tuned.epochs, tuned.batch, tuned.neftune_alpha) == (2e-5, 2, 256, None)
    preferred = dpo.Params(model="m", data="d")
    assert (preferred.beta, preferred.epochs, preferred.lr, preferred.batch) == (0.1, 1, 1.25e-7, 64)
    with pytest.raises(ValidationError):
        dpo.Params(model="m", data="d", neftune_alpha=5)
    for module in (pretrain, sft, dpo):
        for name, field in module.Params.model_fields.items():
            assert field.description, name


def test_memory_grows_with_what_needs_it(tiny: InputArtifact) -> None:
    from watari.pretrained import load_model

    own = sum(p.numel() for p in load_model(tiny.path).parameters())
    assert parameter_count(tiny.path) == own

    def needed(**changed: int) -> int:
        return training_bytes(tiny.path, **{"pass_tokens": 1024, "sequence": 64, "batch": 64, **changed})

    assert needed(pass_tokens=2048) > needed()
    assert needed(sequence=2048) > needed()
    assert needed(batch=4) < needed()
    assert needed(batch=16) == needed(batch=64)
    assert needed() > 16 * own


def test_decay_is_for_matrices_only(tiny: InputArtifact) -> None:
    from watari.pretrained import load_model
    from watari.train.optimizer import Optimizer

    model = load_model(tiny.path)
    optimizer = Optimizer(dict(model.named_parameters()), params(weight_decay=0.3))
    matrices, vectors = optimizer.inner.param_groups
    assert {p.ndim for p in matrices["params"]} == {2}
    assert {p.ndim for p in vectors["params"]} == {1}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))
