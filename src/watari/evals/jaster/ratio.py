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

import difflib
import re
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import ne
from typing import Literal

import numpy as np
import numpy.typing as npt

from watari.evals.jaster.lcs import lcs_lengths

Backend = Literal["levenshtein", "difflib"]
BACKENDS: tuple[Backend, ...] = ("levenshtein", "difflib")
Ints = npt.NDArray[np.int64]

_LATIN_1 = re.compile("[\x80-\xff]+")
_NOT_WORD = re.compile(r"[^\w\n]")
_AUTOJUNK = 200  # characters from which difflib leaves out frequent ones


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
    differ = list(map(ne, preds, golds))
    different = list(compress(zip(preds, golds, strict=True), differ))
    pairs = list(dict.fromkeys(different))
    mask = np.array(differ, bool)
    found: dict[Backend, Ints] = {}
    for backend, ratios in _unequal(pairs, backends).items():
        known = dict(zip(pairs, ratios.tolist(), strict=True))
        found[backend] = np.full(len(preds), 100, np.int64)
        found[backend][mask] = list(map(known.__getitem__, different))
    return found


def _unequal(pairs: Sequence[tuple[str, str]], backends: Iterable[Backend]) -> dict[Backend, Ints]:
    raw: dict[str, int] = {}
    ends = [(raw.setdefault(pred, len(raw)), raw.setdefault(gold, len(raw))) for pred, gold in pairs]
    if not ends:
        return {backend: np.zeros(0, np.int64) for backend in backends}
    texts = processed(list(raw))
    # Different texts may come out the same: ids of the processed ones, so that equality is seen.
    first: dict[str, int] = {}
    same = np.array([first.setdefault(text, place) for place, text in enumerate(texts)], np.int64)
    left, right = same[np.array(ends, np.int64)].T
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    total = sizes[left] + sizes[right]
    common = lcs_lengths(texts, left, right)
    above = np.maximum(total, 1)
    equal, empty = left == right, (sizes[left] == 0) | (sizes[right] == 0)
    ratios = {}
    for backend in backends:
        if backend == "levenshtein":
            ratio = 1.0 - (total - 2 * common) / above
        else:
            ratio = 2.0 * _matches(texts, left, right, common) / above
        rounded = np.rint(100.0 * ratio).astype(np.int64)  # half to even, like round()
        ratios[backend] = np.where(equal, 100, np.where(empty, 0, rounded))
    return ratios


def processed(texts: Sequence[str]) -> list[str]:
    """Return what fuzzywuzzy compares instead of each text: its word characters in lower case, words sorted."""
    joined = "\n".join(texts)
    if joined.count("\n") != len(texts) - 1:  # a line break would become a blank anyhow
        joined = "\n".join(text.replace("\n", " ") for text in texts)
    if not joined.encode("latin-1", "ignore").isascii():
        joined = _LATIN_1.sub("", joined)
    lines = _NOT_WORD.sub(" ", joined).lower().split("\n")
    return [" ".join(sorted(line.split())) if " " in line else line for line in lines]


def _matches(texts: Sequence[str], left: Ints, right: Ints, common: Ints) -> Ints:
    """Return how many characters difflib's matching blocks of each pair hold.

    The blocks are a common subsequence, so none has more than the longest, and one has as much where that is 0 or 1.
    """
    found = common.copy()
    long = np.fromiter((len(text) >= _AUTOJUNK for text in texts), bool, len(texts))
    for place in np.flatnonzero((common > 1) | long[right]).tolist():
        one, other = texts[left[place]], texts[right[place]]
        if len(other) >= _AUTOJUNK:
            blocks = difflib.SequenceMatcher(None, one, other).get_matching_blocks()
            found[place] = sum(block.size for block in blocks)
        else:
            found[place] = matching_characters(one, other, int(common[place]))
    return found


def matching_characters(one: str, other: str, most: int | None = None) -> int:
    """Return how many characters stand in difflib's matching blocks, without its `autojunk`.

    Args:
        one, other: The texts, in difflib's order.
        most: A known upper bound: the search ends where it is reached.
    """
    total = 0
    spans = [(0, len(one), 0, len(other))]
    while spans:
        low, high, other_low, other_high = spans.pop()
        size, start, other_start = _longest(one, other, low, high, other_low, other_high)
        if not size:
            continue
        total += size
        if total == most:
            break
        if low < start and other_low < other_start:
            spans.append((low, start, other_low, other_start))
        if start + size < high and other_start + size < other_high:
            spans.append((start + size, high, other_start + size, other_high))
    return total


def _longest(
    one: str, other: str, low: int, high: int, other_low: int, other_high: int
) -> tuple[int, int, int]:
    """Return the longest block in two spans: its size and where it starts; the first in `one`, then in `other`, of several.

    The shorter span is gone through, and what stands there looked for in the longer.
    """
    size, start, other_start = 0, low, other_low
    if high - low <= other_high - other_low:
        place, find = low, other.find
        while place + size < high:
            at = find(one[place : place + size + 1], other_low, other_high)
            if at < 0:
                place += 1
            else:  # longer than any before
                size, start, other_start = size + 1, place, at
        return size, start, other_start
    place, find = other_low, one.find
    while place + size < other_high:
        at = find(other[place : place + size + 1], low, high)
        if at >= 0:
            size, start = size + 1, at
            continue
        if size:  # as long, but further on in `other`: it counts if it comes earlier in `one`
            at = find(other[place : place + size], low, start + size - 1)
            if at >= 0:
                start = at
        place += 1
    if size:
        if place + size == other_high:  # the last place where as long a one fits
            at = find(other[place : place + size], low, start + size - 1)
            start = at if at >= 0 else start
        other_start = other.find(one[start : start + size], other_low, other_high)
    return size, start, other_start
