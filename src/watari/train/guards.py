"""Steps that go wrong: a loss or a gradient far above those before it, or one that is no number at all.

A step is a spike if its loss or its gradient norm is above the median of the last steps by more than `DEVIATIONS` robust
standard deviations (1.4826 · the median absolute deviation) and by more than a share of the median itself. The first is
what tells a spike from a noisy objective (small batches of conversations), the second what keeps a very even run from
calling its own ripples spikes. Judged are the figures as they stand in the log, so that a resumed run judges as an
undisturbed one.

A gradient norm alone says less than a loss, and clipping already bounds its step, so its share is larger.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

WINDOW = 64
"""Steps that a step is compared with."""
LEAST = 16
"""Steps that must have been seen before anything is called a spike."""
DEVIATIONS = 8.0
SHARES: Mapping[str, float] = {"loss": 0.25, "grad_norm": 4.0}
IN_A_ROW = 10
"""Steps left out one after another before a run is given up: the weights themselves are spoilt then."""


@dataclass(frozen=True)
class Spike:
    """What is wrong with a step.

    Args:
        what: "loss" or "grad_norm".
        value: Its value; may be infinite or not a number.
        usual: Median of the last steps, or None if too few have been seen.
    """

    what: str
    value: float
    usual: float | None

    @property
    def finite(self) -> bool:
        """False if the value is no number."""
        return math.isfinite(self.value)

    def __str__(self) -> str:
        name = {"loss": "loss", "grad_norm": "gradient norm"}[self.what]
        if self.usual is None:
            return f"the {name} is {self.value:.4g}"
        return f"the {name} is {self.value:.4g}, the last steps' median {self.usual:.4g}"


class Guard:
    """Judges each step by those before it.

    Args:
        lines: The log of the steps done so far, oldest first; those that were skipped do not count.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        self._seen: dict[str, deque[float]] = {what: deque(maxlen=WINDOW) for what in SHARES}
        self.skipped = 0
        for line in lines:
            self.remember(line)

    def judge(self, line: Mapping[str, float]) -> Spike | None:
        """Return what is wrong with the step of this line of the log, or None."""
        for what in SHARES:
            if not math.isfinite(line[what]):
                return Spike(what, line[what], None)
        for what, share in SHARES.items():
            values = self._seen[what]
            if len(values) < LEAST:
                continue
            usual = statistics.median(values)
            spread = 1.4826 * statistics.median(abs(value - usual) for value in values)
            if line[what] > usual + max(DEVIATIONS * spread, share * abs(usual)):
                return Spike(what, line[what], usual)
        return None

    def remember(self, line: Mapping[str, Any]) -> None:
        """Count a step that is done; `skipped` counts those left out one after another."""
        if line.get("skipped"):
            self.skipped += 1
            return
        self.skipped = 0
        # A spike that was only noted stays out of the figures that the next steps are judged by.
        if not line.get("spike"):
            for what, values in self._seen.items():
                values.append(line[what])
