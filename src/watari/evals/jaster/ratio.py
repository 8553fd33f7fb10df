"""fuzzywuzzy's token_sort_ratio: what llm-jp-eval calls char_f1, exactly, for many pairs at once.

Written anew from its rules (facts/evaluation.md, section 2): characters U+0080...U+00FF fall away, others that are no word
characters become blanks, all is lower-cased, words are sorted; then int(round(100 x ratio)). The ratio is the trap:

- `levenshtein`: python-Levenshtein was installed: 1 - d / n with the distance d of insertions and deletions and both lengths
  together n. (As of 0.21, which stands on rapidfuzz. Before, (n - d) / n: rounded it differs only where n is a multiple of
  80, in one of eight such cases or fewer; no stored run tells them apart.)
- `difflib`: it was not, and fuzzywuzzy fell back on the standard library: 2 x matches / n of its matching blocks, found from
  the longest block outwards, with its `autojunk` where the second text has 200 characters or more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Literal

import numpy as np

from watari.evals.jaster.blocks import AUTOJUNK, block_size, block_sizes
from watari.evals.jaster.lcs import lengths, long_length
from watari.evals.jaster.processing import processed
from watari.evals.jaster.rows import WIDEST, Ints, Texts, rows_of

Backend = Literal["levenshtein", "difflib"]
BACKENDS: tuple[Backend, ...] = ("levenshtein", "difflib")


class Places(defaultdict[str, int]):
    """Texts to numbers from 0, in the order in which they are first asked for."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def of(self, texts: Sequence[str]) -> Ints:
        """Return the number of each text."""
        return np.fromiter(map(self.__getitem__, texts), np.int64, len(texts))


def other_backend(backend: Backend) -> Backend:
    """Return the backend that this is not."""
    return "difflib" if backend == "levenshtein" else "levenshtein"


def token_sort_ratios(
    preds: Sequence[str], golds: Sequence[str], backends: Sequence[Backend]
) -> dict[Backend, Ints]:
    """Return the token_sort_ratio, 0 to 100, of each pair, by backend.

    Args:
        preds, golds: As many of each. Their order matters to difflib.
        backends: Those wanted; most of the work is shared.
    """
    places = Places()
    left, right = places.of(preds), places.of(golds)
    return ratios_between(list(places), left, right, backends)


def ratios_between(
    texts: Sequence[str], left: Ints, right: Ints, backends: Sequence[Backend]
) -> dict[Backend, Ints]:
    """Return the token_sort_ratio of each pair (texts[left[k]], texts[right[k]]), by backend; equal pairs cost one.

    Args:
        texts: No two the same.
        left, right: As many of each.
        backends: Those wanted.
    """
    differ = np.flatnonzero(left != right)
    pairs, which = np.unique(left[differ] * len(texts) + right[differ], return_inverse=True)
    found = {backend: np.full(len(left), 100, np.int64) for backend in backends}
    if len(pairs):
        ends = np.stack(np.divmod(pairs, len(texts)))
        there = np.zeros(len(texts), bool)
        there[ends] = True
        among = np.cumsum(there) - 1
        chosen = processed([texts[place] for place in np.flatnonzero(there).tolist()])
        for backend, ratios in _unequal(chosen, among[ends[0]], among[ends[1]], backends).items():
            found[backend][differ] = ratios[which]
    return found


def _unequal(texts: Texts, left: Ints, right: Ints, backends: Sequence[Backend]) -> dict[Backend, Ints]:
    """Return the ratio of each pair of processed texts."""
    one, other = texts.sizes[left], texts.sizes[right]
    total = one + other
    common, matches = _common(texts, left, right, "difflib" in backends)
    above = np.maximum(total, 1)
    equal, empty = (
        2 * common == total,
        (one == 0) | (other == 0),
    )  # different texts may be processed to the same
    ratios = {}
    for backend in backends:
        ratio = 1.0 - (total - 2 * common) / above if backend == "levenshtein" else 2.0 * matches / above
        rounded = np.rint(100.0 * ratio).astype(np.int64)  # half to even, like round()
        ratios[backend] = np.where(equal, 100, np.where(empty, 0, rounded))
    return ratios


def _common(texts: Texts, left: Ints, right: Ints, blocks: bool) -> tuple[Ints, Ints]:
    """Return the length of each pair's longest common subsequence, and how much difflib's blocks hold, if it is wanted."""
    common = np.zeros(len(left), np.int64)
    one, other = texts.sizes[left], texts.sizes[right]
    matches = common.copy()
    narrow = np.flatnonzero(other <= WIDEST)
    for rows in rows_of(texts, left[narrow], right[narrow]):
        places = narrow[rows.pairs]
        common[places] = found = lengths(rows)
        if blocks:
            matches[places] = block_sizes(rows, found)
    swapped = np.flatnonzero((other > WIDEST) & (one <= WIDEST))
    for rows in rows_of(texts, right[swapped], left[swapped]):
        common[swapped[rows.pairs]] = lengths(rows)
    for place in np.flatnonzero((other > WIDEST) & (one > WIDEST)).tolist():
        common[place] = long_length(texts.text(left[place]), texts.text(right[place]))
    if blocks:
        for place in np.flatnonzero(other > WIDEST).tolist():
            most = int(common[place])
            known = most < 2 and other[place] < AUTOJUNK
            ends = texts.text(left[place]), texts.text(right[place])
            matches[place] = most if known else block_size(*ends, most)
    return common, matches
