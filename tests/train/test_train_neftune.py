"""NEFTune's noise: the paper's strength for every sample, wherever it lies, and the same after a resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.stage import InputArtifact
from watari.pretrained import load_model
from watari.train import sft
from watari.train.batches import Sample, lay_out
from watari.train.device import Compute
from watari.train.language_model import LanguageModel
from watari.train.neftune import noise


def sample(name: str, length: int) -> Sample:
    return Sample(name, np.full(length, 5, np.int32), np.ones(length, np.bool_))


SHORT, MIDDLE, LONG = sample("a", 80), sample("b", 300), sample("c", 512)


@pytest.mark.parametrize(
    "rows",
    [[[SHORT], [MIDDLE], [LONG]], [[SHORT, MIDDLE, LONG]], [[LONG, SHORT], [MIDDLE]]],
    ids=["padded", "packed", "both"],
)
def test_every_sample_hears_the_papers_noise(rows: list[list[Sample]]) -> None:
    batch = lay_out(rows)
    names = [one.id for row in rows for one in row]
    drawn = noise(batch, names, width=64, alpha=5, seed=1, stage="train.sft", step=3)
    covered = torch.zeros(drawn.shape[:2], dtype=torch.bool)
    for row, column, columns, length in batch.spans:
        own = drawn[row, column : column + columns]
        covered[row, column : column + columns] = True
        bound = 5 / math.sqrt(length * 64)
        # Uniform in [-bound, bound]: standard deviation bound / sqrt(3), within 5 standard errors of it.
        spread = bound / math.sqrt(3)
        assert float(own.abs().max()) <= bound
        assert abs(float(own.std()) / spread - 1) < 5 * math.sqrt(0.2 / own.numel()) + 1e-4
        assert abs(float(own.mean())) < 5 * spread / math.sqrt(own.numel())
    assert float(drawn[~covered].abs().sum()) == 0
    # facts/training.md: 0.0400 is right for 80 tokens at alpha 5 and width 64 (times 1/sqrt 3 x sqrt 3).
    assert math.isclose(5 / math.sqrt(80 * 64) / math.sqrt(3), 0.0403, rel_tol=0.01)


def test_the_scale_is_that_of_transformers_where_a_row_is_one_sample() -> None:
    """Its hook draws for the whole row that it sees, which is right for one sample alone and only there."""
    from transformers.integrations.neftune import neftune_post_forward_hook

    module = torch.nn.Embedding(8, 64)
    module.neftune_noise_alpha = 5.0  # type: ignore[assignment]
    module.train()
    torch.manual_seed(0)
    for length in (80, 512):
        zero = torch.zeros(1, length, 64)
        theirs = neftune_post_forward_hook(module, None, zero)
        one = sample("a", length)
        ours = noise(lay_out([[one]]), ["a"], width=64, alpha=5, seed=1, stage="s", step=0)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.03)
        assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.01)


def test_noise_is_uniform() -> None:
    one = sample("a", 2000)
    drawn = noise(lay_out([[one]]), ["a"], width=64, alpha=5, seed=1, stage="s", step=0)
    values = drawn.flatten().double().numpy() / (5 / math.sqrt(2000 * 64))
    counts, _ = np.histogram(values, bins=64, range=(-1, 1))
    assert counts.sum() == values.size
    expected = values.size / 64
    # Chi-square with 63 degrees of freedom: five standard deviations above its mean.
    assert float(((counts - expected) ** 2 / expected).sum()) < 63 + 5 * math.sqrt(2 * 63)
    neighbours = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(values.size)
    assert len(np.unique(values)) > 40_000


def test_noise_belongs_to_the_row_and_step_not_to_the_place() -> None:
    settings = {"width": 8, "alpha": 5.0, "seed": 1, "stage": "train.sft"}
    alone = noise(lay_out([[SHORT]]), ["a"], step=3, **settings)[0]  # type: ignore[arg-type]
    packed = noise(lay_out([[LONG, SHORT]]), ["c", "a"], step=3, **settings)[0, 512:]  # type: ignore[arg-type]
    torch.testing.assert_close(alone, packed, atol=0, rtol=0)
    later = noise(lay_out([[SHORT]]), ["a"], step=4, **settings)[0]  # type: ignore[arg-type]
    assert not torch.equal(alone, later)


@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=5),
    width=st.integers(1, 9),
    cuts=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_a_sample_hears_the_same_in_every_layout(lengths: list[int], width: int, cuts: list[bool]) -> None:
    samples = [sample(str(number), length) for number, length in enumerate(lengths)]
    rows: list[list[Sample]] = [[]]
    for one, cut in zip(samples, [False, *cuts], strict=False):
        if cut:
            rows.append([])
        rows[-1].append(one)
    batch = lay_out(rows)
    names = [one.id for one in samples]
    drawn = noise(batch, names, width=width, alpha=5, seed=1, stage="s", step=0)
    for (row, column, columns, _), one in zip(batch.spans, samples, strict=True):
        alone = noise(lay_out([[one]]), [one.id], width=width, alpha=5, seed=1, stage="s", step=0)[0]
        shared = min(columns, len(alone))
        assert torch.equal(drawn[row, column : column + shared], alone[:shared])


def test_the_model_itself_is_untouched(tiny: InputArtifact) -> None:
    model = LanguageModel(load_model(tiny.path), Compute(torch.device("cpu"), torch.float32))
    batch = lay_out([[SHORT]])
    ids = torch.from_numpy(SHORT.ids[:-1].astype(np.int64))[None]
    with torch.no_grad():
        before = model.model(input_ids=ids).logits
        drawn = noise(batch, ["a"], width=model.width, alpha=50, seed=0, stage="s", step=0)
        with_noise = model.hidden(batch, drawn)
        after = model.model(input_ids=ids).logits
        assert not torch.allclose(with_noise, model.hidden(batch), atol=1e-3)
    assert torch.equal(before, after)


def test_evaluation_is_untouched_by_training_with_noise(tiny: InputArtifact) -> None:
    """Nothing of NEFTune lives in the model: before, between and after noisy passes a forward gives the same bits."""
    samples = [sample("a", 30), sample("b", 17)]
    params = sft.Params(model="m", data="d", epochs=1, batch=2, sequence=64, neftune_alpha=5)
    objective = sft.FineTuning(samples, params)
    quiet = sft.FineTuning(samples, params.model_copy(update={"neftune_alpha": None}))
    model = LanguageModel(load_model(tiny.path), Compute(torch.device("cpu"), torch.float32))
    (batch,) = objective.passes(0)

    def evaluated() -> torch.Tensor:
        with torch.no_grad():
            return model.hidden(batch[0])

    before = evaluated()
    plain = quiet.part(model, 0, batch).loss.detach()
    noisy = objective.part(model, 0, batch).loss
    noisy.backward()  # type: ignore[no-untyped-call]
    assert noisy.detach() != plain
    assert torch.equal(evaluated(), before)
    assert torch.equal(quiet.part(model, 0, batch).loss.detach(), plain)
    assert torch.equal(objective.part(model, 0, batch).loss.detach(), noisy.detach())
    modules = list(model.model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
