"""DPO: `train.dpo` against TRL's DPOTrainer, four pairs a step with long prompts and short replies.

Both sides start from the same folder (a 15M-parameter Llama: 288 wide, 6 layers, 32,000 tied rows), read the same pairs with
the same chat template, and train with bf16 autocast over fp32 weights and fused AdamW. Lengths are log-normal, fitted to
those of JSQuAD (context with question, answer) under the same tokenizer. The peer is the stock trainer without gradient
checkpointing, with its live reference and, in a claim of its own, with reference log-probabilities computed beforehand.
Ours is `train.dpo` as a recipe runs it.

Seconds are the CPU seconds of the steps after the first, medians of runs in turn. "With the reference" adds what was
computed once before them, divided by the steps of one epoch. Peak memory is that of a process of its own, imports included.
Before anything is measured, both sides' fp32 losses and gradient norms on one batch must agree, and in each of our runs, in
bf16, the first loss must be ln 2 to 1e-6.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sides import arguments, one_thread, peak_of, tell

one_thread()

import numpy as np  # noqa: E402  one_thread() comes before every import that starts threads

STEP = 4
TEMPLATE = "swallow"
PACKAGES = ("trl", "transformers")
LIVE, BEFORE = "live reference", "reference log-probabilities computed beforehand"


@dataclass(frozen=True)
class Size:
    """What is trained: `steps` of STEP pairs, prompts `median` tokens long or `context` with a reply at most."""

    steps: int
    median: int
    context: int
    wide: int
    layers: int


FULL = Size(steps=5, median=221, context=1024, wide=288, layers=6)
QUICK = Size(steps=3, median=40, context=128, wide=48, layers=1)


@dataclass(frozen=True)
class Measured:
    """CPU seconds a step, of the steps after the first; CPU seconds a step of what came before; losses, gradient norms."""

    step: float
    once: float
    losses: tuple[float, ...]
    norms: tuple[float, ...]

    @property
    def whole(self) -> float:
        """CPU seconds a step, with what was computed once."""
        return self.step + self.once


# -- what both sides get --------------------------------------------------------------------------------------------


def write_model(folder: Path, size: Size) -> None:
    """Write the model with Mistral's tokenizer (mistral_common ships it) and the chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from watari.artifact.outside import packaged_file
    from watari.generate.templates import PRESETS
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=size.wide,
        intermediate_size=size.wide * 8 // 3,
        num_hidden_layers=size.layers,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=size.context,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), folder)
    settings = folder / "tokenizer_config.json"
    written = json.loads(settings.read_text("utf-8"))
    settings.write_text(json.dumps({**written, "chat_template": PRESETS[TEMPLATE]}), "utf-8")


def preferences(folder: Path, size: Size) -> list[dict[str, Any]]:
    """Return pairs of random words: prompts of log-normal length (σ 0.45), replies about 7 tokens long (σ 0.44)."""
    from watari.pretrained import load_tokenizer

    vocabulary = load_tokenizer(folder).get_vocab()
    words = sorted(
        piece[1:] for piece in vocabulary if piece[:1] == "▁" and piece[1:].isascii() and piece[1:].isalpha()
    )
    draw = np.random.Generator(np.random.PCG64(1))

    def text(median: float, spread: float, most: int) -> str:
        count = int(np.clip(draw.lognormal(np.log(median), spread), 2, most))
        return " ".join(words[place] for place in draw.integers(0, len(words), count))

    return [
        {
            "id": f"p{index}",
            "prompt": [{"role": "user", "content": text(size.median, 0.45, size.context - 64)}],
            "chosen": text(7, 0.44, 29),
            "rejected": text(7, 0.44, 29),
            "language": "en",
            "source": "made up",
        }
        for index in range(size.steps * STEP)
    ]


# -- ours -----------------------------------------------------------------------------------------------------------


