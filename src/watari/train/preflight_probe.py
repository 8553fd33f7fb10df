"""The trial pass: one forward and backward of the real objective at the heaviest batch, of which nothing remains."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from watari.errors import StageFailed, UserError
from watari.peak import peak_memory
from watari.train.batches import Batch
from watari.train.facts import DataFacts
from watari.train.settings import TrainingParams

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel
    from watari.train.objective import Objective

_STEPS_LOOKED_AT = 400
_FULL = 0.98


@dataclass(frozen=True)
class Heaviest:
    """The batch of a run that needs most.

    Args:
        step: The number of its step, from 0.
        batch: What the objective takes.
        laid: Its tensors.
        share: Its part of the step's trained tokens (DPO: of its pairs), to turn its part of the loss into its own mean.
        passes: Passes of its step.
    """

    step: int
    batch: Any
    laid: Batch
    share: float
    passes: int


@dataclass(frozen=True)
class Probe:
    """What the trial pass gave.

    Args:
        step: The step that the batch is of, from 1.
        sequences, tokens, positions: In the batch; positions count padding.
        loss: Mean over its trained tokens (DPO: its pairs).
        expected: What a guess would have: ln(vocabulary); DPO: ln 2.
        seconds: Of forward and backward.
        peak: Most bytes held so far, the model included: by the process, or on the GPU.
    """

    step: int
    sequences: int
    tokens: int
    positions: int
    loss: float
    expected: float
    seconds: float
    peak: int

    def content(self) -> dict[str, Any]:
        """Return what does not depend on the machine."""
        kept = ("step", "sequences", "tokens", "positions", "loss", "expected")
        return {name: getattr(self, name) for name in kept}


def heaviest(objective: Objective, params: TrainingParams, facts: DataFacts, world: World) -> Heaviest:
    """Return the batch with the most positions, of all steps (of long runs: of 400, evenly spaced).

    The search ends at the first batch that fills a pass and holds a sequence of the greatest length.
    """
    steps = objective.steps
    looked = range(steps)
    if steps > _STEPS_LOOKED_AT:
        looked = sorted({round(place) for place in np.linspace(0, steps - 1, _STEPS_LOOKED_AT)})  # type: ignore[assignment]
    best: Heaviest | None = None
    for step in looked:
        batches = [(batch, batch_in(batch)) for batch in objective.passes(step, world.size)]
        whole = sum(_counted(laid, facts) for _, laid in batches) or 1
        for batch, laid in batches:
            if best is None or _weight(laid) > _weight(best.laid):
                best = Heaviest(step, batch, laid, _counted(laid, facts) / whole, len(batches))
        assert best is not None  # a step has a pass
        if best.laid.ids.numel() >= _FULL * max(params.pass_tokens, params.sequence - 1):
            break
    assert best is not None  # a run has a step
    return best


def batch_in(value: Any) -> Batch:
    """Return the tensors in what an objective calls a batch: itself, or the first member of it that holds them."""
    found = _search(value)
    if found is None:
        raise TypeError(f"no Batch in {type(value).__name__}")
    return found


def _search(value: Any) -> Batch | None:
    if isinstance(value, Batch):
        return value
    members: Any = ()
    if isinstance(value, tuple):
        members = value
    elif is_dataclass(value):
        members = (getattr(value, field.name) for field in fields(value))
    return next((found for member in members if (found := _search(member)) is not None), None)


def _weight(laid: Batch) -> tuple[int, int]:
    return laid.ids.numel(), laid.ids.shape[1]


def _counted(laid: Batch, facts: DataFacts) -> int:
    return len(laid.targets) if facts.per == "token" else len(laid.spans)


def probe(
    model: LanguageModel,
    objective: Objective,
    chosen: Heaviest,
    facts: DataFacts,
    world: World,
    *,
    compiled: bool = False,
) -> Probe:
    """Compute one batch forward and backward and forget its gradients. Every rank computes the same batch.

    A compiled model is compiled by the first pass, so that it is timed on a second.

    Raises:
        UserError: if the GPU's memory does not suffice.
        StageFailed: if the loss is no number.
    """
    device = model.compute.device
    on_gpu = device.type == "cuda"

    def work() -> Tensor:
        return objective.part(model, chosen.step, chosen.batch).loss

    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    with untouched(model):
        for last in (False, True) if compiled else (True,):
            began = time.perf_counter()
            try:
                loss = world.forward(model, work)
                loss.backward()  # type: ignore[no-untyped-call]
                value = float(loss.detach())
            except torch.cuda.OutOfMemoryError:
                raise UserError(
                    f"the GPU's memory does not suffice for a pass of {chosen.laid.ids.numel():,} positions",
                    "lower `pass_tokens` or `sequence`, set `activation_checkpointing: true`, or divide the model",
                ) from None
            seconds = time.perf_counter() - began
            del loss
            if not last:
                forget(model)
    if not math.isfinite(value):
        raise StageFailed(
            f"the loss of the trial pass is {value}: the model's weights are spoilt, or its new rows are"
        )
    vocabulary = int(model.head.weight.shape[0])
    return Probe(
        step=chosen.step + 1,
        sequences=len(chosen.laid.spans),
        tokens=chosen.laid.tokens,
        positions=chosen.laid.ids.numel(),
        loss=float(f"{value / chosen.share:.6g}") if chosen.share else 0.0,
        expected=float(f"{math.log(2 if facts.per == 'pair' else vocabulary):.6g}"),
        seconds=seconds,
        peak=torch.cuda.max_memory_allocated(device) if on_gpu else peak_memory(),
    )


def forget(model: LanguageModel) -> None:
    """Drop all gradients."""
    for parameter in model.model.parameters():
        parameter.grad = None


@contextmanager
def untouched(model: LanguageModel) -> Iterator[None]:
    """Leave no gradient behind, and every generator of random numbers as it was."""
    devices = [model.compute.device] if model.compute.device.type == "cuda" else []
    python, plain = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            forget(model)
            random.setstate(python)
            np.random.set_state(plain)
