"""What training needs in memory, from a model's folder and the parameters alone, and what this machine has.

The estimate reads headers and imports no torch: `watari plan` and the runner ask for it too. Per process:

    weights       4 bytes each (fp32 masters), and 2 more for the copy that autocast makes of those it multiplies
    gradients     4 bytes for each that is trained
    optimizer     8 bytes for each that is trained (AdamW's two moments)
    activations   what the layers keep for backward; with activation checkpointing each layer's input, and one layer
    head          one chunk of logits, and the gradient of the output matrix while it is summed
    runtime       the libraries

How near it comes to measured runs is in docs/training.md.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.peak import peak_memory
from watari.train.settings import LoraParams, TrainingParams

if TYPE_CHECKING:
    import torch

_RUNTIME = {"cpu": 450 << 20, "cuda": 900 << 20}
"""torch and transformers themselves (facts/training.md §1: 450-490 MB after import); on a GPU its context and cuBLAS."""
_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_BLOCK = 128
_KEPT_SCORES = 1 << 24
"""As in `kernels.decoder` and `kernels.attention`, which this module must not import: they need torch."""
_CHUNK = {"cpu": 32 << 20, "cuda": 256 << 20}
"""Bytes of one chunk of fp32 logits (`head`)."""


@dataclass(frozen=True)
class Memory:
    """Bytes that one process of a run needs.

    Args:
        parameters, trainable: Weights of the model, and how many of them are trained (of adapters: theirs).
        weights, gradients, optimizer: For these.
        activations, head, runtime: See the module's header.
    """

    parameters: int
    trainable: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    head: int
    runtime: int

    @property
    def known(self) -> int:
        """Bytes that are needed whatever a pass holds; exact."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """All of them."""
        return self.known + self.activations + self.head + self.runtime


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a model folder, from the headers of its safetensors files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header: dict[str, Any] = json.loads(handle.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                shapes[name] = tuple(int(side) for side in entry["shape"])
    return shapes


def token_tables(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tables that have a row for each token: embedding and head, or one if they are tied."""
    rows = int(json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"])
    return {
        name: shape
        for name, shape in tensor_shapes(folder).items()
        # What belongs to a layer has its number in the name.
        if len(shape) == 2 and shape[0] == rows and not any(part.isdigit() for part in name.split("."))
    }


def parameter_count(folder: Path) -> int:
    """Return the number of weights in a model folder."""
    return sum(math.prod(shape) for shape in tensor_shapes(folder).values())


def trainable_count(folder: Path, lora: LoraParams | None, new_rows_from: int | None) -> int:
    """Return how many weights are trained: all, or those of adapters and, where asked for, of a graft's rows."""
    shapes = tensor_shapes(folder)
    if lora is None:
        return sum(math.prod(shape) for shape in shapes.values())
    tables = token_tables(folder)
    count = 0
    for name, shape in shapes.items():
        if len(shape) != 2:
            continue
        if name in tables:
            new = shape[0] - new_rows_from if new_rows_from is not None and lora.new_rows else 0
            count += new * shape[1]
        elif lora.targets == "linear" or any(
            f".{name}".endswith(f".{target}.weight") for target in lora.targets
        ):
            count += lora.rank * (shape[0] + shape[1])
    return count


def training_memory(
    folder: Path,
    *,
    pass_tokens: int,
    sequence: int,
    batch: int,
    lora: LoraParams | None = None,
    trainable: int | None = None,
    new_rows_from: int | None = None,
    checkpoint_activations: bool = False,
    bf16: bool = True,
    device: str = "cpu",
    processes: int = 1,
    divided: bool = False,
) -> Memory:
    """Return what each process of a run is expected to need.

    What a layer of Llama's form keeps for backward was counted tensor by tensor (autograd's saved tensors, each storage
    once), in bytes a token. Through `kernels` on a CPU: 16 · hidden + 4 · key width + 4 · inner with bf16, 24, 8 and 8 in
    fp32, and the attention's scores where they are few. As transformers 5.23 has it: 30, 4 and 8, in fp32 32, 8 and 16.

    Args:
        folder: The model to train.
        pass_tokens: Most tokens of a forward pass; a longer sequence is one pass.
        sequence: Longest sequence.
        batch: Sequences of a step, which may be fewer than a pass could hold.
        lora: Adapters, if they are what is trained.
        trainable: Weights that are trained, where the caller knows.
        new_rows_from: First row of a graft, which adapters leave to be trained whole.
        checkpoint_activations: Keep only each layer's input.
        bf16: Multiply in bfloat16.
        device: "cpu" or "cuda".
        processes: Ranks that share a step.
        divided: The model is divided among them.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    shapes = tensor_shapes(folder)
    count = sum(math.prod(shape) for shape in shapes.values())
    tables = sum(math.prod(shape) for shape in token_tables(folder).values())
    matrices = sum(math.prod(shape) for shape in shapes.values() if len(shape) == 2) - tables
    trained = trainable if trainable is not None else trainable_count(folder, lora, new_rows_from)
    hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    table = int(config["vocab_size"]) * hidden
    tokens = max(min(pass_tokens, -(-batch // processes) * sequence), sequence)
    # On a CPU, layers of a known form run through `kernels.decoder`.
    kernels = device == "cpu" and config.get("model_type") in _FAMILIES
    kept = tokens * _kept_by_layer(config, bf16=bf16, kernels=kernels, tokens=tokens, width=sequence)
    if checkpoint_activations:
        activations = layers * tokens * hidden * 4 + kept
    else:
        activations = layers * kept
    # Autocast's copies of what it multiplies live from forward to backward (the kernels make theirs anew); so does the head's.
    casts = 2 * (table if kernels else matrices + table) if bf16 else 0
    share = processes if divided else 1
    gathered = 4 * (count - matrices + matrices // layers) if divided else 0
    return Memory(
        parameters=count,
        trainable=trained,
        weights=4 * (count + (trained if lora is not None else 0)) // share,
        gradients=4 * trained // share,
        optimizer=8 * trained // share,
        activations=activations + casts + gathered,
        head=3 * _CHUNK[device] + (4 * table if lora is None else 0) + 10 * tokens * hidden,
        runtime=_RUNTIME[device],
    )


def _kept_by_layer(config: dict[str, Any], *, bf16: bool, kernels: bool, tokens: int, width: int) -> int:
    """Return the bytes that one layer keeps of one token for backward."""
    hidden = int(config["hidden_size"])
    inner = int(config.get("intermediate_size") or 4 * hidden)
    heads = int(config.get("num_attention_heads") or 1)
    keys = hidden * int(config.get("num_key_value_heads") or heads) // heads
    if not kernels:
        return (30 if bf16 else 32) * hidden + (4 if bf16 else 8) * keys + (8 if bf16 else 16) * inner
    # Of each query's scores those of later blocks are never computed: half of them in a long row.
    scores = heads * min(width, (width + _BLOCK) // 2)
    kept = (2 if bf16 else 4) * scores if scores * tokens <= _KEPT_SCORES else 0
    return (16 if bf16 else 24) * hidden + (4 if bf16 else 8) * keys + (4 if bf16 else 8) * inner + kept


def training_bytes(
    folder: Path,
    *,
    pass_tokens: int,
    sequence: int,
    batch: int,
    params: TrainingParams | None = None,
    new_rows_from: int | None = None,
) -> int:
    """Return the bytes that a stage which trains the model in `folder` is expected to need on this machine, all
    processes together: what `STAGE.memory` asks for, so nothing of the device is touched.

    Args:
        folder, pass_tokens, sequence, batch: As `training_memory`.
        params: The stage's parameters, for adapters, activation checkpointing, precision and processes.
        new_rows_from: First row of a graft, where it is known.
    """
    if params is None:
        return training_memory(folder, pass_tokens=pass_tokens, sequence=sequence, batch=batch).total
    each = training_memory(
        folder,
        pass_tokens=pass_tokens,
        sequence=sequence,
        batch=batch,
        lora=params.lora,
        new_rows_from=params.new_rows_from if params.new_rows_from is not None else new_rows_from,
        checkpoint_activations=params.activation_checkpointing,
        bf16=params.precision != "fp32",
        processes=params.processes,
        divided=params.sharding == "fsdp" and params.processes > 1,
    )
    return each.total * params.processes


@dataclass(frozen=True)
class Machine:
    """Memory of the place where training happens, as one process sees it.

    Args:
        place: "this machine" or a GPU's name.
        available: Bytes that can still be had; of a CPU's, this process's share.
        held: Bytes that this process holds already.
    """

    place: str
    available: int
    held: int

    @classmethod
    def of(cls, device: torch.device, *, processes: int = 1) -> Machine:
        """Return what is there now.

        Args:
            device: Where the model lies.
            processes: Ranks on this machine; each GPU is taken by one of them.
        """
        if device.type == "cuda":
            import torch

            free, _ = torch.cuda.mem_get_info(device)
            held = torch.cuda.memory_reserved(device)
            return cls(torch.cuda.get_device_name(device), free, held)
        return cls("this machine", available_memory() // processes, resident_memory())


def available_memory() -> int:
    """Return the bytes that can be allocated on this machine: the kernel's estimate, or what the control group leaves.

    Where neither can be read (not Linux), 4 GiB is assumed.
    """
    found = 4 << 30
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found = int(line.split()[1]) * 1024
    except OSError:
        return found
    group = Path("/sys/fs/cgroup")
    for limit, used in (
        (group / "memory.max", group / "memory.current"),
        (group / "memory/memory.limit_in_bytes", group / "memory/memory.usage_in_bytes"),
    ):
        try:
            # "max" is no number: no limit.
            found = min(found, max(0, int(limit.read_text("ascii")) - int(used.read_text("ascii"))))
        except (OSError, ValueError):
            continue
    return found


def resident_memory() -> int:
    """Return the bytes of this process that are in memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak_memory()
    return pages * os.sysconf("SC_PAGE_SIZE")


def size_words(count: float) -> str:
    """Return a number of bytes as a person reads it: 812 MB, 30.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if round(abs(count), 1) < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
