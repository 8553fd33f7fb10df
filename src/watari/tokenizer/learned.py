"""What learning found: pieces in the order of their ranks, and what each of them saves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Learned:
    """The first k pieces are what a run for k would give.

    Args:
        pieces: Texts (a blank is " "), best first.
        saved: Tokens of the learning text that each piece saved when it was taken, by weight, in 1/`UNIT`
            (`watari.tokenizer.sequences`), the joins that its arrival set off included; int64.
    """

    pieces: list[str]
    saved: npt.NDArray[np.int64]
