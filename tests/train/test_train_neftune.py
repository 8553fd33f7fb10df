"""NEFTune's noise: the paper's strength for every sample, wherever it lies, and the same after a resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from watari.artifact.stage import InputArtifact
from watari.pretrained import load_model
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


def test_noise_belongs_to_the_row_and_step_not_to_the_place() -> None:
    settings = {"width": 8, "alpha": 5.0, "seed": 1, "stage": "train.sft"}
    alone = noise(lay_out([[SHORT]]), ["a"], step=3, **settings)[0]  # type: ignore[arg-type]
    packed = noise(lay_out([[LONG, SHORT]]), ["c", "a"], step=3, **settings)[0, 512:]  # type: ignore[arg-type]
    torch.testing.assert_close(alone, packed, atol=0, rtol=0)
    later = noise(lay_out([[SHORT]]), ["a"], step=4, **settings)[0]  # type: ignore[arg-type]
    assert not torch.equal(alone, later)


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
