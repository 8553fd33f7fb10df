"""Continual pre-training: `train.loop` against transformers' Trainer on the same windows, from the same weights.

A Llama of 288 x 6 layers with 43,176 tied rows (18.4M parameters, the vocabulary of Swallow) takes steps of 32 windows of 256
tokens, 16 to a pass, with fused AdamW, clipping at 1 and a constant rate. Every side runs in a process of its own, from which
its peak memory comes (imports included); sides take turns, and figures are medians over rounds of the CPU seconds of the
steps after the first.

The peer is the stock Trainer with `bf16=True`, with PyTorch's fused attention (transformers' default) and with the plain
form, which is the faster one for rows so short; with `torch_compile=True` (its guide's advice for speed); and in fp32. All
losses must agree: bf16 sides to 2e-3 and fp32 to 1e-2 relative at each step.

The floor is the time of the matrix products alone: 6·N FLOPs a token (the tied head once) at the rate that this model's own
product shapes reach in the same process, between its steps.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sides import arguments, one_thread, tell

one_thread()

import numpy as np  # noqa: E402  one_thread() comes before every import that starts threads

SEQUENCE = 256
RATE = 1e-3


@dataclass(frozen=True)
class Size:
    """What is trained: `steps` of `passes` passes of `rows` windows."""

    steps: int
    passes: int
    rows: int
    vocabulary: int
    wide: int
    inner: int
    layers: int

    @property
    def tokens(self) -> int:
        """Predicted tokens of a step."""
        return self.passes * self.rows * (SEQUENCE - 1)

    @property
    def parameters(self) -> int:
        """Weights that take part in matrix products, the tied head once."""
        return self.vocabulary * self.wide + self.layers * self.wide * (4 * self.wide + 3 * self.inner)


FULL = Size(steps=3, passes=2, rows=16, vocabulary=43_176, wide=288, inner=768, layers=6)
QUICK = Size(steps=2, passes=2, rows=2, vocabulary=1000, wide=48, inner=64, layers=1)


@dataclass(frozen=True)
class Measured:
    """CPU microseconds a token of the steps after the first, peak memory in bytes, the losses of all steps, the floor."""

    microseconds: float
    peak: int
    losses: list[float]
    floor: float | None = None


def new_model(size: Size, attention: str) -> Any:
    """Return the model, with the same weights every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.wide,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.wide // 48,
        num_key_value_heads=size.wide // 48,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    return LlamaForCausalLM(config)


def windows(size: Size) -> Any:
    """Return the ids of all steps, [steps, windows, SEQUENCE]: frequent and rare ones, as in text."""
    draw = np.random.Generator(np.random.PCG64(1))
    shape = (size.steps, size.passes * size.rows, SEQUENCE)
    return np.minimum(draw.zipf(1.2, shape), size.vocabulary - 1).astype(np.int64)


# -- sides ----------------------------------------------------------------------------------------------------------


def ours(size: Size, *, compiled: bool, floor: bool) -> Measured:
    """Train as `train.pretrain` does."""

    from watari.artifact.stage import Silent
    from watari.train.batches import Sample, lay_out, passes
    from watari.train.device import choose, exact
    from watari.train.head import cross_entropy
    from watari.train.language_model import LanguageModel
    from watari.train.loop import train
    from watari.train.objective import Part
    from watari.train.settings import TrainingParams

    ids = windows(size)
    times: list[float] = []
    ceiling: list[float] = []

    class Windows:
        """The objective: mean cross-entropy of a step's windows."""

        steps = size.steps

        def passes(self, step: int, ranks: int = 1) -> Any:
            if floor and step:
                ceiling.append(products(size))
            times.append(time.process_time())
            rows = [
                [Sample(str(n), row.astype(np.int32), np.ones(SEQUENCE, np.bool_))]
                for n, row in enumerate(ids[step])
            ]
            return [lay_out(part) for part in passes(rows, size.rows * SEQUENCE)]

        def part(self, model: LanguageModel, step: int, batch: Any) -> Part:
            hidden = model.hidden(batch)
            loss = cross_entropy(hidden, model.head.weight, batch.targets, model.compute.dtype) / size.tokens
            return Part(loss, len(batch.targets), {})

    params = TrainingParams(
        lr=RATE,
        schedule="constant",
        beta2=0.999,
        weight_decay=0.0,
        clip=1.0,
        checkpoint_seconds=0,
        spike="note",
    )
    ends: list[float] = []

    class Progress(Silent):
        def update(self, done: int, total: int | None = None, *, unit: str = "rows", note: str = "") -> None:
            ends.append(time.process_time())

    with exact(1), tempfile.TemporaryDirectory() as folder:
        compute = choose("cpu", "bf16")
        model = LanguageModel(
            new_model(size, compute.attention(SEQUENCE, packed=False)), compute, compile=compiled
        )
        if compiled and model.uncompiled:
            raise SystemExit(model.uncompiled)
        train(model, Windows(), params, Path(folder), Progress())
        lines = (Path(folder) / "train_log.jsonl").read_text("utf-8").splitlines()
    return measured(size, times, ends, [json.loads(line)["loss"] for line in lines], ceiling)


