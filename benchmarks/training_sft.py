"""Supervised fine-tuning: `train.sft` against TRL's SFTTrainer, conversations with 5, 20 and 50 % of tokens supervised.

Both sides start from the same folder (a 15M-parameter Llama: 288 wide, 6 layers, 32,000 tied rows), read the same
conversations with the same chat template, and train with bf16 autocast over fp32 weights and fused AdamW, a whole step of 8
conversations at a time. The peer is the fastest of three ways to run the stock trainer (`assistant_only_loss`, no gradient
checkpointing): padded, padded with rows grouped by length, packed (bfd). Ours is `train.sft` as a recipe runs it.

Seconds are the CPU seconds of the steps after the first, by real token (no padding), medians of runs in turn. Peak memory is
that of a process of its own, imports included. Before anything is measured, both sides' fp32 losses of the same
conversations must agree to 1e-4.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sides import arguments, one_thread, peak_of, tell

one_thread()

import numpy as np  # noqa: E402  one_thread() comes before every import that starts threads

SHARES = (0.05, 0.20, 0.50)
STOCK = ("padded", "padded, grouped by length", "packed")
STEP = 8
TEMPLATE = "swallow"
PACKAGES = ("trl", "transformers")


@dataclass(frozen=True)
class Size:
    """What is trained: `steps` of STEP conversations, `median` tokens long or `context` at most, `passed` to a pass."""

    steps: int
    median: int
    context: int
    passed: int
    wide: int
    layers: int


FULL = Size(steps=3, median=300, context=1024, passed=4096, wide=288, layers=6)
QUICK = Size(steps=2, median=32, context=96, passed=384, wide=48, layers=1)


@dataclass(frozen=True)
class Measured:
    """CPU seconds and real tokens of the steps after the first, and the mean loss of the first."""

    seconds: float
    tokens: int
    first_loss: float

    @property
    def per_token(self) -> float:
        """CPU microseconds a real token."""
        return self.seconds / self.tokens * 1e6


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


def conversations(folder: Path, size: Size, share: float) -> list[dict[str, Any]]:
    """Return rows of one question and one reply of random words, the reply about `share` of the tokens.

    Lengths are log-normal (σ 0.6), as those of instruction data roughly are, and end at the context.
    """
    from watari.pretrained import load_tokenizer

    vocabulary = load_tokenizer(folder).get_vocab()
    words = sorted(
        piece[1:] for piece in vocabulary if piece[:1] == "▁" and piece[1:].isascii() and piece[1:].isalpha()
    )
    draw = np.random.Generator(np.random.PCG64(1))
    rows = []
    for index in range(size.steps * STEP):
        # The form of the template itself takes about ten tokens.
        length = int(np.clip(draw.lognormal(np.log(size.median), 0.6), 16, size.context - 24))
        reply = max(2, round((length + 10) * share))
        asked, said = (
            " ".join(words[place] for place in draw.integers(0, len(words), count))
            for count in (max(4, length - reply), reply - 1)
        )
        rows.append(
            {
                "id": f"c{index}",
                "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}],
                "language": "en",
                "source": "made up",
            }
        )
    return rows


# -- ours -----------------------------------------------------------------------------------------------------------


def run_ours(folder: Path, size: Size, rows: list[dict[str, Any]], **given: Any) -> Measured:
    """Run the stage and return what its steps cost."""
    from inputs import artifact

    from watari.artifact.kinds import Kind
    from watari.artifact.rows import write_rows
    from watari.artifact.stage import Inputs, Silent
    from watari.train import sft

    class Watching(Silent):
        """Notes the CPU seconds at the end of every step."""

        def __init__(self) -> None:
            self.ends: list[float] = []

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            if unit == "steps":
                self.ends.append(time.process_time())

    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place, "data"), Path(place, "out")
        out.mkdir()
        write_rows(data / "rows.parquet", Kind.CONVERSATIONS, rows)
        params = sft.Params(
            **{
                "model": "model",
                "data": "data",
                "epochs": 1,
                "batch": STEP,
                "sequence": size.context,
                "pass_tokens": size.passed,
                "schedule": "constant",
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
                "data": [artifact("data", data, Kind.CONVERSATIONS)],
            }
        )
        watching = Watching()
        sft.run(params, inputs, out, watching)
        log = [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]
    return Measured(
        watching.ends[-1] - watching.ends[0], log[-1]["tokens"] - log[0]["tokens"], log[0]["loss"]
    )


def loss_of_ours(folder: Path, size: Size, rows: list[dict[str, Any]]) -> float:
    """Return the mean loss of the rows in fp32, as `train.sft` computes it."""
    import torch

    from watari.pretrained import load_model, load_tokenizer
    from watari.train import sft
    from watari.train.device import choose
    from watari.train.examples import as_sample, control_texts, encoded_row
    from watari.train.language_model import LanguageModel

    tokenizer = load_tokenizer(folder)
    template = tokenizer.get_chat_template()
    control = control_texts(tokenizer)
    samples = [
        as_sample(row["id"], one)
        for row in rows
        for one in encoded_row(row, tokenizer, template, loss_on="assistant", control=control)
    ]
    params = sft.Params(
        model="m", data="d", epochs=1, batch=len(rows), sequence=size.context, pass_tokens=size.passed
    )
    objective = sft.FineTuning(samples, params)
    model = LanguageModel(load_model(folder), choose("cpu", "fp32"))
    with torch.no_grad():
        return sum(float(objective.part(model, 0, batch).loss) for batch in objective.passes(0))


# -- the peer -------------------------------------------------------------------------------------------------------


def stock_trainer(
    folder: Path, size: Size, rows: list[dict[str, Any]], way: str, place: str, **given: Any
) -> Any:
    """Return TRL's trainer on the same rows."""
    import transformers
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoTokenizer, logging
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    tokenizer.pad_token = tokenizer.eos_token
    packed = way == "packed"
    settings: dict[str, Any] = {
        "output_dir": place,
        "use_cpu": True,
        "bf16": True,
        "assistant_only_loss": True,
        "packing": packed,
        "max_length": size.context,
        # The same number of positions in a pass, about the same number of conversations in a step.
        "per_device_train_batch_size": size.passed // size.context if packed else 8,
        "gradient_accumulation_steps": packed_passes(size, rows) if packed else STEP // 8,
        "num_train_epochs": 1,
        "learning_rate": 2e-5,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "logging_steps": 1,
        "disable_tqdm": True,
        **({"train_sampling_strategy": "group_by_length"} if "grouped" in way else {}),
    }
    return SFTTrainer(
        model=str(folder),
        args=SFTConfig(**{**settings, **given}),
        train_dataset=Dataset.from_list([{"messages": row["messages"]} for row in rows]),
        processing_class=tokenizer,
    )


