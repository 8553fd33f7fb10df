"""How many responses tell two shares apart, and what answers to the same prompt are worth.

Answers to one prompt are alike: by `icc`, their intraclass correlation. Two settings that are asked the same prompts have
what a prompt does to both in common, by `shared`: the correlation of the prompts' own shares under the one and the other. It
falls out of their difference, whose variance is that of independent responses times

    (1 - icc) + repeats x icc x (1 - shared)

which with `shared` 0, other prompts for each setting, is Kish's 1 + (repeats - 1) icc (1965).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from watari.stats.power import LEVEL, POWER


def two_proportions(p: float, q: float, *, power: float = POWER, level: float = LEVEL) -> int:
    """Return the independent responses that each of two settings needs for shares `p` and `q` to be told apart.

    Two-sided test of two proportions, pooled variance under the null hypothesis (Fleiss, Levin and Paik 2003, 4.1, without
    the continuity correction): 0.10 against 0.07 needs 1,356.

    Raises:
        ValueError: for shares that are equal, or not between 0 and 1.
    """
    if not (0 <= p <= 1 and 0 <= q <= 1) or p == q:
        raise ValueError(f"{p} and {q} are no two different shares")
    normal = NormalDist()
    mean = (p + q) / 2
    null = normal.inv_cdf(1 - level / 2) * math.sqrt(2 * mean * (1 - mean))
    true = normal.inv_cdf(power) * math.sqrt(p * (1 - p) + q * (1 - q))
    return math.ceil(((null + true) / (p - q)) ** 2 - 1e-9)


def power_of_proportions(p: float, q: float, n: float, *, level: float = LEVEL) -> float:
    """Return the chance that `n` independent responses of each setting tell shares `p` and `q` apart."""
    normal = NormalDist()
    mean = (p + q) / 2
    null = normal.inv_cdf(1 - level / 2) * math.sqrt(2 * mean * (1 - mean))
    true = math.sqrt(p * (1 - p) + q * (1 - q))
    if true == 0:
        return 1.0
    return normal.cdf((abs(p - q) * math.sqrt(n) - null) / true)


def design_effect(repeats: float, icc: float, shared: float = 0.0) -> float:
    """Return by how much answers to the same prompts change the variance of a difference of two settings."""
    return (1 - icc) + repeats * icc * (1 - shared)


def repeats_for(independent: int, prompts: int, icc: float, shared: float = 0.0) -> int | None:
    """Return the answers to each prompt that are worth `independent` responses; None: no number of them is.

    Args:
        independent: As `two_proportions` gives it.
        prompts: How many there are.
        icc: Intraclass correlation of answers to one prompt, 0 to 1.
        shared: Correlation of what prompts do under the two settings, 0 to 1.
    """
    room = prompts - independent * icc * (1 - shared)
    if room <= 0:
        return None
    return max(1, math.ceil(independent * (1 - icc) / room - 1e-9))


def intraclass(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the intraclass correlation of values in groups (one-way analysis of variance), at least 0.

    Args:
        groups: The values of each prompt.

    Returns:
        None where no group has two values, there is one group, or all values are equal.
    """
    filled = [group for group in groups if group]
    total = sum(len(group) for group in filled)
    if len(filled) < 2 or total == len(filled):
        return None
    mean = math.fsum(value for group in filled for value in group) / total
    means = [math.fsum(group) / len(group) for group in filled]
    between = math.fsum(len(group) * (own - mean) ** 2 for group, own in zip(filled, means, strict=True))
    within = math.fsum(
        (value - own) ** 2 for group, own in zip(filled, means, strict=True) for value in group
    )
    between /= len(filled) - 1
    within /= total - len(filled)
    # The size that groups of different sizes are worth.
    size = (total - sum(len(group) ** 2 for group in filled) / total) / (len(filled) - 1)
    spread = between + (size - 1) * within
    return None if spread <= 0 else max(0.0, (between - within) / spread)
