"""The one training loop: AdamW over fp32 weights, accumulated passes, a log, checkpoints, and nothing kept in between.

What a step does follows from its number alone: an objective says which sequences it holds and what their loss is, the
schedule says the rate. So a run that is killed anywhere goes on from its checkpoint to the very weights and log that it
would have had (same machine, same number of threads).

Files below `out`: `train_log.jsonl` (content: a line a step {step, loss, lr, grad_norm, tokens, ...}), `logs/speed.jsonl`
(tokens/s, seconds, memory), `work/` (checkpoints).
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from watari.artifact.manifest import LOGS, WORK
from watari.artifact.stage import Progress
from watari.errors import Interrupted, StageFailed
from watari.train import checkpoint
from watari.train.checkpoint import Position
from watari.train.device import available_threads
from watari.train.language_model import LanguageModel
from watari.train.settings import TrainingParams, learning_rate

TRAIN_LOG = "train_log.jsonl"
SPEED_LOG = "speed.jsonl"
_SPEED_EVERY = 5.0


@dataclass(frozen=True)
class Part:
    """One forward pass's share of a step.

    Args:
        loss: Its part of the step's loss; the parts of a step add up to the loss.
        tokens: Tokens in it, without padding.
        figures: Its parts of other figures for the log, which add up as well.
    """

    loss: Tensor
    tokens: int
    figures: dict[str, float]


class Objective(Protocol):
    """What is trained: the sequences of each step and their loss."""

    @property
    def steps(self) -> int:
        """Number of steps."""

    def passes(self, step: int) -> Sequence[Any]:
        """Return the forward passes of a step, from its number alone."""

    def part(self, model: LanguageModel, step: int, batch: Any) -> Part:
        """Return the loss of one of them."""


@dataclass(frozen=True)
class Trained:
    """What a run of the loop came to.

    Args:
        metrics: Deterministic figures.
        performance: Speed and memory of this process.
    """

    metrics: dict[str, Any]
    performance: dict[str, Any]


def resumed_threads(params: TrainingParams, out: Path) -> int:
    """Return the number of threads to use: as given, else as the interrupted run had it, else all cores."""
    if params.threads is not None:
        return params.threads
    found = checkpoint.latest(out / WORK)
    return (checkpoint.read_position(found).threads if found else 0) or available_threads()


def optimizer_for(model: torch.nn.Module, params: TrainingParams) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices only, in its fused form (one pass over memory, deterministic)."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": params.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=params.lr,
        betas=(params.beta1, params.beta2),
        eps=params.eps,
        fused=True,
    )


def train(
    model: LanguageModel, objective: Objective, params: TrainingParams, out: Path, progress: Progress
) -> Trained:
    """Train `model` in place, from the last checkpoint below `out/work` if there is one.

    Raises:
        StageFailed: if a loss or gradient is not finite, naming the step.
        Interrupted: if the user asked to stop; a checkpoint is written first.
    """
    parameters = {name: p for name, p in model.model.named_parameters() if p.requires_grad}
    optimizer = optimizer_for(model.model, params)
    work, log_path = out / WORK, out / TRAIN_LOG
    (out / LOGS).mkdir(parents=True, exist_ok=True)
    position = Position()
    if found := checkpoint.latest(work):
        position = checkpoint.load(found, parameters, optimizer)
        progress.log("resumed", step=position.step)
    with log_path.open("ab") as log:
        log.truncate(position.log_bytes)
        run = _Run(model, objective, params, optimizer, parameters, work, log_path.parent / LOGS / SPEED_LOG)
        run.go(position, log, progress)
    return Trained(_metrics(log_path, model), run.performance())


class _Run:
    """One process's stretch of a run."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective,
        params: TrainingParams,
        optimizer: torch.optim.Optimizer,
        parameters: dict[str, torch.nn.Parameter],
        work: Path,
        speed_log: Path,
    ) -> None:
        self._model = model
        self._objective = objective
        self._params = params
        self._optimizer = optimizer
        self._parameters = parameters
        self._work = work
        self._speed_log = speed_log
        self._seconds = 0.0
        self._tokens = 0

    def go(self, position: Position, log: Any, progress: Progress) -> None:
        """Do all steps from `position` on."""
        steps = self._objective.steps
        tokens = position.tokens
        began = saved = noted = time.monotonic()
        threads = torch.get_num_threads()
        for step in range(position.step, steps):
            line = self._step(step, steps, tokens)
            tokens = line["tokens"]
            log.write((json.dumps(line, allow_nan=False) + "\n").encode())
            log.flush()
            now = time.monotonic()
            self._seconds, self._tokens = now - began, tokens - position.tokens
            if now - noted >= _SPEED_EVERY or step + 1 == steps:
                self._note_speed(step + 1)
                noted = now
            progress.update(step + 1, steps, unit="steps", note=f"loss {line['loss']:.3f}")
            stop = progress.stop_requested() and step + 1 < steps
            if stop or self._due(step + 1, now - saved):
                here = Position(step + 1, tokens, threads, log.tell())
                os.fsync(log.fileno())
                checkpoint.save(self._work, here, self._parameters, self._optimizer)
                saved = time.monotonic()
            if stop:
                raise Interrupted(f"stopped after step {step + 1} of {steps}; run the same command to go on")

    def _due(self, step: int, seconds: float) -> bool:
        by_steps, by_time = self._params.checkpoint_steps, self._params.checkpoint_seconds
        return bool((by_steps and step % by_steps == 0) or (by_time and seconds >= by_time))

    def _step(self, step: int, steps: int, tokens: int) -> dict[str, Any]:
        """Do one step and return its line of the log."""
        rate = learning_rate(self._params, step, steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        figures: dict[str, float] = {}
        for batch in self._objective.passes(step):
            part = self._objective.part(self._model, step, batch)
            part.loss.backward()  # type: ignore[no-untyped-call]
            loss += float(part.loss.detach())
            tokens += part.tokens
            for name, value in part.figures.items():
                figures[name] = figures.get(name, 0.0) + value
        limit = self._params.clip or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters.values(), limit))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise StageFailed(
                f"step {step + 1} of {steps}: the {what} is not finite (loss {loss}, gradient norm {norm})",
                "lower lr or lengthen the warm-up; the last checkpoint is kept",
            )
        self._optimizer.step()
        line = {"step": step + 1, "loss": loss, "lr": rate, "grad_norm": norm, "tokens": tokens, **figures}
        return {name: _rounded(value) for name, value in line.items()}

    def _note_speed(self, step: int) -> None:
        with self._speed_log.open("a") as handle:
            handle.write(json.dumps({"step": step, **self.performance()}) + "\n")

    def performance(self) -> dict[str, Any]:
        """Return speed and memory of this process so far."""
        return {
            "tokens_per_second": round(self._tokens / self._seconds, 1) if self._seconds else 0.0,
            "seconds": round(self._seconds, 3),
            "peak_rss": peak_memory(),
            "threads": torch.get_num_threads(),
            "device": str(self._model.compute.device),
            "precision": self._model.compute.name,
        }


def peak_memory() -> int:
    """Return the most bytes that this process has held in memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _rounded(value: Any) -> Any:
    """Return a float with six significant digits: what is logged is read by people and plotted."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _metrics(log_path: Path, model: LanguageModel) -> dict[str, Any]:
    lines = [json.loads(line) for line in log_path.read_text("utf-8").splitlines()]
    tail = lines[-max(1, len(lines) // 10) :]
    return {
        "steps": len(lines),
        "tokens": lines[-1]["tokens"],
        "first_loss": lines[0]["loss"],
        "last_loss": _rounded(sum(line["loss"] for line in tail) / len(tail)),
        "parameters": sum(p.numel() for p in model.model.parameters()),
    }