def run_ours(folder: Path, size: Size, rows: list[dict[str, Any]], **given: Any) -> Measured:
    """Run the stage and return what its steps cost."""
    from inputs import artifact

    from watari.artifact.kinds import Kind
    from watari.artifact.rows import write_rows
    from watari.artifact.stage import Inputs, Silent
    from watari.train import dpo

    class Watching(Silent):
        """Notes the CPU seconds at the end of every pass of the reference and of every step."""

        def __init__(self) -> None:
            self.passes: list[float] = []
            self.steps: list[float] = []

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            if unit == "steps":
                self.steps.append(time.process_time())
            elif note == "before":
                self.passes.append(time.process_time())

    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place, "data"), Path(place, "out")
        out.mkdir()
        write_rows(data / "rows.parquet", Kind.PREFERENCES, rows)
        params = dpo.Params(
            **{
                "model": "model",
                "data": "data",
                "holdout": 0,
                "batch": STEP,
                "lr": 1e-5,
                "warmup": 0,
                "sequence": size.context,
                "precision": "bf16",
                "device": "cpu",
                "threads": 1,
                "checkpoint_seconds": 0,
                **given,
            }
        )
        inputs = Inputs(
            {
                "model": [artifact("model", folder, Kind.MODEL)],
                "data": [artifact("data", data, Kind.PREFERENCES)],
            }
        )
        watching = Watching()
        dpo.run(params, inputs, out, watching)
        log = [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]
    passes, steps = watching.passes, watching.steps
    # The first pass has nothing to be measured from: the others stand for it.
    once = (passes[-1] - passes[0]) * len(passes) / max(1, len(passes) - 1)
    return Measured(
        (steps[-1] - steps[0]) / max(1, len(steps) - 1),
        once / len(steps),
        tuple(line["loss"] for line in log),
        tuple(line["grad_norm"] for line in log),
    )


# -- the peer -------------------------------------------------------------------------------------------------------


def run_stock(folder: Path, size: Size, rows: list[dict[str, Any]], way: str, **given: Any) -> Measured:
    """Run the stock trainer and return what its steps cost."""
    import transformers
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback, logging
    from trl import DPOConfig, DPOTrainer

    disable_progress_bars()
    logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    os.environ["TQDM_DISABLE"] = "1"
    ends: list[float] = []
    once: list[float] = [0.0]

    class Watching(TrainerCallback):  # type: ignore[misc]
        """Notes the CPU seconds at the end of every step."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    class Timed(DPOTrainer):  # type: ignore[misc]
        """Notes the CPU seconds of the reference's passes."""

        def compute_ref_log_probs(self, *args: Any, **more: Any) -> Any:
            began = time.process_time()
            found = super().compute_ref_log_probs(*args, **more)
            once[0] += time.process_time() - began
            return found

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    tokenizer.pad_token = tokenizer.eos_token
    with tempfile.TemporaryDirectory() as place:
        settings: dict[str, Any] = {
            "output_dir": place,
            "use_cpu": True,
            "bf16": True,
            "precompute_ref_log_probs": way == BEFORE,
            "max_length": size.context,
            "per_device_train_batch_size": STEP,
            "num_train_epochs": 1,
            "learning_rate": 1e-5,
            "lr_scheduler_type": "constant",
            "adam_beta2": 0.95,
            "max_grad_norm": 1.0,
            "optim": "adamw_torch_fused",
            "activation_checkpointing": False,
            "dataloader_pin_memory": False,
            "save_strategy": "no",
            "report_to": "none",
            "logging_steps": 1,
            "disable_tqdm": True,
        }
        trainer = Timed(
            model=str(folder),
            args=DPOConfig(**{**settings, **given}),
            train_dataset=Dataset.from_list(
                [
                    {
                        "prompt": row["prompt"],
                        "chosen": [{"role": "assistant", "content": row["chosen"]}],
                        "rejected": [{"role": "assistant", "content": row["rejected"]}],
                    }
                    for row in rows
                ]
            ),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watching())
        trainer.train()
        log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return Measured(
        (ends[-1] - ends[0]) / max(1, len(ends) - 1),
        once[0] / len(ends),
        tuple(float(entry["loss"]) for entry in log),
        tuple(float(entry["grad_norm"]) for entry in log),
    )


# -- measuring ------------------------------------------------------------------------------------------------------


def check_losses(folder: Path, size: Size, rows: list[dict[str, Any]]) -> float:
    """Return by how much the fp32 losses of two steps over one batch differ; gradient norms must agree to 1 in 1,000."""
    ours = run_ours(folder, size, rows, precision="fp32", epochs=2, batch=len(rows), lr=1e-4)
    stock = run_stock(
        folder,
        size,
        rows,
        LIVE,
        bf16=False,
        num_train_epochs=2,
        per_device_train_batch_size=len(rows),
        learning_rate=1e-4,
    )
    worst = max(abs(a - b) for a, b in zip(ours.losses, stock.losses, strict=True))
    apart = max(abs(a / b - 1) for a, b in zip(ours.norms, stock.norms, strict=True))
    if not (worst < 1e-4 and apart < 1e-3):
        raise SystemExit(f"the sides differ: losses by {worst:.3g}, gradient norms by {apart:.3g}")
    return worst


