"""Where words of a list stand in texts: every character of a text is tried as the start of every word at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watari.kernels.jit import compiled, jit
from watari.kernels.texts import Texts

_CODE_BITS = 21


@dataclass(frozen=True)
class Trie:
    """The words of a list, character by character.

    Args:
        roots: int32[0x110000], the node that a first character leads to; 0 for none.
        keys: int64, sorted: node and next character as one number, of every step from one node to another.
        nodes: int32, the node that each step leads to.
        ends: bool, whether a word ends at a node; node 0 is the start, where none does.
    """

    roots: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int64]
    nodes: npt.NDArray[np.int32]
    ends: npt.NDArray[np.bool_]


def trie(words: Sequence[str]) -> Trie:
    """Return the trie of some words, compared code point by code point; an empty word is no word."""
    steps: dict[tuple[int, int], int] = {}
    ends = {0: False}
    for word in words:
        node = 0
        for code in map(ord, word):
            node = steps.setdefault((node, code), len(steps) + 1)
            ends.setdefault(node, False)
        ends[node] = node > 0
    roots = np.zeros(0x110000, np.int32)
    later: dict[int, int] = {}
    for (node, code), child in steps.items():
        if node == 0:
            roots[code] = child
        else:
            later[node << _CODE_BITS | code] = child
    keys = sorted(later)
    return Trie(
        roots,
        np.array(keys, np.int64),
        np.array([later[key] for key in keys], np.int32),
        np.array([ends[node] for node in range(len(ends))], bool),
    )


def longest_matches(texts: Texts, words: Trie) -> npt.NDArray[np.int32]:
    """Return int32[characters]: the length of the longest word that starts at each character, within its text."""
    if compiled():
        return _longest(texts.codes, texts.offsets, words.roots, words.keys, words.nodes, words.ends)
    longest = np.zeros(len(texts.codes), np.int32)
    nodes = words.roots[texts.codes]
    at = np.flatnonzero(nodes)
    nodes = nodes[at]
    stops = texts.offsets[1:][np.searchsorted(texts.offsets, at, side="right") - 1]
    known = np.append(words.keys, -1)  # where a key larger than all would stand
    length = 0
    while len(at):
        length += 1
        ending = words.ends[nodes]
        longest[at[ending]] = length
        going = at + length < stops
        at, nodes, stops = at[going], nodes[going], stops[going]
        keys = (nodes.astype(np.int64) << _CODE_BITS) | texts.codes[at + length]
        step = np.searchsorted(words.keys, keys)
        found = known[step] == keys
        at, nodes, stops = at[found], words.nodes[step[found]], stops[found]
    return longest


def covered(longest: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return bool[characters]: which are part of some word, words that overlap included."""
    starts = np.flatnonzero(longest)
    edges = np.zeros(len(longest) + 1, np.int64)
    edges[starts] += 1
    np.subtract.at(edges, starts + longest[starts], 1)
    return np.cumsum(edges[:-1]) > 0


def hits(texts: Texts, longest: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return int64[n]: words found in each text from left to right, the longest first, none within another."""
    starts = np.flatnonzero(longest)
    found = np.zeros(len(texts), np.int64)
    rows = np.searchsorted(texts.offsets, starts, side="right") - 1
    _count_apart(starts, longest[starts], rows, found)
    return found


@jit
def _count_apart(
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> None:
    free = 0
    for number in range(len(starts)):
        if starts[number] >= free:
            found[rows[number]] += 1
            free = starts[number] + lengths[number]


@jit
def _longest(
    codes: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    roots: npt.NDArray[np.int32],
    keys: npt.NDArray[np.int64],
    nodes: npt.NDArray[np.int32],
    ends: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int32]:
    longest = np.zeros(len(codes), np.int32)
    for row in range(len(offsets) - 1):
        stop = offsets[row + 1]
        for start in range(offsets[row], stop):
            node = np.int64(roots[codes[start]])
            at = start
            while node:
                at += 1
                if ends[node]:
                    longest[start] = at - start
                if at == stop:
                    break
                key = (node << _CODE_BITS) | np.int64(codes[at])
                low, high = 0, len(keys)
                while low < high:
                    middle = (low + high) // 2
                    if keys[middle] < key:
                        low = middle + 1
                    else:
                        high = middle
                node = np.int64(nodes[low]) if low < len(keys) and keys[low] == key else np.int64(0)
    return longest
