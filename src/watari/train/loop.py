"""The one training loop: AdamW over fp32 weights, accumulated passes, a log, checkpoints, and nothing kept in between.

What a step does follows from its number alone: an objective says which sequences it holds and what their loss is, the
schedule says the rate. So a run that is killed anywhere goes on from its checkpoint to the very weights and log that it
would have had (same machine, same number of threads and processes).

Files below `out`: `train_log.jsonl` (content: a line a step {step, loss, lr, grad_norm, tokens, ...}), `eval_log.jsonl`
(see `watch`), `snapshots/` (content), `logs/speed.jsonl` (tokens/s, seconds, memory), `work/` (checkpoints).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from watari.artifact.manifest import LOGS, WORK
from watari.artifact.stage import Progress
from watari.errors import Interrupted, StageFailed
from watari.peak import peak_memory
from watari.train import checkpoint
from watari.train.checkpoint import Position
from watari.train.distributed import World
from watari.train.guards import IN_A_ROW, Guard, Spike
from watari.train.language_model import LanguageModel
from watari.train.objective import Objective, Part
from watari.train.optimizer import NewRows, Optimizer
from watari.train.settings import TrainingParams, learning_rate
from watari.train.trackers import Trackers
from watari.train.watch import EVAL_LOG, Watch, summary

TRAIN_LOG = "train_log.jsonl"
SPEED_LOG = "speed.jsonl"
_SPEED_EVERY = 5.0


@dataclass(frozen=True)
class Course:
    """What goes along with the steps.

    Args:
        world: The processes that train together.
        new_rows: The rows of a graft.
        watch: Held-back text to measure.
        snapshot: Writes the model as it is after a step, given the step's number.
        observe: Called before the first step and after each, with the number of steps done and of all.
        trackers: Where the log is sent as well.
    """

    world: World = field(default_factory=World.single)
    new_rows: NewRows = field(default_factory=NewRows)
    watch: Watch | None = None
    snapshot: Callable[[int], None] | None = None
    observe: Callable[[int, int], None] | None = None
    trackers: Trackers | None = None


@dataclass(frozen=True)
class Trained:
    """What a run of the loop came to.

    Args:
        metrics: Deterministic figures.
        performance: Speed and memory of this process.
    """

    metrics: dict[str, Any]
    performance: dict[str, Any]


def train(
    model: LanguageModel,
    objective: Objective,
    params: TrainingParams,
    out: Path,
    progress: Progress,
    course: Course | None = None,
) -> Trained:
    """Train `model` in place, from the last checkpoint below `out/work` if there is one.

    Raises:
        StageFailed: if a loss or gradient is not finite (unless such steps are to be skipped), naming the step; on a
            spike, if `spike: stop`.
        Interrupted: if the user asked to stop; a checkpoint is written first.
    """
    run = _Run(model, objective, params, out, progress, course or Course())
    run.go()
    return Trained(run.metrics(), run.performance())


class _Run:
    """One process's stretch of a run."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective,
        params: TrainingParams,
        out: Path,
        progress: Progress,
        course: Course,
    ) -> None:
        self._model = model
        self._objective = objective
        self._params = params
        self._out = out
        self._progress = progress
        self._course = course
        self._world = course.world
        # Where rank 0 writes; the others read their checkpoint and the log's past there.
        self._home = course.world.home or out
        self._work = self._home / WORK
        self._parameters = model.trainable()
        self._optimizer = Optimizer(self._parameters, params, course.new_rows)
        self._steps = objective.steps
        self._threads = torch.get_num_threads()
        self._seconds = 0.0
        self._tokens = 0
        (out / LOGS).mkdir(parents=True, exist_ok=True)

    def go(self) -> None:
        """Do all steps that are left."""
        position = Position()
        if found := checkpoint.latest(self._work, self._progress.log, world=self._world):
            position = checkpoint.load(found, self._parameters, self._optimizer.inner, world=self._world)
            self._progress.log("resumed", step=position.step)
        # Judged by the log itself, which every process can read where rank 0 writes it.
        past = (self._home / TRAIN_LOG).read_bytes() if position.log_bytes else b""
        self._guard = Guard(json.loads(line) for line in past[: position.log_bytes].splitlines())
        with (
            self._opened(TRAIN_LOG, position.log_bytes) as log,
            self._opened(EVAL_LOG, position.watch_bytes) as watched,
        ):
            if position.step == 0:
                self._measure(0, 0, watched)
            self._go_on(position, log, watched)
        if self._world.is_main and not (self._out / EVAL_LOG).stat().st_size:
            (self._out / EVAL_LOG).unlink()

    def _opened(self, name: str, size: int) -> BinaryIO:
        """Return a log, cut back to what it was at the checkpoint; for other ranks than 0, one that leads nowhere."""
        if not self._world.is_main:
            return open(os.devnull, "wb")
        handle = (self._out / name).open("ab")
        handle.truncate(size)
        return handle

    def _go_on(self, position: Position, log: BinaryIO, watched: BinaryIO) -> None:
        tokens = position.tokens
        began = saved = noted = time.monotonic()
        for step in range(position.step, self._steps):
            line = self._step(step, tokens)
            tokens = line["tokens"]
            _write(log, line)
            if self._course.trackers is not None:
                self._course.trackers.log(line)
            after = step + 1
            self._measure(after, tokens, watched)
            if self._course.snapshot is not None and after % self._params.snapshot_steps == 0:
                self._course.snapshot(after)
            now = time.monotonic()
            self._seconds, self._tokens = now - began, tokens - position.tokens
            if now - noted >= _SPEED_EVERY or after == self._steps:
                self._note_speed(after)
                noted = now
            loss = "none" if line["loss"] is None else f"{line['loss']:.3f}"
            self._progress.update(after, self._steps, unit="steps", note=f"loss {loss}")
            # Clocks and signals differ by process; what one of them wants, all do.
            wants = [float(self._progress.stop_requested()), float(self._due(after, now - saved))]
            asked, due = (value > 0 for value in self._world.sum(wants))
            stop = asked and after < self._steps
            if stop or due:
                here = Position(after, tokens, self._threads, _synced(log), _synced(watched))
                checkpoint.save(
                    self._work,
                    here,
                    self._parameters,
                    self._optimizer.inner,
                    keep=self._params.checkpoint_keep,
                    world=self._world,
                )
                saved = time.monotonic()
            if stop:
                raise Interrupted(
                    f"stopped after step {after} of {self._steps}; run the same command to go on"
                )

    def _due(self, step: int, seconds: float) -> bool:
        by_steps, by_time = self._params.checkpoint_steps, self._params.checkpoint_seconds
        return bool((by_steps and step % by_steps == 0) or (by_time and seconds >= by_time))

    def _measure(self, step: int, tokens: int, watched: BinaryIO) -> None:
        if self._course.observe is not None:
            self._course.observe(step, self._steps)
        watch = self._course.watch
        if watch is None or not (step == 0 or watch.due(step, self._steps)):
            return
        # To the end, even if a stop is asked for meanwhile: the step before it has no checkpoint yet.
        for line in watch.measure(self._model, self._world, step=step, tokens=tokens):
            _write(watched, line)
            if self._course.trackers is not None:
                key = f"bits_per_character/{line['language']}"
                self._course.trackers.log({"step": step, key: line["bits_per_character"]})

    def _step(self, step: int, tokens: int) -> dict[str, Any]:
        """Do one step and return its line of the log."""
        rate = learning_rate(self._params, step, self._steps)
        self._optimizer.begin(step, rate)
        sums: dict[str, float] = {"loss": 0.0, "tokens": 0.0}
        batches = self._objective.passes(step, self._world.size)
        for batch in self._world.share(batches):
            part = self._backward(step, batches[0] if batch is None else batch, idle=batch is None)
            for name, value in {
                "loss": float(part.loss.detach()),
                "tokens": part.tokens,
                **part.figures,
            }.items():
                sums[name] = sums.get(name, 0.0) + (0.0 if batch is None else value)
        names = sorted(sums)
        sums = dict(zip(names, self._world.sum([sums[name] for name in names]), strict=True))
        self._world.reduce(self._parameters)
        self._optimizer.restrict(step)
        norm = self._world.clip(self._parameters, self._params.clip or math.inf)
        line: dict[str, Any] = {
            "step": step + 1,
            "loss": sums.pop("loss"),
            "lr": rate,
            "grad_norm": norm,
            "tokens": tokens + round(sums.pop("tokens")),
            **sums,
        }
        line = {name: _rounded(value) for name, value in line.items()}
        spike = self._guard.judge(line)
        if spike is not None:
            line |= {"spike": spike.what, **({"skipped": True} if self._params.spike == "skip" else {})}
        self._guard.remember(line)
        if spike is not None:
            self._answer(step, spike)
        if not line.get("skipped"):
            self._optimizer.step()
        return {name: _finite(value) for name, value in line.items()}

    def _backward(self, step: int, batch: Any, *, idle: bool) -> Part:
        """Compute one pass's share of the loss and of the gradients; nothing of it counts if `idle`."""
        kept: list[Part] = []

        def work() -> Tensor:
            kept.append(self._objective.part(self._model, step, batch))
            return kept[0].loss * 0.0 if idle else kept[0].loss

        self._world.forward(self._model, work).backward()  # type: ignore[no-untyped-call]
        return kept[0]

    def _answer(self, step: int, spike: Spike) -> None:
        """Tell of a spike, and stop where that is asked for or nothing else is left."""
        where = f"step {step + 1} of {self._steps}"
        if self._params.spike == "skip":
            if self._guard.skipped >= IN_A_ROW:
                raise StageFailed(
                    f"{where}: {spike}; {IN_A_ROW} steps in a row were left out",
                    "lower lr or lengthen the warm-up; the last checkpoint is kept",
                )
        elif not spike.finite:
            name = "loss" if spike.what == "loss" else "gradient"
            raise StageFailed(
                f"{where}: the {name} is not finite ({spike.value})",
                "lower lr or lengthen the warm-up, or set `spike: skip`; the last checkpoint is kept",
            )
        elif self._params.spike == "stop":
            raise StageFailed(
                f"{where}: {spike}",
                "lower lr or lengthen the warm-up, or set `spike: skip` or `note`; the last checkpoint is kept",
            )
        self._progress.log(f"spike: {where}: {spike}", skipped=self._params.spike == "skip")

    def _note_speed(self, step: int) -> None:
        with (self._out / LOGS / SPEED_LOG).open("a") as handle:
            handle.write(json.dumps({"step": step, **self.performance()}) + "\n")

    def metrics(self) -> dict[str, Any]:
        """Return the figures of the logs; ranks other than 0, which keep none, have none."""
        if not self._world.is_main:
            return {}
        lines = [json.loads(line) for line in (self._out / TRAIN_LOG).read_text("utf-8").splitlines()]
        losses = [line["loss"] for line in lines if line["loss"] is not None]
        tail = losses[-max(1, len(losses) // 10) :]
        found = {
            "steps": len(lines),
            "tokens": lines[-1]["tokens"],
            "first_loss": losses[0] if losses else None,
            "last_loss": _rounded(sum(tail) / len(tail)) if losses else None,
            "parameters": sum(p.numel() for p in self._model.model.parameters()),
            "trained_parameters": sum(p.numel() for p in self._parameters.values()),
            "spikes": sum("spike" in line for line in lines),
            "skipped_steps": sum("skipped" in line for line in lines),
        }
        if (self._out / EVAL_LOG).is_file():
            found["bits_per_character"] = summary(self._out / EVAL_LOG)
        return found

    def performance(self) -> dict[str, Any]:
        """Return speed and memory of this process so far."""
        return {
            "tokens_per_second": round(self._tokens / self._seconds, 1) if self._seconds else 0.0,
            "seconds": round(self._seconds, 3),
            "peak_rss": peak_memory(),
            "threads": torch.get_num_threads(),
            "processes": self._world.size,
            "sharding": "fsdp" if self._world.divided else "none",
            "device": str(self._model.compute.device),
            "precision": self._model.compute.name,
        }


def _write(log: BinaryIO, line: dict[str, Any]) -> None:
    log.write((json.dumps(line, allow_nan=False) + "\n").encode())
    log.flush()


def _synced(log: BinaryIO) -> int:
    """Return the length of a log that is on the disk."""
    if log.name != os.devnull:
        os.fsync(log.fileno())
    return log.tell()


def _rounded(value: Any) -> Any:
    """Return a float with six significant digits: what is logged is read by people and plotted."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    """Return None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
