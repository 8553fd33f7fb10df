"""Connected components by union-find; every root is the smallest number of its component."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit

Numbers = npt.NDArray[np.uint32]


def singles(size: int) -> Numbers:
    """Return uint32[size]: the parents of `size` nodes that are not joined to any other."""
    return np.arange(size, dtype=np.uint32)


def join(parents: Numbers, left: Numbers, right: Numbers) -> None:
    """Join the nodes `left[i]` and `right[i]`, in place; the smaller root becomes the larger one's parent."""
    if compiled():
        _join(parents, left, right)
        return
    while len(left):
        left, right = _roots(parents, left), _roots(parents, right)
        apart = left != right
        left, right = left[apart], right[apart]
        np.minimum.at(parents, np.maximum(left, right), np.minimum(left, right))


def flatten(parents: Numbers) -> None:
    """Let every node point to its root, in place: the smallest number of its component."""
    if compiled():
        _flatten(parents)
        return
    for start in range(0, len(parents), 1 << 20):
        part = slice(start, start + (1 << 20))
        parents[part] = _roots(parents, parents[part])


def _roots(parents: Numbers, nodes: Numbers) -> Numbers:
    above = parents[nodes]
    while not np.array_equal(further := parents[above], above):
        parents[nodes] = further  # halves the paths, so that a chain takes the logarithm of its length
        above = parents[nodes]
    return above


@jit
def _root(parents: Numbers, node: np.uint32) -> np.uint32:
    while parents[node] != node:
        parents[node] = parents[parents[node]]  # halves the path for whoever comes next
        node = parents[node]
    return node


@jit
def _join(parents: Numbers, left: Numbers, right: Numbers) -> None:
    for pair in range(len(left)):
        one = _root(parents, left[pair])
        other = _root(parents, right[pair])
        if one < other:
            parents[other] = one
        elif other < one:
            parents[one] = other


@jit
def _flatten(parents: Numbers) -> None:
    for node in range(len(parents)):
        # A parent is never larger than its child, so it points to its root already.
        parents[node] = parents[parents[node]]
