"""TRL as the oracle: the same conversations give the same fp32 loss and gradients, padded and packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.generate.templates import PRESETS
from watari.pretrained import load_model, load_tokenizer
from watari.train import sft
from watari.train.device import Compute
from watari.train.examples import read_conversations
from watari.train.language_model import LanguageModel

CPU32 = Compute(torch.device("cpu"), torch.float32)
TOLERANCE = 2e-6
"""Largest difference of loss and gradients, which are of the order of 6 and 0.1: fp32 sums in another order."""


def of_trl(
    folder: Path, out: Path, rows: list[dict[str, Any]], *, preset: str, packed: bool
) -> tuple[float, dict[str, Any]]:
    """Return the loss and the gradients by name that SFTTrainer computes on all rows at once."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = PRESETS[preset]
    settings = SFTConfig(
        output_dir=str(out),
        use_cpu=True,
        bf16=False,
        report_to="none",
        assistant_only_loss=True,
        activation_checkpointing=False,
        max_length=256,
        packing=packed,
        packing_strategy="bfd",
    )
    trainer = SFTTrainer(
        model=str(folder),
        args=settings,
        train_dataset=Dataset.from_list([{"messages": row["messages"]} for row in rows]),
        processing_class=tokenizer,
    )
    prepared = list(trainer.train_dataset)
    assert packed == (len(prepared) < len(rows))
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(prepared))
    loss.backward()
    gradients = {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients


@pytest.mark.parametrize("preset", ["shisa", "swallow"])
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_loss_and_gradients_are_trls(
    tiny: InputArtifact,
    rows_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    tmp_path: Path,
    preset: str,
    packed: bool,
) -> None:
    rows = talks[:10]
    loss, gradients = of_trl(tiny.path, tmp_path / "trl", rows, preset=preset, packed=packed)
    examples = read_conversations(
        [rows_of("d", Kind.CONVERSATIONS, rows)],
        load_tokenizer(tiny.path),
        PRESETS[preset],
        sequence=256,
        loss_on="assistant",
        too_long="drop",
        seed=0,
        stage="train.sft",
    )
    params = sft.Params(
        model="m", data="d", epochs=1, batch=len(rows), sequence=256, packing=packed, pass_tokens=600
    )
    objective = sft.FineTuning(examples.samples, params)
    model = LanguageModel(load_model(tiny.path), CPU32)
    passes = objective.passes(0)
    # Several passes, so that what is compared is also what accumulation makes of them.
    assert len(passes) > 1
    ours = 0.0
    for batch in passes:
        part = objective.part(model, 0, batch)
        part.loss.backward()  # type: ignore[no-untyped-call]
        ours += float(part.loss.detach())
    assert ours == pytest.approx(loss, abs=TOLERANCE)
    found = {name: p.grad for name, p in model.trainable().items()}
    assert found.keys() == gradients.keys()
    for name, expected in gradients.items():
        torch.testing.assert_close(found[name], expected, atol=TOLERANCE, rtol=1e-4, msg=name)
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 1e-2
