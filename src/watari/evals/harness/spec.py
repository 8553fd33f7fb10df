"""The spec of scores that come out of lm-evaluation-harness's files."""

from __future__ import annotations

from typing import Literal

from watari.evals.spec import SpecHead

NAME = "lm-evaluation-harness"


class HarnessSpec(SpecHead):
    """Has nothing of its own: prompt, shots and metric are each task's, and stand in its configuration."""

    family: Literal["harness"]
