"""What training will need in memory, from the folder of the model and the parameters (facts/training.md §4)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_CHUNK_LOGITS = 256 << 20
_RUNTIME = 400 << 20
"""torch and transformers themselves (facts/training.md §1: 450-490 MB after import)."""


def parameter_count(folder: Path) -> int:
    """Return the number of weights in a model folder, from the headers of its safetensors files."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header: dict[str, Any] = json.loads(handle.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                size = 1
                for side in entry["shape"]:
                    size *= int(side)
                total += size
    return total


def training_bytes(folder: Path, *, pass_tokens: int, sequence: int, batch: int) -> int:
    """Return the bytes that training the model in `folder` is expected to need.

    16 bytes a parameter (fp32 weight, gradient and AdamW's two moments), what a forward pass keeps for backward, and one
    chunk of logits. Measured beside it on a CPU: 0.79 GB (bf16) and 0.95 GB (fp32) where it says 0.83.

    Args:
        folder: The model to train.
        pass_tokens: Most tokens of a forward pass; a longer sequence is one pass.
        sequence: Longest sequence.
        batch: Sequences of a step, which may be fewer than a pass could hold.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    inner = int(config.get("intermediate_size", 4 * hidden))
    # Kept a token and layer: 8 fp32 vectors of the residual stream and norms, 8 of bf16 projections, 4 of the MLP.
    activations = (
        max(min(pass_tokens, batch * sequence), sequence)
        * layers
        * (8 * 4 * hidden + 8 * 2 * hidden + 4 * 4 * inner)
    )
    weights = parameter_count(folder) * 16
    return weights + activations + _CHUNK_LOGITS + _RUNTIME
