"""Which cells are worth having: the Pareto front of leakage and quality, and which of them are not told apart.

The front is of the figures as they came out; how often a cell is on it when the prompts are drawn anew says how much of that
is chance. A cell is told apart from the best one where the paired difference by prompt is significant at 5 % over all cells
at once (Holm), by Student's t and by sign flips, whichever says less: few prompts then never say much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watari.leakage.sweep.figures import JUDGE, LEAKING, SOUND, Figures, Sums, drawn
from watari.stats.paired import PairedDifference, PairedStratum, paired_differences
from watari.stats.power import LEVEL, POWER
from watari.stats.resampling import Floats
from watari.stats.ties import holm

ROUNDS = 500


@dataclass(frozen=True)
class Against:
    """A cell against another one.

    Args:
        value: Its figure minus the other's, averaged over prompts.
        low, high: Of the paired bootstrap; None with one prompt.
        p: Corrected over all cells; None where nothing can be said.
        apart: True if they are told apart.
        stderr: Of the value; None as the interval.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    apart: bool
    stderr: float | None = None


@dataclass(frozen=True)
class Standing:
    """Where a cell stands.

    Args:
        on_front: True if no other cell is better in one and not worse in the other.
        front_share: Share of draws in which it is.
        leakage, quality: Against the best cell of each; None: it is that cell, or has no figure.
        from_default: Leakage against the default's; None without one, or if it is that.
    """

    on_front: bool
    front_share: float
    leakage: Against | None
    quality: Against | None
    from_default: Against | None


@dataclass(frozen=True)
class Front:
    """The whole comparison.

    Args:
        leakage, quality: The two metrics.
        best_leakage, best_quality: Names of the cells with the best figures.
        standings: By cell's name; cells without answers have none.
    """

    leakage: str
    quality: str
    best_leakage: str
    best_quality: str
    standings: dict[str, Standing]

    @property
    def not_apart(self) -> tuple[str, ...]:
        """Cells that are not told apart from the least leaking one, itself first."""
        others = [
            name
            for name, one in self.standings.items()
            if name != self.best_leakage and one.leakage is not None and not one.leakage.apart
        ]
        return (self.best_leakage, *others)


def front_of(figures: Figures, *, default: str | None = None, seed: int = 0) -> Front:
    """Return how the cells stand to each other.

    Args:
        figures: Of all cells; at least one has a figure of both metrics.
        default: Name of the default cell.
        seed: Of the draws.

    Raises:
        ValueError: if no cell has answers.
    """
    quality = JUDGE if JUDGE in figures.sums else SOUND
    if LEAKING not in figures.sums:
        raise ValueError("no cell has answers")
    leaks, good = figures.sums[LEAKING], figures.sums[quality]
    names = [cell.name for cell in figures.cells]
    known = [
        place
        for place in range(len(names))
        if np.isfinite(leaks.values[place]) and np.isfinite(good.values[place])
    ]
    if not known:
        raise ValueError("no cell has answers")
    best_leak = min(known, key=lambda place: (leaks.values[place], -good.values[place], place))
    best_good = min(known, key=lambda place: (-good.values[place], leaks.values[place], place))
    on_front = front(leaks.values[known], good.values[known])
    shares = _shares(leaks, good, known, seed) if len(figures.prompts) > 1 else on_front.astype(np.float64)
    first = names.index(default) if default in names else None
    against_leak = against(leaks, known, best_leak, seed)
    against_good = against(good, known, best_good, seed)
    against_default = against(leaks, known, first, seed) if first in known else {}
    return Front(
        LEAKING,
        quality,
        names[best_leak],
        names[best_good],
        {
            names[place]: Standing(
                bool(on_front[at]),
                float(shares[at]),
                against_leak.get(place),
                against_good.get(place),
                against_default.get(place),
            )
            for at, place in enumerate(known)
        },
    )


def front(leakage: Floats, quality: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which points no other one dominates: less or equal leakage, more or equal quality, one of them strictly."""
    order = np.lexsort((-quality, leakage))
    keep = np.zeros(len(leakage), dtype=np.bool_)
    best, at = -np.inf, np.nan
    for place in order:
        if quality[place] > best:
            best, at = quality[place], leakage[place]
            keep[place] = True
        elif quality[place] == best and leakage[place] == at:
            keep[place] = True
    return keep


def against(sums: Sums, known: list[int], other: int | None, seed: int) -> dict[int, Against]:
    """Return each cell's difference to another one, over the prompts that both answered."""
    if other is None:
        return {}
    values = sums.by_prompt
    pairs = [place for place in known if place != other]
    common = np.isfinite(values) & np.isfinite(values[:, [other]])
    pairs = [place for place in pairs if common[:, place].any()]
    if not pairs:
        return {}
    both = common[:, pairs]
    differences = np.where(both, values[:, pairs] - values[:, [other]], 0.0)
    stratum = PairedStratum("prompts", differences, both.astype(np.float64), np.ones(len(pairs)))
    found = paired_differences([stratum], seed=seed, rounds=ROUNDS)
    adjusted = holm([_p(one) for one in found])
    return {
        place: Against(
            one.value,
            one.low,
            one.high,
            None if one.p_t is None else p,
            one.p_t is not None and p < LEVEL,
            one.stderr,
        )
        for place, one, p in zip(pairs, found, adjusted, strict=True)
    }


def smallest_told_apart(one: Against) -> float | None:
    """Return the difference that such data would tell apart in four of five times; None where nothing is known."""
    from statistics import NormalDist

    normal = NormalDist()
    return one.stderr * (normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)) if one.stderr else None


def _p(one: PairedDifference) -> float:
    found = [p for p in (one.p_t, one.p_permutation) if p is not None]
    return max(found, default=1.0)


def _shares(leaks: Sums, good: Sums, known: list[int], seed: int) -> Floats:
    """Return in which share of draws each known cell is on the front."""
    leakage = drawn(leaks, seed=seed, rounds=ROUNDS)[:, known]
    quality = drawn(good, seed=seed, rounds=ROUNDS)[:, known]
    hits = np.zeros(len(known))
    for a, b in zip(leakage, quality, strict=True):
        hits += front(a, b)
    return hits / ROUNDS