def checked(measured: Measured) -> Measured:
    """Return a run of ours after making sure that it began at ln 2."""
    if not abs(measured.losses[0] - math.log(2)) < 1e-6:
        raise SystemExit(f"the first loss is {measured.losses[0]}, not ln 2")
    return measured


def print_peak(side: str, folder: Path, size: Size, rows: list[dict[str, Any]]) -> None:
    """Run one side and print its peak memory in GB."""
    from watari.peak import peak_memory

    if side == "ours":
        run_ours(folder, size, rows)
    else:
        run_stock(folder, size, rows, side)
    print(peak_memory() / 1e9)


def measure(folder: Path, place: Path, size: Size, repeats: int) -> None:
    """Measure all sides in turn and print the claims."""
    rows = preferences(folder, size)
    differ = check_losses(folder, size, rows[:STEP])
    runs = {
        "ours": lambda: checked(run_ours(folder, size, rows)),
        "apart": lambda: checked(run_ours(folder, size, rows, share_prompts=False)),
        LIVE: lambda: run_stock(folder, size, rows, LIVE),
        BEFORE: lambda: run_stock(folder, size, rows, BEFORE),
    }
    found: dict[str, list[Measured]] = {name: [] for name in runs}
    for number in range(repeats):
        for name in sorted(runs, reverse=bool(number % 2)):
            found[name].append(runs[name]())
    step = {name: statistics.median(one.step for one in several) for name, several in found.items()}
    whole = {name: statistics.median(one.whole for one in several) for name, several in found.items()}
    about = (
        f"Llama {size.wide} wide, {size.layers} layers, vocabulary 32,000 tied; {STEP} pairs a step, prompts of "
        f"{size.median} tokens (median), replies of 7; bf16 autocast; fp32 losses agree to {differ:.0e}; "
        "ours begins at ln 2 to 1e-6"
    )
    unit = "CPU s per step"

    def claim(name: str, ours: float, theirs: float, peer: str, sizes: str = "as above", **more: Any) -> None:
        tell(
            name,
            ours,
            theirs,
            peer_name=peer,
            sizes=sizes,
            **{"unit": unit, "peer_packages": PACKAGES, **more},
        )

    claim("DPO step", step["ours"], step[LIVE], f"DPOTrainer, {LIVE}:", about)
    claim(
        "DPO with the reference, one epoch",
        whole["ours"],
        whole[LIVE],
        f"DPOTrainer, {LIVE}:",
        "as above; ours with its pass over all pairs before the first step",
    )
    claim(
        "DPO with the reference, both computed beforehand",
        whole["ours"],
        whole[BEFORE],
        f"DPOTrainer, {BEFORE}:",
        f"as above; the step alone {step['ours']:.3g} and {step[BEFORE]:.3g} s",
    )
    claim(
        "DPO step, prompts shared by both replies",
        step["ours"],
        step["apart"],
        "ours with `share_prompts: false`",
        peer_packages=(),
    )
    rows_file = place / "rows.json"
    rows_file.write_text(json.dumps(rows), "utf-8")
    quick = size is QUICK
    claim(
        "DPO: peak memory",
        peak_of(__file__, "ours", folder, rows_file, quick=quick),
        peak_of(__file__, LIVE, folder, rows_file, quick=quick),
        f"DPOTrainer, {LIVE}:",
        unit="GB, whole process",
    )


def main() -> None:
    """Measure all of it and print the claims."""

    def more(parser: Any) -> None:
        parser.add_argument("--peak", metavar="SIDE", help="print one side's peak memory and end")
        parser.add_argument("--model", type=Path, help="with --peak: the model's folder")
        parser.add_argument("--rows", type=Path, help="with --peak: the pairs")

    options = arguments(__doc__, more)
    size = QUICK if options.quick else FULL
    if options.peak:
        print_peak(options.peak, options.model, size, json.loads(options.rows.read_text("utf-8")))
        return
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        write_model(folder, size)
        measure(folder, Path(place), size, options.repeats or (1 if options.quick else 3))


if __name__ == "__main__":
    main()
