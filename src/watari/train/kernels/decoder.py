"""Decoder layers of Llama's form (Llama, Mistral, Qwen 2, Qwen 3) run through this package's kernels.

The modules stay transformers' own, with their parameters in place: `LanguageModel` calls a layer, which calls `run_layer`.
A model is known if every part is of the family's own class, with no hook and no `forward` of its own. Linear layers are
looked at whenever they run: one that is not plain (an adapter in its place, a hook) runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from watari.train.kernels.attention import Span, attend, rotated_heads
from watari.train.kernels.gated import gated_down
from watari.train.kernels.linear import project
from watari.train.kernels.norm import rms_norm

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class Pass:
    """What every layer of one forward pass is given.

    Args:
        cosine, sine: [rows or 1, columns, size] of the rotary embedding.
        spans: Where the sequences are.
        mask: [rows, 1, columns, columns] True where a query sees a key, or None: what comes before it in its span.
        dtype: Type of the matrix products.
        autocast: Makes the context for parts that run as they are.
    """

    cosine: Tensor
    sine: Tensor
    spans: tuple[Span, ...]
    mask: Tensor | None
    dtype: torch.dtype
    autocast: Callable[[], AbstractContextManager[object]]


def known_layers(body: nn.Module) -> list[nn.Module] | None:
    """Return the decoder layers of `body` if it is of a known form and nobody has changed how it runs, else None."""
    untyped: Any = body
    family = next(
        (name for name in FAMILIES if type(body).__module__.endswith(f".{name}.modeling_{name}")), None
    )
    if family is None or not _is_own(body, f"{family}model"):
        return None
    layers = list(untyped.layers)[: untyped.config.num_hidden_layers]
    names = ("rmsnorm", "rotaryembedding")
    if not all(
        _is_own(part, family + name)
        for part, name in zip((untyped.norm, untyped.rotary_emb), names, strict=True)
    ):
        return None
    return layers if all(_is_known_layer(layer, family) for layer in layers) else None


def run_layer(layer: Any, states: Tensor, given: Pass) -> Tensor:
    """Return what the layer makes of `states`, [rows, columns, width] in fp32."""
    states = states + _attention(layer.self_attn, _norm(layer.input_layernorm, states, given), given)
    return states + _feed_forward(layer.mlp, _norm(layer.post_attention_layernorm, states, given), given)


def final_norm(norm: Any, states: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the model's last norm of `states`, [n, width], in `dtype`."""
    return rms_norm(states, norm.weight, norm.variance_epsilon, dtype)


def _attention(module: Any, states: Tensor, given: Pass) -> Tensor:
    size, config = module.head_dim, module.config
    heads, keys = config.num_attention_heads, config.num_key_value_heads
    projected = _projected([module.q_proj, module.k_proj, module.v_proj], states, given)
    if hasattr(module, "q_norm"):
        # A norm of each head, over its size (Qwen 3).
        query, key, value = torch.split(projected, [heads * size, keys * size, keys * size], -1)
        normed = [
            _norm(norm, part.reshape(*part.shape[:-1], -1, size).to(given.cosine.dtype), given).flatten(-2)
            for norm, part in ((module.q_norm, query), (module.k_norm, key))
        ]
        projected = torch.cat([*normed, value], -1)
    query, key, value = rotated_heads(projected, given.cosine, given.sine, heads=heads, keys=keys)
    if query.device.type == "cpu":
        mixed = attend(query, key, value, given.spans, module.scaling, given.mask)
    else:
        mixed = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=given.mask,
            is_causal=given.mask is None,
            scale=module.scaling,
            enable_gqa=heads != keys,
        )
        mixed = mixed.transpose(1, 2).flatten(2)
    return _projected([module.o_proj], mixed, given)


def _feed_forward(module: Any, states: Tensor, given: Pass) -> Tensor:
    joined = _projected([module.gate_proj, module.up_proj], states, given)
    if _is_plain(module.down_proj) and module.down_proj.bias is None:
        flat = gated_down(joined.flatten(0, -2), module.down_proj.weight, given.dtype)
        return flat.view(*states.shape[:-1], -1)
    gate, up = joined.chunk(2, -1)
    return _projected([module.down_proj], silu(gate) * up, given)


def _projected(layers: Sequence[nn.Module], states: Tensor, given: Pass) -> Tensor:
    """Return the outputs of linear layers over the same states, side by side."""
    plain: list[Any] = list(layers)
    if all(_is_plain(layer) for layer in layers) and len({layer.bias is None for layer in plain}) == 1:
        weights, biases = [layer.weight for layer in plain], [layer.bias for layer in plain]
        return project(states.flatten(0, -2), weights, biases, given.dtype).view(*states.shape[:-1], -1)
    with given.autocast():
        outs = [layer(states) for layer in layers]
    return outs[0] if len(outs) == 1 else torch.cat(outs, -1)


def _norm(module: Any, states: Tensor, given: Pass) -> Tensor:
    normed = rms_norm(states.flatten(0, -2), module.weight, module.variance_epsilon, given.dtype)
    return normed.view(states.shape)


def _is_known_layer(layer: Any, family: str) -> bool:
    """True if the layer and its parts are exactly those of the family, whatever the linear layers within them are."""
    attention, unit = layer.self_attn, layer.mlp
    norms = [layer.input_layernorm, layer.post_attention_layernorm]
    norms += [getattr(attention, name) for name in ("q_norm", "k_norm") if hasattr(attention, name)]
    return (
        _is_own(layer, family + "decoderlayer")
        and _is_own(attention, family + "attention")
        and _is_own(unit, family + "mlp")
        and all(_is_own(norm, family + "rmsnorm") for norm in norms)
        and type(unit.act_fn).__name__ in ("SiLU", "SiLUActivation")
    )


def _is_own(module: nn.Module, name: str) -> bool:
    """True if the module is of transformers' class of this name, without hooks or a forward of its own."""
    kind = type(module)
    return (
        kind.__name__.lower() == name
        and kind.__module__.startswith("transformers.models.")
        and _is_untouched(module)
    )


def _is_plain(module: nn.Module) -> bool:
    """True if the module is PyTorch's linear layer and nothing else."""
    return type(module) is nn.Linear and _is_untouched(module)


def _is_untouched(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return not hooked and "forward" not in vars(module)
