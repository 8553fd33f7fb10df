"""The modules that stand in a model while adapters are trained: a layer with an adapter, a table with new rows.

None is a subclass of what it stands for, so that nobody who looks for plain layers (to fuse them, say) takes one for it.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale · B · A`.

    Args:
        base: The layer; kept as it is.
        a: [rank, in], the first factor.
        alpha: scale · rank.
    """

    def __init__(self, base: nn.Linear, a: Tensor, alpha: float) -> None:
        super().__init__()
        self.base = base
        self.alpha = alpha
        self.scale = alpha / len(a)
        self.lora_A = nn.Parameter(a)
        self.lora_B = nn.Parameter(a.new_zeros(base.out_features, len(a)))

    @property
    def weight(self) -> Tensor:
        """The matrix that it multiplies with, [out, in]; for models that read it instead of calling the layer."""
        return self.base.weight + self.scale * (self.lora_B @ self.lora_A)

    def forward(self, states: Tensor) -> Tensor:
        """Return the layer's output for [..., in] states."""
        # Scaled where it is narrowest: [..., rank].
        inner = nn.functional.linear(states, self.lora_A) * self.scale
        out: Tensor = self.base(states)
        return out + nn.functional.linear(inner, self.lora_B)

    def merged(self) -> nn.Linear:
        """Return the plain layer with the adapter in its weight: the product is taken in fp64 and rounded once."""
        with torch.no_grad():
            product = self.lora_B.double() @ self.lora_A.double()
            self.base.weight.copy_(self.base.weight.double() + self.scale * product)
        return self.base


class GrownEmbedding(nn.Module):
    """An embedding in two tables: the base's rows, frozen, and the new ones, trained.

    Args:
        plain: The whole embedding.
        first: Its first new row.
    """

    def __init__(self, plain: nn.Embedding, first: int) -> None:
        super().__init__()
        self.padding_idx = plain.padding_idx
        self.kept, self.new = _parted(plain, first)

    @property
    def weight(self) -> Tensor:
        """The whole table, [rows, width], through which a gradient reaches the new rows; a copy at each reading."""
        return torch.cat([self.kept.weight, self.new.weight])

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of `ids`, [..., width]; the tables are not joined for it."""
        first = len(self.kept.weight)
        kept, new = self.kept(ids.clamp(max=first - 1)), self.new((ids - first).clamp(min=0))
        return torch.where((ids >= first)[..., None], new, kept)

    def merged(self) -> nn.Embedding:
        """Return the plain embedding."""
        plain: nn.Embedding = _with_rows(self.kept, self.weight.detach())
        plain.padding_idx = self.padding_idx
        return plain


class GrownHead(nn.Module):
    """An output head of its own in two tables, as `GrownEmbedding` is."""

    def __init__(self, plain: nn.Linear, first: int) -> None:
        super().__init__()
        self.bias = plain.bias
        self.kept, self.new = _parted(plain, first)

    @property
    def weight(self) -> Tensor:
        """The whole table, [rows, width]; see `GrownEmbedding.weight`."""
        return torch.cat([self.kept.weight, self.new.weight])

    def forward(self, states: Tensor) -> Tensor:
        """Return the logits of [..., width] states."""
        return nn.functional.linear(states, self.weight, self.bias)

    def merged(self) -> nn.Linear:
        """Return the plain head."""
        plain: nn.Linear = _with_rows(self.kept, self.weight.detach())
        plain.bias = self.bias
        return plain


class TiedHead(nn.Module):
    """An output head that reads an embedding's tables: it has no weights, so that each stands under one name."""

    def __init__(self, plain: nn.Linear, embedding: GrownEmbedding) -> None:
        super().__init__()
        self.bias = plain.bias
        # In a tuple, so that it is no submodule.
        self._embedding = (embedding,)
        self._plain = (_with_rows(plain, torch.empty(0, plain.in_features)),)

    @property
    def weight(self) -> Tensor:
        """The embedding's whole table; see `GrownEmbedding.weight`."""
        return self._embedding[0].weight

    def forward(self, states: Tensor) -> Tensor:
        """Return the logits of [..., width] states."""
        return nn.functional.linear(states, self.weight, self.bias)

    def merged(self, weight: nn.Parameter) -> nn.Linear:
        """Return the plain head, tied to the merged embedding's `weight`."""
        plain: nn.Linear = _with_rows(self._plain[0], weight)
        plain.bias = self.bias
        return plain


def _parted(plain: Any, first: int) -> tuple[Any, Any]:
    """Return the rows below `first`, frozen, and those from there on, each as a module of the same sort."""
    weight = plain.weight.detach()
    kept, new = (_with_rows(plain, rows.clone()) for rows in (weight[:first], weight[first:]))
    kept.weight.requires_grad_(False)
    return kept, new


def _with_rows(plain: Any, rows: Tensor) -> Any:
    """Return a copy of an embedding or a head with another table; a parameter is taken as it is.

    Everything else stays: embeddings of some models scale what they look up.
    """
    weight = rows if isinstance(rows, nn.Parameter) else nn.Parameter(rows)
    # Known to the copying by its identity, the old table is not copied but replaced.
    made = copy.deepcopy(plain, {id(plain.weight): weight})
    if isinstance(plain, nn.Embedding):
        made.num_embeddings, made.padding_idx = len(rows), None
    else:
        made.out_features, made.bias = len(rows), None
    return made
