"""The clustered, stratified bootstrap of weighted means, for many figures at once.

A draw takes, in each stratum, as many clusters (questions) as there are, with replacement; everything that belongs to
a cluster comes along. In each stratum the mean is taken anew, and the strata keep their shares, as in a mean of means.

Choices:
- Draws are keyed by (seed, stratum's name), over clusters sorted by id. So nothing depends on the order of rows, and
  figures over the same clusters share their draws: differences between them are paired.
- A draw is its counts, so that all figures of a stratum are two matrix products. Scores are rounded to fixed-point
  integers first (error below 1e-9 of the largest): every sum is then exact, hence the same bits on any machine, with
  any number of BLAS threads.
- Of few clusters, or of equal values, a bootstrap says [0, 0]: a false certainty. So there is no interval below `FEWEST`
  clusters (over several strata: below `FEWEST` - 1 degrees of freedom, clusters less strata), nor where no draw differs
  from another (`interval_says`). With 4 clusters a 95 % percentile interval of normal values holds the truth in 79 of
  100 cases, with 3 in 74.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watari.artifact.draws import generator

ROUNDS = 2000
FEWEST = 5
"""Clusters that an interval, or a test, takes."""
CONFIDENCE = 0.95
_STAGE = "stats.resampling"
_CELLS = 2_000_000  # counts held at a time: 16 MB
_CACHED = 400_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stratum:
    """One stratum of some figures; row k of `tops` and `bottoms` belongs to the cluster with the k-th smallest id.

    Args:
        name: Keys the draws.
        tops: Sum of weight x score of each cluster: (clusters, figures).
        bottoms: Sum of weight likewise; 0 where a cluster has nothing valid.
    """

    name: str
    tops: Floats
    bottoms: Floats


def draw_counts(seed: int, name: str, clusters: int, rounds: int = ROUNDS) -> Iterator[Floats]:
    """Yield how often each cluster is drawn: blocks of (draws, clusters) that make up `rounds` together."""
    if rounds * clusters <= _CACHED:
        yield _cached_counts(seed, name, clusters, rounds)
    else:
        yield from _blocks(seed, name, clusters, rounds)


def resampled(stratum: Stratum, *, seed: int, rounds: int = ROUNDS) -> Floats:
    """Return the stratum's mean in each draw: (rounds, figures).

    A draw in which a figure has nothing valid gets the stratum's own mean, a figure without anything valid 0.
    """
    tops, bottoms = stratum.tops, stratum.bottoms
    clusters, figures = tops.shape
    whole = column_sums(bottoms)
    own = np.divide(column_sums(tops), whole, out=np.zeros(figures), where=whole > 0)
    if clusters == 1:
        return np.tile(own, (rounds, 1))
    top, scale = fixed_point(tops)
    # The usual case: nothing invalid, all clusters weigh the same. Then the denominator is no matter of chance.
    even = bool((bottoms == bottoms[0]).all())
    bottom, bottom_scale = fixed_point(bottoms)
    parts = []
    for counts in draw_counts(seed, stratum.name, clusters, rounds):
        above = (counts @ top) / scale
        if even:
            below = np.broadcast_to(whole, above.shape)
        else:
            below = (counts @ bottom) / bottom_scale
        parts.append(np.divide(above, below, out=np.tile(own, (len(counts), 1)), where=below > 0))
    return np.concatenate(parts)


def column_sums(table: Floats) -> Floats:
    """Return the sum of each column, with the same bits however many columns stand beside it."""
    sums: Floats = np.ascontiguousarray(table.T).sum(axis=1)
    return sums


def fixed_point(values: Floats) -> tuple[Floats, Floats]:
    """Return (values as integers in float64, by what to divide), column by column.

    Any sum of as many of them as there are rows, whatever is repeated, is exact in float64.
    """
    largest = np.abs(values).max(axis=0, initial=0.0)
    bits = np.floor(np.log2(np.maximum(largest, 1e-280))) + 1 + math.ceil(math.log2(max(len(values), 2)))
    scale = np.exp2(np.where(largest > 0, 52 - bits, 0.0))
    return np.round(values * scale), scale


def percentile_interval(draws: Floats, *, confidence: float = CONFIDENCE) -> tuple[Floats, Floats, Floats]:
    """Return (standard error, low, high) of each figure, from its draws (rounds, figures).

    The ends are linearly interpolated percentiles, as `numpy.quantile` gives them, several times faster.
    """
    rounds = len(draws)
    places = [(0.5 - confidence / 2) * (rounds - 1), (0.5 + confidence / 2) * (rounds - 1)]
    wanted = sorted({place for p in places for place in (math.floor(p), min(math.floor(p) + 1, rounds - 1))})
    rows = np.ascontiguousarray(draws.T)  # a figure's bits must not depend on how many stand beside it
    ordered = np.partition(rows, wanted, axis=1)
    ends = []
    for place in places:
        first = math.floor(place)
        after = min(first + 1, rounds - 1)
        ends.append(ordered[:, first] + (ordered[:, after] - ordered[:, first]) * (place - first))
    return rows.std(axis=1, ddof=1), ends[0], ends[1]


def interval_says(low: float, high: float, freedom: int) -> bool:
    """Return whether an interval says anything.

    Args:
        low, high: Its ends.
        freedom: Clusters with something valid, less the strata that they stand in.
    """
    return freedom >= FEWEST - 1 and high - low > 1e-12 * max(abs(low), abs(high), 1e-280)


def sorted_places(ids: Sequence[str]) -> dict[str, int]:
    """Return the place of each id among the different ones, sorted."""
    return {name: place for place, name in enumerate(sorted(set(ids)))}


@lru_cache(maxsize=24)
def _cached_counts(seed: int, name: str, clusters: int, rounds: int) -> Floats:
    (block,) = _blocks(seed, name, clusters, rounds)
    block.setflags(write=False)
    return block


def _blocks(seed: int, name: str, clusters: int, rounds: int) -> Iterator[Floats]:
    draws = generator(seed, _STAGE, name)
    step = max(1, _CELLS // clusters)
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        picks = draws.integers(clusters, size=(size, clusters))
        picks += (np.arange(size) * clusters)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)
