"""Rows out of the base tokens that a piece is spelled with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from watari.model.rows.mixture import Mixture, mixture
from watari.pretrained.graft import Graft

_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SPACE = "\u2581"


def mean_of_parents(graft: Graft) -> Mixture:
    """Return the mean of the parents' rows (Swallow, arXiv 2404.17790 §3; FVT, Gee et al. 2022)."""
    return mixture(graft.parents, [[1 / len(ids)] * len(ids) for ids in graft.parents])


def weighted_mean_of_parents(graft: Graft, tokens: Sequence[str]) -> Mixture:
    """Return the mean of the parents' rows, each by its share of the piece's UTF-8 bytes.

    A rare character is spelled with three byte tokens. In the plain mean they outvote the whole character beside
    them three to one, although each says a third of one; by bytes both characters have one half.

    Args:
        graft: The pieces.
        tokens: The base's vocabulary entries by id, as its tokenizer.json writes them.
    """
    sizes = [[_bytes(tokens[index], graft.family) for index in ids] for ids in graft.parents]
    return mixture(graft.parents, [[size / sum(row) for size in row] for row in sizes])


def last_parent(graft: Graft) -> Mixture:
    """Return the last parent's row: at its place the base's context is complete (facts: tokenizer §7)."""
    return mixture([ids[-1:] for ids in graft.parents], [[1.0]] * len(graft.parents))


def first_parent(graft: Graft) -> Mixture:
    """Return the first parent's row: what the base itself would say next (facts: tokenizer §7)."""
    return mixture([ids[:1] for ids in graft.parents], [[1.0]] * len(graft.parents))


def _bytes(token: str, family: str) -> int:
    if family == "byte-level":
        return max(1, len(token))
    return 1 if _BYTE.fullmatch(token) else max(1, len(token.replace(_SPACE, " ").encode("utf-8")))
