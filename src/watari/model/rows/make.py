"""From an init's name to rows, one table at a time: embedding and head of a large model need not be there together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from watari.model.rows.bias import as_likely, log_ratios
from watari.model.rows.drawn import RESIZED, like_base, standard_normal
from watari.model.rows.methods import METHODS, Init, Side, Source
from watari.model.rows.mixture import Mixture
from watari.model.rows.never import Never
from watari.model.rows.parents import (
    first_parent,
    last_parent,
    mean_of_parents,
    weighted_mean_of_parents,
)
from watari.pretrained.graft import Graft

if TYPE_CHECKING:
    from torch import Tensor

_T = TypeVar("_T")
NEVER_TERM = -10_000.0
"""Bias of a row that is never sampled, where the head has a bias; float16 holds it."""


@dataclass(frozen=True)
class Aids:
    """What inits need beside the base's table.

    Args:
        graft: The pieces and their parents.
        tokens: The base's vocabulary entries by id, for `weighted-mean`.
        bias: The direction u (width,), for `count-bias`.
        contexts: Hidden states of the new language (m, width), for `count-bias` on a tied table.
        head_bias: The head has a bias of its own: `count-bias` goes there, and the direction is not used.
        never: A row that is never sampled, for `muted-output`.
        similar: The mixture of `focus` (also for `count-bias-focus`) or `omp`.
        spread: Standard deviation of `random`: the config's initializer_range.
        seed: Of every draw.
    """

    graft: Graft
    tokens: Sequence[str] = ()
    bias: Tensor | None = None
    contexts: Tensor | None = None
    head_bias: bool = False
    never: Never | None = None
    similar: Mixture | None = None
    spread: float = 0.02
    seed: int = 0


def make_rows(init: Init, side: Side, table: Tensor, aids: Aids) -> Tensor:
    """Return the new rows (n, width) of one table, float32, in the order of the pieces' ids.

    Args:
        init: See `METHODS`.
        side: The table is the embedding, the head, or both in one.
        table: The base's rows (rows, width), of any float type; more than the tokenizer's are not looked at.
        aids: What the init needs.

    Raises:
        ValueError: if the init does not go with a tied head, or an aid is missing.
    """
    method = METHODS[init]
    source = {"input": method.input, "output": method.output, "tied": method.tied}[side]
    if source is None:
        raise ValueError(f"{init} gives a token two rows, and a tied table has one")
    table = table[: aids.graft.base_vocabulary]
    rows = _rows(source, side, table, aids)
    if not method.biased or side == "input" or aids.head_bias:
        return rows
    direction = _given(aids.bias, "bias").float()
    shift = log_ratios(aids.graft)[:, None] * direction
    if side == "output":
        return rows + shift
    chained = first_parent(aids.graft).apply(table) + shift
    return as_likely(rows, chained, direction, _given(aids.contexts, "contexts"), table)


def bias_terms(init: Init, head_bias: Tensor, aids: Aids) -> Tensor:
    """Return the new entries (n,) of a head's own bias, float32: made as the output rows are.

    Drawn rows get the mean of the base's entries; a row that is never sampled gets a large negative one.
    """
    import torch

    method, count = METHODS[init], len(aids.graft.pieces)
    base = head_bias[: aids.graft.base_vocabulary].float()
    if method.output == "never":
        return torch.full((count,), NEVER_TERM)
    if method.output == "zero":
        return torch.zeros(count)
    mixed = _mixture(method.output, aids)
    terms = base.mean().repeat(count) if mixed is None else mixed.apply(base)
    return terms + log_ratios(aids.graft) if method.biased else terms


def _rows(source: Source, side: Side, table: Tensor, aids: Aids) -> Tensor:
    import torch

    graft, width = aids.graft, table.shape[1]
    mixed = _mixture(source, aids)
    if mixed is not None:
        return mixed.apply(table)
    if source == "last-focus":
        return (last_parent(graft).apply(table) + _given(aids.similar, "similar").apply(table)) / 2
    if source == "zero":
        return torch.zeros(len(graft.pieces), width)
    if source == "never":
        if aids.head_bias:
            return torch.zeros(len(graft.pieces), width)
        return _given(aids.never, "never").row.repeat(len(graft.pieces), 1)
    draws = "input" if side == "tied" else side
    if source == "random":
        return standard_normal(graft, width, aids.seed, draws) * aids.spread
    return like_base(graft, table, RESIZED if source == "resized" else 1.0, aids.seed, draws)


def _mixture(source: Source, aids: Aids) -> Mixture | None:
    if source == "mean":
        return mean_of_parents(aids.graft)
    if source == "weighted":
        return weighted_mean_of_parents(aids.graft, aids.tokens)
    if source == "last":
        return last_parent(aids.graft)
    if source == "first":
        return first_parent(aids.graft)
    return _given(aids.similar, "similar") if source in ("focus", "omp") else None


def _given(value: _T | None, name: str) -> _T:
    if value is None:
        raise ValueError(f"this init needs `{name}`")
    return value
