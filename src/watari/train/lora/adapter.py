"""The trained adapter as a folder that peft loads onto the model that the stage started from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file
from torch import nn

from watari.artifact import atomic
from watari.train.lora.layers import GrownEmbedding, GrownHead, LoraLinear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = "adapter"
"""The folder's usual name, beside the merged model's files."""
_PREFIX = "base_model.model."


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors` of a model with adapters, before `merge`.

    `peft.PeftModel.from_pretrained(base, folder)` with the model that the stage started from then computes what the merged
    model does. New rows are peft's trainable tokens, tied where the base is. The base's path is left out: peft is given
    the base itself.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    tables = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, GrownEmbedding | GrownHead)
    }
    tensors = {}
    for name, layer in layers.items():
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = layer.lora_A.detach().cpu()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = layer.lora_B.detach().cpu()
    indices = {}
    for name, table in tables.items():
        tensors[f"{_PREFIX}{name}.token_adapter.trainable_tokens_delta"] = table.new.weight.detach().cpu()
        first = len(table.kept.weight)
        indices[name.rpartition(".")[2]] = list(range(first, first + len(table.new.weight)))
    some = next(iter(layers.values()))
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": len(some.lora_A),
        "lora_alpha": some.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "target_modules": _target_names(model, layers),
        "trainable_token_indices": indices or None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    atomic.write_json(folder / "adapter_config.json", config)


def _target_names(model: PreTrainedModel, layers: dict[str, LoraLinear]) -> list[str]:
    """Return the shortest names that mean these layers and no other: `q_proj`, else whole paths."""
    leaves = {name.rpartition(".")[2] for name in layers}
    plain = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    others = {name.rpartition(".")[2] for name in plain if name.removesuffix(".base") not in layers}
    return sorted(layers) if leaves & others else sorted(leaves)
