"""What all training stages can be told, and the schedule of the learning rate."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.params import RUNTIME, Count, Documents, OneOrMore, StageParams

Precision = Literal["auto", "bf16", "fp32"]
Tracker = Literal["trackio", "wandb", "tensorboard"]


class LoraParams(BaseModel):
    """Low-rank adapters in place of full fine-tuning (Hu et al. 2021, arXiv:2106.09685); merged when the model is saved.

    The defaults are the committed QLoRA runs of Shisa 7B (facts/seed-systems.md §1), without their dropout.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    rank: int = Field(32, ge=1, description="rank of each adapter (Shisa: 32)")
    alpha: float = Field(16.0, gt=0, description="an adapter's product is scaled by alpha / rank (Shisa: 16)")
    targets: list[str] | Literal["linear"] = Field(
        "linear",
        description="names of the layers that get one, e.g. [q_proj, v_proj]; linear: all but the head",
    )
    new_rows: bool = Field(
        True, description="train the rows that a graft added to the embedding and the head, whole"
    )


class TrainingParams(StageParams):
    """Parameters that pre-training, SFT and DPO share. Each stage sets its own defaults where they differ.

    AdamW (0.9, 0.95), weight decay 0.1 and clipping at 1 are Swallow's (facts/seed-systems.md §3), at every stage.
    """

    lr: float = Field(1e-4, gt=0, description="peak learning rate of AdamW")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "cosine",
        description="how the rate goes from its peak to lr_min_ratio · lr: along a cosine or a line, not at all, "
        "or only over the last decay_share of the steps (wsd: warm-up, stable, decay)",
    )
    warmup: float = Field(
        0.0, ge=0, description="linear warm-up: a share of all steps if below 1, else a number of steps"
    )
    lr_min_ratio: float = Field(0.1, ge=0, le=1, description="the last step's rate, as a share of lr")
    decay_share: float = Field(0.2, gt=0, le=1, description="share of the steps over which wsd decays")
    weight_decay: float = Field(
        0.1, ge=0, description="AdamW's decoupled decay, on matrices only (not on norms and biases)"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW: decay of the mean of gradients")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW: decay of the mean of squared gradients")
    eps: float = Field(1e-8, gt=0, description="AdamW: added to the root of the squared gradients")
    clip: float = Field(1.0, ge=0, description="largest norm of a step's gradient; 0: no clipping")
    batch: Count = Field(64, ge=1, description="sequences in a step")
    sequence: Count = Field(2048, ge=8, description="longest sequence, in tokens")
    pass_tokens: Count = Field(
        8192,
        ge=1,
        description="most tokens in one forward pass (one sequence at least); a larger step is accumulated",
    )
    precision: Precision = Field(
        "auto",
        description="auto: bfloat16 autocast where the hardware multiplies it natively, else fp32; "
        "the weights and the optimizer's state are fp32 always",
    )
    lora: LoraParams | None = Field(
        default=None,
        description="train low-rank adapters and merge them at the end; by default all weights are trained",
    )
    new_rows_from: Count | None = Field(
        default=None,
        ge=1,
        description="first id of the rows that a graft added; by default what `model.graft` says of this model",
    )
    lr_new_rows: float | None = Field(
        default=None, gt=0, description="peak rate for those rows, on the same schedule; by default lr"
    )
    z_loss: float = Field(
        0.0,
        ge=0,
        description="weight of (log of the softmax's normaliser)², which keeps logits from drifting (PaLM: 1e-4)",
    )
    spike: Literal["note", "skip", "stop"] = Field(
        "note",
        description="a step whose loss or gradient norm stands far above the last steps' (see `train.guards`): "
        "write it into the log, leave its update out as well, or stop",
    )
    evaluate: Annotated[list[Documents], OneOrMore] = Field(
        default_factory=list,
        description="held-back documents whose bits per character are measured during training, by language",
    )
    evaluate_steps: Count = Field(0, ge=0, description="steps between measurements; 0: ten over the run")
    evaluate_characters: Count = Field(20_000, ge=1, description="characters measured for each language")
    snapshot_steps: Count = Field(
        0,
        ge=0,
        description="also write the model as `snapshots/step-N` every so many steps (for model.average)",
    )
    save_dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="type of the weights written; bfloat16 halves the folder but rounds away small updates "
        "(facts/training.md §1), so keep float32 between training stages",
    )
    device: Annotated[Literal["auto", "cpu", "cuda"], RUNTIME] = Field(
        "auto", description="where to train; auto: a GPU if there is one"
    )
    threads: Annotated[int | None, RUNTIME] = Field(
        None,
        ge=1,
        description="CPU threads; by default all cores that this process may use, or those of the run that is resumed "
        "(another number can change the last bits)",
    )
    checkpoint_seconds: Annotated[float, RUNTIME] = Field(
        300.0, ge=0, description="seconds between checkpoints; 0: only by steps"
    )
    checkpoint_steps: Annotated[int, RUNTIME] = Field(
        0, ge=0, description="steps between checkpoints; 0: only by time"
    )
    checkpoint_keep: Annotated[int, RUNTIME] = Field(
        2, ge=1, description="checkpoints to keep; if the newest is damaged, the one before it is used"
    )
    activation_checkpointing: Annotated[bool, RUNTIME] = Field(
        default=False,
        description="keep only each layer's input for backward and compute the rest again: less memory, ~1/3 more time",
    )
    compile: Annotated[bool, RUNTIME] = Field(
        default=False,
        description="compile the layers with torch.compile; without a C++ compiler the plain form is used, and told",
    )
    processes: Annotated[int, RUNTIME] = Field(
        1,
        ge=1,
        description="processes on this machine: one a GPU, or gloo on a CPU; for several machines see docs/training.md",
    )
    sharding: Annotated[Literal["none", "fsdp"], RUNTIME] = Field(
        "none",
        description="with several processes: a copy of the model in each (none), or one divided among them (FSDP2)",
    )
    trackers: Annotated[list[Tracker], RUNTIME] = Field(
        default_factory=list, description="also send the log to these; each must be installed"
    )
    dry_run: Annotated[bool, RUNTIME] = Field(
        default=False, description="stop after the preflight, before the first step"
    )


def learning_rate(params: TrainingParams, step: int, steps: int) -> float:
    """Return the rate of the step with this number, counted from 0.

    The warm-up climbs linearly and reaches `lr` at its last step; the decay starts from there and would reach
    `lr · lr_min_ratio` at step number `steps`.
    """
    warm = round(params.warmup * steps) if params.warmup < 1 else int(params.warmup)
    if step < warm:
        return params.lr * (step + 1) / warm
    low = params.lr * params.lr_min_ratio
    if params.schedule == "constant":
        return params.lr
    start = max(warm, round(steps * (1 - params.decay_share))) if params.schedule == "wsd" else warm
    if step < start or steps <= start:
        return params.lr
    done = (step - start) / (steps - start)
    share = 0.5 * (1 + math.cos(math.pi * done)) if params.schedule == "cosine" else 1 - done
    return low + (params.lr - low) * share
