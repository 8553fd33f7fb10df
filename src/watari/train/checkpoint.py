"""Checkpoints: fp32 weights, AdamW's state and the position, whole or not there at all.

    work/checkpoint-0000000420/  weights.safetensors  optimizer.safetensors  state.json

A checkpoint is written under a temporary name, synced and renamed, so that one that has its name is complete; the last
two are kept. Loading one and going on gives the bits that an undisturbed run gives: nothing else is carried from step to
step (order, noise and schedule follow from the step's number).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from watari.artifact import atomic
from watari.errors import StageFailed

_KEPT = 2


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Args:
        step: Steps done.
        tokens: Tokens seen.
        threads: CPU threads of the run.
        log_bytes: Length of the training log at that point.
    """

    step: int = 0
    tokens: int = 0
    threads: int = 0
    log_bytes: int = 0


def latest(work: Path) -> Path | None:
    """Return the newest whole checkpoint below `work`, or None."""
    found = sorted(work.glob("checkpoint-*"))
    return found[-1] if found else None


def read_position(checkpoint: Path) -> Position:
    """Return where the run stood that wrote `checkpoint`."""
    return Position(**json.loads((checkpoint / "state.json").read_text("utf-8")))


def save(
    work: Path,
    position: Position,
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> Path:
    """Write a checkpoint and remove all but the last two."""
    work.mkdir(parents=True, exist_ok=True)
    name = f"checkpoint-{position.step:010d}"
    for leftover in work.glob(".writing-*"):
        atomic.remove_tree(leftover)
    temporary = work / f".writing-{name}"
    temporary.mkdir()
    save_file(
        {key: value.detach().cpu() for key, value in parameters.items()}, temporary / "weights.safetensors"
    )
    state = {}
    for key, value in parameters.items():
        for field, tensor in optimizer.state.get(value, {}).items():
            state[f"{field}/{key}"] = tensor.detach().cpu()
    save_file(state, temporary / "optimizer.safetensors")
    atomic.write_json(temporary / "state.json", asdict(position))
    final = work / name
    if final.exists():
        # The same step of the same run: an interruption right after a checkpoint asks for it again.
        atomic.remove_tree(temporary)
        return final
    atomic.publish_folder(temporary, final)
    for old in sorted(work.glob("checkpoint-*"))[:-_KEPT]:
        atomic.remove_tree(old)
    return final


def load(
    checkpoint: Path, parameters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> Position:
    """Put the weights and the optimizer's state of `checkpoint` in place and return where it stood.

    Raises:
        StageFailed: if it belongs to another model.
    """
    weights = load_file(checkpoint / "weights.safetensors")
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in parameters.items()}:
        raise StageFailed(f"{checkpoint}: holds another model's weights", "remove the folder to start anew")
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(weights[key])
    for name, tensor in load_file(checkpoint / "optimizer.safetensors").items():
        field, _, key = name.partition("/")
        parameter = parameters[key]
        # A copy: what safetensors maps from the file is not aligned as the optimizer's own tensors are.
        place = torch.device("cpu") if field == "step" else parameter.device
        optimizer.state[parameter][field] = tensor.clone().to(place)
    return read_position(checkpoint)
