"""Where a model keeps its tables of tokens: input embedding, output head and the head's bias, by name in its files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watari.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from watari.model.stream import TensorFiles


_OTHER_HEADS = ("embed_out.weight", "output.weight")
"""Heads of GPT-NeoX and InternLM 2 in files; in transformers 5 both are `lm_head`."""


@dataclass(frozen=True)
class Tables:
    """The tables of one model; names are those of its weight files.

    Args:
        input: The embedding (rows, width).
        output: The head (rows, width); None where the head is tied to the embedding.
        copies: Further names under which a tied matrix stands in the files.
        bias: The head's bias (rows,), if it has one.
        rows: Rows of each.
        width: Width of the residual stream at both ends.
        spread: The config's initializer_range.
    """

    input: str
    output: str | None
    copies: tuple[str, ...]
    bias: str | None
    rows: int
    width: int
    spread: float


def skeleton(folder: Path) -> PreTrainedModel:
    """Return the model of `folder` without weights: parameters on the meta device, buffers computed, evaluation mode.

    Buffers that no file holds (the rotary embedding's frequencies) are made by the model's own constructor.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        with _without_memory():
            model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.float32, trust_remote_code=False
            )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{folder}: transformers makes no causal language model of it: {reason}") from None
    model.eval()  # type: ignore[no-untyped-call]
    return model


def find_tables(model: PreTrainedModel, files: TensorFiles, name: str) -> Tables:
    """Return the tables of `model` (a `skeleton`), found through its own accessors.

    Args:
        model: The model without weights.
        files: Its weights.
        name: How messages call it.

    Raises:
        UserError: if it keeps them in a form that is not understood, or its files and its config disagree.
    """
    from torch import nn

    untyped: Any = model
    embedding, head = untyped.get_input_embeddings(), untyped.get_output_embeddings()
    if not isinstance(embedding, nn.Embedding) or not isinstance(head, nn.Linear):
        raise UserError(
            f"base: {name} ({type(model).__name__}) keeps its embedding as {type(embedding).__name__} and its head as "
            f"{type(head).__name__}: not supported yet in this version"
        )
    places = {id(module): place for place, module in model.named_modules()}
    source = stored_as(f"{places[id(embedding)]}.weight", files.entries)
    target = stored_as(f"{places[id(head)]}.weight", files.entries) or _known(files)
    if source is None and target is not None and head.weight is embedding.weight:
        source, target = target, None
    if source is None:
        raise UserError(f"base: {name}: its weight files hold no {places[id(embedding)]}.weight")
    tied = head.weight is embedding.weight
    if not tied and target is None:
        raise UserError(
            f"base: {name}: config.json says that the head is its own matrix, but its files have none",
            "`watari doctor` says more",
        )
    shape = files.entries[source].shape
    if target is not None and (
        files.entries[target].shape != shape or (tied and not _same(files, source, target))
    ):
        raise UserError(
            f"base: {name}: {target} {files.entries[target].shape} does not go with {source} {shape}"
            + (" although config.json ties them" if tied else ""),
            "`watari doctor` says more",
        )
    bias = None
    if head.bias is not None:
        bias = stored_as(f"{places[id(head)]}.bias", files.entries)
    return Tables(
        input=source,
        output=None if tied else target,
        copies=(target,) if tied and target is not None else (),
        bias=bias,
        rows=shape[0],
        width=shape[1],
        spread=float(getattr(model.config.get_text_config(), "initializer_range", None) or 0.02),
    )


def stored_as(name: str, stored: Collection[str]) -> str | None:
    """Return the name under which files hold the parameter `name`, or None.

    Files written from the inner model lack its prefix ("wte.weight" for "transformer.wte.weight"); those written from
    an outer one have one more.
    """
    if name in stored:
        return name
    near = [other for other in stored if name.endswith(f".{other}") or other.endswith(f".{name}")]
    return near[0] if len(near) == 1 else None


def _known(files: TensorFiles) -> str | None:
    """Return the head by the names that transformers changes while it loads."""
    return next((name for name in files.entries if name in _OTHER_HEADS), None)


def _same(files: TensorFiles, one: str, two: str) -> bool:
    import torch

    rows = files.entries[one].shape[0]
    step = 4096
    return all(
        torch.equal(files.rows(one, part), files.rows(two, part))
        for part in (range(start, min(start + step, rows)) for start in range(0, rows, step))
    )


@contextmanager
def _without_memory() -> Iterator[None]:
    """Let every parameter that is registered land on the meta device, and leave buffers where they are made."""
    import torch
    from torch import nn

    untyped: Any = nn.Module
    register = untyped.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta:
            parameter = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
        register(module, name, parameter)

    untyped.register_parameter = on_meta
    try:
        yield
    finally:
        untyped.register_parameter = register