def trainer(size: Size, *, attention: str, bf16: bool, compiled: bool) -> Measured:
    """Train with transformers' Trainer."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(1)
    rows = [{"input_ids": row, "labels": row} for row in windows(size).reshape(-1, SEQUENCE)]
    begins: list[float] = []
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *given: Any, **named: Any) -> None:
            begins.append(time.process_time())

        def on_step_end(self, *given: Any, **named: Any) -> None:
            ends.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=size.rows,
            gradient_accumulation_steps=size.passes,
            max_steps=size.steps,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=bf16,
            torch_compile=compiled,
            train_sampling_strategy="sequential",
            activation_checkpointing=False,
            use_cpu=True,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            seed=0,
        )
        side = Trainer(
            model=new_model(size, attention), args=arguments, train_dataset=rows, callbacks=[Clock()]
        )
        side.train()
    return measured(
        size, begins, ends, [line["loss"] for line in side.state.log_history if "loss" in line], []
    )


def measured(
    size: Size, begins: list[float], ends: list[float], losses: list[float], ceiling: list[float]
) -> Measured:
    """Return a side's figures from the times of its steps; `ceiling` is in FLOP/s."""
    seconds = statistics.median(end - begin for begin, end in list(zip(begins, ends, strict=True))[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    floor = 6 * size.parameters / statistics.median(ceiling) * 1e6 if ceiling else None
    return Measured(seconds / size.tokens * 1e6, peak, losses, floor)


def products(size: Size) -> float:
    """Return the FLOP/s of bf16 products in the shapes of this model's pass, forward and backward, into warm memory."""
    import torch

    tokens = size.rows * SEQUENCE
    chunk = min(tokens, 768)
    shapes = [(chunk, size.wide, size.vocabulary, 1)] + [
        (tokens, inputs, outputs, size.layers)
        for inputs, outputs in (
            (size.wide, 3 * size.wide),
            (size.wide, size.wide),
            (size.wide, 2 * size.inner),
            (size.inner, size.wide),
        )
    ]
    flops = seconds = 0.0
    for rows, inputs, outputs, layers in shapes:
        states, weight, gradient = (
            torch.randn(shape, dtype=torch.bfloat16)
            for shape in ((rows, inputs), (outputs, inputs), (rows, outputs))
        )
        out = [
            torch.empty(shape, dtype=torch.bfloat16)
            for shape in ((rows, outputs), (rows, inputs), (outputs, inputs))
        ]
        pairs = ((states, weight.T), (gradient, weight), (gradient.T, states))
        times = []
        for _ in range(3):
            began = time.process_time()
            for (left, right), into in zip(pairs, out, strict=True):
                torch.mm(left, right, out=into)
            times.append(time.process_time() - began)
        share = layers * tokens / rows
        flops += share * 6 * rows * inputs * outputs
        seconds += share * min(times)
    return flops / seconds


SIDES: dict[str, Callable[[Size], Measured]] = {
    "ours": lambda size: ours(size, compiled=False, floor=True),
    "ours, compiled": lambda size: ours(size, compiled=True, floor=False),
    "Trainer bf16 sdpa": lambda size: trainer(size, attention="sdpa", bf16=True, compiled=False),
    "Trainer bf16 eager": lambda size: trainer(size, attention="eager", bf16=True, compiled=False),
    "Trainer bf16 compiled": lambda size: trainer(size, attention="sdpa", bf16=True, compiled=True),
    "Trainer fp32": lambda size: trainer(size, attention="sdpa", bf16=False, compiled=False),
}


# -- all of them ----------------------------------------------------------------------------------------------------


def in_a_process(side: str, *, quick: bool) -> Measured:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure all sides and print the claims."""
    options = arguments(__doc__, lambda parser: parser.add_argument("--side", choices=SIDES))
    size = QUICK if options.quick else FULL
    if options.side:
        print(json.dumps(asdict(SIDES[options.side](size))))
        return
    rounds = options.repeats or (1 if options.quick else 3)
    found: dict[str, list[Measured]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
            found[side].append(in_a_process(side, quick=options.quick))
            print(f"{number + 1}/{rounds} {side}: {found[side][-1]}", file=sys.stderr, flush=True)
    check_losses(found)
    report(found, size)


def check_losses(found: dict[str, list[Measured]]) -> None:
    """Make sure that every side has trained the same."""
    want = found["ours"][0].losses
    for side, runs in found.items():
        limit = 1e-2 if "fp32" in side else 2e-3
        for run in runs:
            worst = max(abs(a - b) / a for a, b in zip(want, run.losses, strict=True))
            if not worst < limit:
                raise SystemExit(f"the losses of {side} differ by {worst:.2g}: {run.losses} against {want}")


def report(found: dict[str, list[Measured]], size: Size) -> None:
    """Print a line a claim."""
    speed = {side: statistics.median(run.microseconds for run in runs) for side, runs in found.items()}
    peak = {side: statistics.median(run.peak for run in runs) / 2**20 for side, runs in found.items()}
    floor = statistics.median(run.floor or 0.0 for run in found["ours"])
    sizes = (
        f"Llama {size.wide} wide, {size.layers} layers, vocabulary {size.vocabulary:,} tied; {SEQUENCE} tokens a row, "
        f"{size.rows} rows a pass, {size.passes} passes a step; fused AdamW"
    )
    for mine in ("ours", "ours, compiled"):
        for theirs in (side for side in SIDES if side.startswith("Trainer")):
            tell(
                f"CPT step, {mine} (bf16) against {theirs}",
                speed[mine],
                speed[theirs],
                unit="CPU us per token",
                peer_packages=("transformers",),
                sizes=sizes,
            )
            tell(
                f"CPT peak memory, {mine} (bf16) against {theirs}",
                peak[mine],
                peak[theirs],
                unit="MiB",
                peer_packages=("transformers",),
                sizes=sizes,
            )
        tell(
            f"CPT step, {mine}, against the time of its matrix products alone (ratio: share of the floor's speed)",
            speed[mine],
            floor,
            unit="CPU us per token",
            peer_name=f"6N = {6 * size.parameters / 1e6:.1f} MFLOP a token at {6 * size.parameters / floor / 1e3:.0f} GFLOP/s in bf16",
            sizes=sizes,
        )


if __name__ == "__main__":
    main()