def packed_passes(size: Size, rows: list[dict[str, Any]]) -> int:
    """Return how many passes of packed rows hold the conversations of a step, about."""
    words = sum(len(message["content"].split()) for row in rows for message in row["messages"]) / len(rows)
    return max(1, round(STEP * (words + 12) / size.passed))


def run_stock(folder: Path, size: Size, rows: list[dict[str, Any]], way: str, **given: Any) -> Measured:
    """Run the stock trainer and return what its steps cost."""
    from transformers import PrinterCallback, TrainerCallback

    ends: list[float] = []

    class Watching(TrainerCallback):  # type: ignore[misc]
        """Notes the CPU seconds at the end of every step."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.process_time())

    with tempfile.TemporaryDirectory() as place:
        trainer = stock_trainer(folder, size, rows, way, place, **given)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watching())
        trainer.train()
        log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return Measured(
        ends[-1] - ends[0], round(log[-1]["num_tokens"] - log[0]["num_tokens"]), float(log[0]["loss"])
    )


def loss_of_stock(folder: Path, size: Size, rows: list[dict[str, Any]], way: str) -> float:
    """Return the mean loss of the rows in fp32, as the stock trainer computes it."""
    import torch

    with tempfile.TemporaryDirectory() as place:
        trainer = stock_trainer(folder, size, rows, way, place, bf16=False)
        prepared = list(trainer.train_dataset)
        inputs = trainer.data_collator(prepared)
        with torch.no_grad():
            return float(trainer.compute_loss(trainer.model.eval(), inputs))


# -- measuring ------------------------------------------------------------------------------------------------------


def check_losses(folder: Path, size: Size, rows: list[dict[str, Any]]) -> float:
    """Return by how much the fp32 losses of the same conversations differ at most; 1e-4 is too much."""
    ours = loss_of_ours(folder, size, rows)
    worst = max(abs(ours - loss_of_stock(folder, size, rows, way)) for way in ("padded", "packed"))
    if not worst < 1e-4:
        raise SystemExit(f"the losses of the same conversations differ by {worst:.3g}")
    return worst


def print_peak(side: str, folder: Path, size: Size, rows: list[dict[str, Any]]) -> None:
    """Run one side and print its peak memory in GB."""
    from watari.peak import peak_memory

    if side == "ours":
        run_ours(folder, size, rows)
    else:
        run_stock(folder, size, rows, side)
    print(peak_memory() / 1e9)


def measure(folder: Path, place: Path, size: Size, share: float, repeats: int) -> None:
    """Measure both sides on conversations with this share of supervised tokens and print the claims."""
    rows = conversations(folder, size, share)
    differ = check_losses(folder, size, rows[:8])
    tries = {way: run_stock(folder, size, rows, way) for way in STOCK}
    best = min(STOCK, key=lambda way: tries[way].per_token)
    sides = {
        "ours": partial(run_ours, folder, size, rows),
        "stock": partial(run_stock, folder, size, rows, best),
    }
    sides["ours"]()
    found: dict[str, list[Measured]] = {"ours": [], "stock": [tries[best]]}
    for number in range(repeats):
        for name in sorted(sides, reverse=bool(number % 2)):
            found[name].append(sides[name]())
    cost = {name: statistics.median(one.per_token for one in several) for name, several in found.items()}
    about = (
        f"Llama {size.wide} wide, {size.layers} layers, vocabulary 32,000 tied; {len(rows)} conversations, "
        f"median {size.median} tokens, {STEP} a step; bf16 autocast; fp32 losses agree to {differ:.0e}"
    )
    others = ", ".join(f"{way} {tries[way].per_token:.0f}" for way in STOCK if way != best)
    tell(
        f"SFT, {share:.0%} of tokens supervised",
        cost["ours"],
        cost["stock"],
        unit="CPU µs per real token",
        peer_name=f"SFTTrainer, {best} (its fastest way; {others}):",
        peer_packages=PACKAGES,
        sizes=about,
    )
    rows_file = place / f"rows-{share}.json"
    rows_file.write_text(json.dumps(rows), "utf-8")
    tell(
        f"SFT, {share:.0%} of tokens supervised: peak memory",
        peak_of(__file__, "ours", folder, rows_file, quick=size is QUICK),
        peak_of(__file__, best, folder, rows_file, quick=size is QUICK),
        unit="GB, whole process",
        peer_name=f"SFTTrainer, {best}:",
        peer_packages=PACKAGES,
        sizes=f"{about}; {size.passed:,} positions a pass",
    )


def measure_noise(folder: Path, size: Size, repeats: int) -> None:
    """Measure NEFTune on both sides at 20 % and print the claim, with its share of our step."""
    rows = conversations(folder, size, 0.2)
    way = "padded, grouped by length"
    sides = {
        "ours": partial(run_ours, folder, size, rows, neftune_alpha=5.0),
        "without": partial(run_ours, folder, size, rows),
        "stock": partial(run_stock, folder, size, rows, way, neftune_noise_alpha=5.0),
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats):
        for name in sorted(sides, reverse=bool(number % 2)):
            found[name].append(sides[name]().per_token)
    cost = {name: statistics.median(values) for name, values in found.items()}
    extra = cost["ours"] / cost["without"] - 1
    tell(
        "SFT with NEFTune, 20% of tokens supervised",
        cost["ours"],
        cost["stock"],
        unit="CPU µs per real token",
        peer_name=f"SFTTrainer, {way} (noise by padded row, not by sample):",
        peer_packages=PACKAGES,
        sizes=f"as above; the noise makes our step {extra:+.1%} dearer",
    )


def main() -> None:
    """Measure all of it and print the claims."""

    def more(parser: Any) -> None:
        parser.add_argument("--share", type=float, action="append", help="only this share (may be repeated)")
        parser.add_argument("--peak", metavar="SIDE", help="print one side's peak memory and end")
        parser.add_argument("--model", type=Path, help="with --peak: the model's folder")
        parser.add_argument("--rows", type=Path, help="with --peak: the conversations")

    options = arguments(__doc__, more)
    size = QUICK if options.quick else FULL
    if options.peak:
        print_peak(options.peak, options.model, size, json.loads(options.rows.read_text("utf-8")))
        return
    import torch

    torch.set_num_threads(1)
    repeats = options.repeats or (1 if options.quick else 2)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "model")
        write_model(folder, size)
        for share in options.share or SHARES:
            measure(folder, Path(place), size, share, repeats)
        if not options.share:
            measure_noise(folder, size, repeats)


if __name__ == "__main__":
    main()
