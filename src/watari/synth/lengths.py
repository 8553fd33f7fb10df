"""Is the chosen answer simply the longer one? What a set of pairs says of length, and when to worry.

A model trained on pairs of which length alone predicts the winner learns to write more: the best known fault of
preference data. Three figures, each 0.5 (or 0) where length says nothing:
share of pairs whose chosen answer is longer (ties half), AUC of length over all answers (the chance that a chosen answer
is longer than a rejected one of any pair), point-biserial correlation of length with being chosen.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

ALARM = 0.65
"""Share or AUC from which (or below 1 - which) length is told as predicting the winner."""
FEWEST = 20
"""Pairs below which nothing is told."""


@dataclass(frozen=True)
class LengthReport:
    """What the lengths of a set of pairs say.

    Args:
        pairs: How many there are.
        longer: Share of pairs whose chosen answer is longer; ties count half.
        longer_low, longer_high: Wilson's 95 % interval of it.
        auc: Of length as a predictor of being chosen, over all answers.
        correlation: Point-biserial; 0 where all lengths are the same.
        ratios: Chosen over rejected length at the percentiles 1, 10, 25, 50, 75, 90, 99.
        chosen, rejected: Mean characters.
    """

    pairs: int
    longer: float
    longer_low: float
    longer_high: float
    auc: float
    correlation: float
    ratios: dict[str, float]
    chosen: float
    rejected: float

    @property
    def warning(self) -> str:
        """One line if length alone predicts which answer was chosen; "" if it does not."""
        if self.pairs < FEWEST:
            return ""
        if self.longer_low > 0.5 and max(self.longer, self.auc) > ALARM:
            way = "longer"
        elif self.longer_high < 0.5 and min(self.longer, self.auc) < 1 - ALARM:
            way = "shorter"
        else:
            return ""
        share = self.longer if way == "longer" else 1 - self.longer
        return (
            f"length alone predicts the chosen answer: it is the {way} one in {share:.0%} of pairs"
            f" (AUC {self.auc:.2f}); a model trained on them learns length. Set `length_balance: {{max_ratio: ...}}`,"
            " or take other models"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, rounded, with the warning."""
        return {
            "pairs": self.pairs,
            "chosen_longer": round(self.longer, 4),
            "chosen_longer_low": round(self.longer_low, 4),
            "chosen_longer_high": round(self.longer_high, 4),
            "auc": round(self.auc, 4),
            "correlation": round(self.correlation, 4),
            "ratio": {name: round(value, 3) for name, value in self.ratios.items()},
            "mean_chosen": round(self.chosen, 1),
            "mean_rejected": round(self.rejected, 1),
            "warning": self.warning,
        }


class Lengths:
    """Collects the lengths of pairs."""

    def __init__(self) -> None:
        self._chosen = array("l")
        self._rejected = array("l")

    def add(self, chosen: int, rejected: int) -> None:
        """Take one pair: characters of both sides."""
        self._chosen.append(chosen)
        self._rejected.append(rejected)

    def report(self) -> LengthReport | None:
        """Return what they say, or None if there are none."""
        from watari.stats import wilson

        if not self._chosen:
            return None
        chosen, rejected = np.array(self._chosen, np.float64), np.array(self._rejected, np.float64)
        longer = float(np.mean(chosen > rejected) + np.mean(chosen == rejected) / 2)
        decided = int((chosen != rejected).sum())
        estimate = wilson(int((chosen > rejected).sum()), decided) if decided else None
        low = estimate.low if estimate is not None and estimate.low is not None else 0.0
        high = estimate.high if estimate is not None and estimate.high is not None else 1.0
        both = np.concatenate([chosen, rejected])
        label = np.concatenate([np.ones(len(chosen)), np.zeros(len(rejected))])
        spread = float(both.std())
        correlation = float(np.corrcoef(both, label)[0, 1]) if spread > 0 else 0.0
        ratio = np.percentile(np.maximum(chosen, 1) / np.maximum(rejected, 1), [1, 10, 25, 50, 75, 90, 99])
        return LengthReport(
            pairs=len(chosen),
            longer=longer,
            longer_low=low,
            longer_high=high,
            auc=_auc(chosen, rejected),
            correlation=correlation,
            ratios=dict(zip(("p1", "p10", "p25", "p50", "p75", "p90", "p99"), ratio.tolist(), strict=True)),
            chosen=float(chosen.mean()),
            rejected=float(rejected.mean()),
        )


def _auc(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """Return the chance that one of `positive` is larger than one of `negative`; ties count half (Mann and Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    upto = np.searchsorted(ordered, positive, side="right")
    return float(((below + upto) / 2).mean() / len(negative))
