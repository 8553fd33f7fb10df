"""What lm-evaluation-harness calls for the tasks that `watari eval harness-tasks` wrote: items in, scores out.

It runs in the harness's process, through the `watari_tasks.py` that lies beside the task files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from watari.evals.jaster.metrics import CORRELATIONS, item_metric, number, or_zero
from watari.evals.jaster.postprocess import gold, prediction
from watari.evals.jaster.spec import JasterSpec
from watari.evals.spec import load_spec


def load(file: Path) -> dict[str, Any]:
    """Return a task's items as the harness wants them: one split, `test`."""
    from datasets import Dataset

    return {
        "test": Dataset.from_list([json.loads(line) for line in file.read_text("utf-8").split("\n") if line])
    }


def score(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Return what each metric makes of an answer; for a correlation, the pair of numbers that goes into it."""
    spec = _spec(doc["spec"])
    pred, right = prediction(results[0], spec.answer), gold(doc["gold"], spec.answer)
    found: dict[str, Any] = {}
    for name in doc["metrics"]:
        if name in CORRELATIONS:
            found[name] = [number(pred), number(right)]
        elif (metric := item_metric(name)) is not None:
            found[name] = float(metric([pred], [right])[0])
    return found


def correlation(name: str, pairs: Sequence[Sequence[float]]) -> float:
    """Return the correlation of answers and right answers, 0 where there is none."""
    import numpy as np

    preds, golds = np.array(pairs, dtype=np.float64).T
    return float(or_zero(CORRELATIONS[name](preds, golds)))


@cache
def _spec(name: str) -> JasterSpec:
    spec = load_spec(name)
    assert isinstance(spec, JasterSpec)
    return spec
