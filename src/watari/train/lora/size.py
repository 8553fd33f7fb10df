"""How many weights a run with adapters trains, before the model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from watari.train.lora.attach import first_new_row, target_layers
from watari.train.settings import LoraParams


def trainable_parameters(folder: Path, lora: LoraParams, new_rows_from: int | None) -> int:
    """Return how many weights `attach` would make trainable in the model of `folder`; only its config is read.

    The others need 4 bytes each (fp32), these 16: weight, gradient and AdamW's two moments.

    Raises:
        UserError: as `attach` does.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    total = sum(
        lora.rank * (layer.in_features + layer.out_features) for layer in target_layers(model, lora).values()
    )
    first = first_new_row(model, lora, new_rows_from)
    if first is not None:
        embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        for table in {id(embedding): embedding, id(head): head}.values():
            total += (table.shape[0] - first) * table.shape[1]
    return total
