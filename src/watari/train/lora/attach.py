"""Adapters into a model and out of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from watari.artifact.draws import generator
from watari.errors import UserError
from watari.train.lora.layers import GrownEmbedding, GrownHead, LoraLinear, TiedHead
from watari.train.settings import LoraParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def attach(
    model: PreTrainedModel, lora: LoraParams, *, new_rows_from: int | None, seed: int, stage: str
) -> dict[str, int]:
    """Freeze the model's weights, give its layers adapters and make its new rows trainable.

    An adapter's A is uniform in ±1/√in (Kaiming with a = √5, peft's default) and its B zero, so that the model computes
    at first what it did. A is drawn from (seed, stage, the layer's name).

    Args:
        model: The model, in place.
        lora: Rank, scale and layers.
        new_rows_from: The first row that a graft added; None: none did.
        seed: The stage's.
        stage: The stage's kind.

    Returns:
        For each table of new rows, by the name of its parameter, its first new row: 0, as it holds no others.

    Raises:
        UserError: if a name in `targets` is no linear layer of the model, or new rows begin behind the last.
    """
    layers = target_layers(model, lora)
    first = first_new_row(model, lora, new_rows_from)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, layer in layers.items():
        drawn = generator(seed, f"{stage} lora A", name).random(
            (lora.rank, layer.in_features), dtype="float32"
        )
        factor = torch.from_numpy(drawn).mul_(2).sub_(1).div_(layer.in_features**0.5)
        _replace(model, name, LoraLinear(layer, factor.to(layer.weight.device), lora.alpha))
    return {} if first is None else _part_tables(model, first)


def merge(model: PreTrainedModel) -> None:
    """Put adapters and new rows into the weights and the plain modules back in place: a model of transformers' own.

    A head that was tied is tied again. Every weight has requires_grad, as in a model just loaded.
    """
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, LoraLinear | GrownEmbedding | GrownHead):
            _replace(model, name, module.merged())
    for name, module in modules.items():
        if isinstance(module, TiedHead):
            untyped: Any = model
            _replace(model, name, module.merged(untyped.get_input_embeddings().weight))
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def target_layers(model: PreTrainedModel, lora: LoraParams) -> dict[str, nn.Linear]:
    """Return the layers that `lora.targets` means, by name, in the model's order.

    A name means every layer that is called so, at the end of its path: `q_proj`, `self_attn.q_proj`.

    Raises:
        UserError: if a name means no layer, or there is no linear layer at all.
    """
    head = _tables(model)[1]
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    there = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
    if not linear:
        raise UserError(
            f"lora: {type(model).__name__} has no linear layers that could take adapters",
            "train it without `lora`",
        )
    if lora.targets == "linear":
        return linear
    chosen: dict[str, nn.Linear] = {}
    for target in lora.targets:
        found = {n: layer for n, layer in linear.items() if n == target or n.endswith(f".{target}")}
        if not found:
            raise UserError(f"lora.targets: the model has no linear layer {target!r}", f"there are: {there}")
        chosen |= found
    if not chosen:
        raise UserError(
            "lora.targets: the list is empty", f"name some of: {there}; or write `targets: linear`"
        )
    return {name: layer for name, layer in linear.items() if name in chosen}


def first_new_row(model: PreTrainedModel, lora: LoraParams, new_rows_from: int | None) -> int | None:
    """Return the first row that is trained whole, or None if no row is.

    Raises:
        UserError: if it lies behind the last row.
    """
    if new_rows_from is None or not lora.new_rows:
        return None
    rows = int(_tables(model)[0].weight.shape[0])
    if new_rows_from > rows:
        raise UserError(
            f"new_rows_from: {new_rows_from:,} is more than the {rows:,} rows of the model's embedding",
            "give the size of the vocabulary before the graft",
        )
    return new_rows_from if new_rows_from < rows else None


def _tables(model: PreTrainedModel) -> tuple[Any, Any]:
    untyped: Any = model
    return untyped.get_input_embeddings(), untyped.get_output_embeddings()


def _part_tables(model: PreTrainedModel, first: int) -> dict[str, int]:
    embedding, head = _tables(model)
    if not isinstance(embedding, nn.Embedding) or not isinstance(head, nn.Linear):
        raise UserError(
            f"lora: {type(model).__name__} keeps its rows as {type(embedding).__name__} and {type(head).__name__}, "
            "whose new rows cannot be trained alone",
            "set `lora: {new_rows: false}`, or train it without `lora`",
        )
    names = {id(module): name for name, module in model.named_modules()}
    grown = GrownEmbedding(embedding, first)
    tied = head.weight is embedding.weight
    _replace(model, names[id(head)], TiedHead(head, grown) if tied else GrownHead(head, first))
    _replace(model, names[id(embedding)], grown)
    return {f"{names[id(table)]}.new.weight": 0 for table in ([embedding] if tied else [embedding, head])}


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)
