"""A training stage's common course: load the model, train it under an objective, write it as a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from watari.artifact.stage import Progress
from watari.errors import UserError
from watari.pretrained import load_model, save_model
from watari.train.device import choose, exact
from watari.train.language_model import LanguageModel
from watari.train.loop import Objective, Trained, resumed_threads, train
from watari.train.settings import TrainingParams


def run_training(
    params: TrainingParams,
    folder: Path,
    out: Path,
    progress: Progress,
    *,
    packed: bool,
    objective: Callable[[LanguageModel], Objective],
    finish: Callable[[LanguageModel], None] | None = None,
    tokenizer_settings: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
) -> Trained:
    """Train the model in `folder` and write it to `out`.

    Args:
        params: The stage's parameters.
        folder: The model to start from.
        out: The stage's folder.
        progress: Told of every step.
        packed: True if rows hold several sequences.
        objective: Makes the objective, given the model before its first step.
        finish: Called with the trained model before it is written.
        tokenizer_settings: Keys to set in the tokenizer's configuration, e.g. its chat template.
        generation: Keys to set in the generation configuration.

    Raises:
        UserError, StageFailed, Interrupted: as `loop.train` and the objective do.
    """
    check_context(params.sequence, folder)
    compute = choose(params.device, params.precision)
    with exact(resumed_threads(params, out)):
        attention = compute.attention(params.sequence, packed=packed)
        model = LanguageModel(load_model(folder, attention=attention), compute)
        trained = train(model, objective(model), params, out, progress)
        if finish is not None:
            finish(model)
    plain = model.model.cpu().to(getattr(torch, params.save_dtype))
    save_model(
        plain, out, tokenizer_from=folder, tokenizer_settings=tokenizer_settings, generation=generation
    )
    return trained


def check_context(sequence: int, folder: Path) -> None:
    """Make sure that the model in `folder` has positions for sequences of this length.

    Raises:
        UserError: if it has not.
    """
    context = json.loads((folder / "config.json").read_text("utf-8")).get("max_position_embeddings")
    if context is not None and sequence > context:
        raise UserError(
            f"sequence: {sequence} tokens are more than the model's context of {context}",
            f"set `sequence: {context}` or less",
        )


@contextmanager
def reading(params: TrainingParams, folder: Path, out: Path) -> Iterator[LanguageModel]:
    """Yield the model in `folder` for scoring only, computed as the stage computes, and let go of it afterwards."""
    with exact(resumed_threads(params, out)):
        compute = choose(params.device, params.precision)
        attention = compute.attention(params.sequence, packed=False)
        yield LanguageModel(load_model(folder, attention=attention), compute)
