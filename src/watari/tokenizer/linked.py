"""A text as a doubly linked list of symbols, in which pairs of neighbours are counted and joined many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]
EDGE = 0
"""The symbol between two sequences. All others are numbered from 1 on."""
_GONE = -1
"""The symbol of a place whose content was joined to the one before."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of neighbours, grouped.

    Args:
        keys: The key of each group, ascending.
        weights: What each group weighs.
        begins: Where each group begins in `places`.
        ends: Where it ends.
        places: Places of the left symbols, group by group, in no order within one.
    """

    keys: Array
    weights: Array
    begins: Array
    ends: Array
    places: Array


class LinkedText:
    """Sequences of symbols, one after the other, an edge before, between and behind them.

    Args:
        symbols: The symbols of all sequences; `EDGE` for one that nothing may be joined to.
        lengths: Symbols of each sequence.
        weights: What each sequence weighs.
    """

    def __init__(self, symbols: npt.NDArray[np.int32], lengths: Array, weights: Array) -> None:
        size = len(symbols) + len(lengths) + 1
        self._starts: Array = np.cumsum(lengths + 1) - lengths
        places = np.arange(len(symbols)) + np.repeat(np.arange(1, len(lengths) + 1), lengths)
        self._symbol = np.full(size, EDGE, dtype=np.int32)
        self._symbol[places] = symbols
        self._weight: Array = np.zeros(size, dtype=np.int64)
        self._weight[places] = np.repeat(weights, lengths)
        self._following: Array = np.arange(1, size + 1, dtype=np.int64)
        self._previous: Array = np.arange(-1, size - 1, dtype=np.int64)
        self._following[-1] = size - 1
        self._previous[0] = 0

    def rows(self, places: Array) -> Array:
        """Return the sequence of each place."""
        rows: Array = np.searchsorted(self._starts, places, side="right") - 1
        return rows

    def weigh(self, places: Array) -> int:
        """Return what some places weigh together."""
        return int(self._weight[places].sum())

    def standing(self, places: Array, left: int, right: int) -> Array:
        """Return those of `places` where a pair still stands."""
        stands = (self._symbol[places] == left) & (self._symbol[self._following[places]] == right)
        found: Array = places[stands]
        return found

    def apart(self, places: Array) -> Array:
        """Return `places` (sorted) without those whose left symbol is taken by the one before: leftmost first."""
        clash = self._following[places[:-1]] == places[1:]
        if not clash.any():
            return places
        keep = np.ones(len(places), dtype=bool)
        for index in np.flatnonzero(clash).tolist():
            keep[index + 1] = not keep[index]
        found: Array = places[keep]
        return found

    def join(self, places: Array, new: int) -> None:
        """Join the pair at each place into a new symbol; no two places may share a symbol."""
        gone = self._following[places]
        after = self._following[gone]
        self._symbol[places] = new
        self._symbol[gone] = _GONE
        self._following[places] = after
        self._previous[after] = places

    def pairs(self, wanted: npt.NDArray[np.bool_]) -> Pairs:
        """Return all pairs with a symbol that is `wanted`; the key of a pair is left x len(wanted) + right."""
        places = np.flatnonzero(self._symbol > EDGE)
        left, right = self._symbol[places], self._symbol[self._following[places]]
        chosen = (right > EDGE) & (wanted[left] | wanted[right])
        return self._grouped(left[chosen] * np.int64(len(wanted)) + right[chosen], places[chosen])

    def pairs_of(self, symbol: int, places: Array, size: int) -> Pairs:
        """Return the pairs that hold a symbol, those with an edge too.

        Args:
            symbol: The symbol.
            places: All its places.
            size: One above the highest symbol; the key of a pair is left x size + right.
        """
        before, after = self._previous[places], self._symbol[self._following[places]]
        # Two of it in a row are seen from the right one.
        other = np.flatnonzero(after != symbol)
        keys = [self._symbol[before] * np.int64(size) + symbol, after[other] + np.int64(symbol * size)]
        return self._grouped(np.concatenate(keys), np.concatenate([before, places[other]]))

    def _grouped(self, keys: Array, places: Array) -> Pairs:
        order = np.argsort(keys)
        keys, places = keys[order], places[order]
        new = np.ones(len(keys), dtype=bool)
        np.not_equal(keys[1:], keys[:-1], out=new[1:])
        begins = np.flatnonzero(new)
        weights = np.add.reduceat(self._weight[places], begins)
        return Pairs(keys[begins], weights, begins, np.append(begins[1:], len(keys)), places)
