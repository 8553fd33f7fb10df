"""How far two raters agree: in ranks (Kendall), in items (Pearson), in values (Krippendorff)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Kendall's tau-b of two rankings (ties are corrected for); None where one of them ranks nothing.

    Raises:
        ValueError: if the lengths differ.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} values cannot be paired")
    upper = np.triu_indices(len(a), 1)
    one, other = (_signs(np.asarray(values, np.float64))[upper] for values in (a, b))
    concordance, in_one, in_other = float(one @ other), float(one @ one), float(other @ other)
    return concordance / math.sqrt(in_one * in_other) if in_one and in_other else None


def _signs(values: Floats) -> Floats:
    return np.asarray(np.sign(values[:, None] - values[None, :]), np.float64)


def pearson(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float | None:
    """Return Pearson's r; None where one of the two is constant, or there are fewer than two values.

    Raises:
        ValueError: if the lengths differ.
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"{len(one)} and {len(other)} values cannot be paired")
    if len(one) < 2 or one.min() == one.max() or other.min() == other.max():
        return None
    one, other = one - one.mean(), other - other.mean()
    r = float((one * other).sum()) / math.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return max(-1.0, min(1.0, r))


def krippendorff_alpha(ratings: Sequence[Sequence[float | None]]) -> float | None:
    """Return Krippendorff's alpha for interval data: 1 for full agreement, 0 for what chance gives.

    Unlike r it falls where one rater is more lenient.

    Args:
        ratings: One row a unit, one column a rater; None: not rated. Units with fewer than two ratings say nothing.

    Returns:
        None where there is nothing to pair, or all ratings are the same.

    Source: Krippendorff, Content Analysis (2004), 11.3; with squared differences the pairs of a unit sum to
    2 (m Σx² - (Σx)²), so that no coincidence matrix is needed.
    """
    pairable = [row for row in ([x for x in unit if x is not None] for unit in ratings) if len(row) > 1]
    values = np.array([x for row in pairable for x in row], np.float64)
    if len(values) < 2:
        return None
    values = values - (centre := float(values.mean()))
    observed = math.fsum(_squares(np.array(row) - centre) / (len(row) - 1) for row in pairable) / len(values)
    expected = _squares(values) / (len(values) * (len(values) - 1))
    return 1 - observed / expected if expected > 0 else None


def _squares(values: Floats) -> float:
    """Return the sum of squared differences over all ordered pairs."""
    return 2 * (len(values) * float((values**2).sum()) - float(values.sum()) ** 2)
