"""What a stage of this room tells a dataset card: `dataset.json` from its rows' counts and its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from watari.artifact.dataset_facts import (
    DatasetFacts,
    FindingCount,
    ModelFact,
    RowCounts,
    meta_fields,
    read_facts,
    write_facts,
)

__all__ = [
    "DatasetFacts",
    "FindingCount",
    "ModelFact",
    "RowCounts",
    "meta_fields",
    "read_facts",
    "stage_facts",
    "write_facts",
    "write_stage_facts",
]


def stage_facts(
    stage: str,
    counts: RowCounts,
    metrics: Mapping[str, Any],
    *,
    models: Sequence[ModelFact] = (),
    prompts: Mapping[str, str] | None = None,
    checks: str = "",
    more: Mapping[str, Any] | None = None,
) -> DatasetFacts:
    """Return the facts of a dataset that a stage has made.

    Args:
        stage: The stage kind, `synth.translate`.
        counts: Of the rows that were written.
        metrics: The stage's metrics, as every stage of this room has them: rows_in, dropped_by_reason, rungs, findings
            {code: {hard, warn}}, routed, tokens {prompt, completion}, cost; those that it lacks stay empty.
        models: Who wrote, judged, repaired.
        prompts: Prompt name → version.
        checks: The version of the checks that ran; "" if none did.
        more: What only this kind of stage has to say.
    """
    cost = metrics.get("cost")
    return DatasetFacts(
        stage=stage,
        **counts.facts(),
        rows_in=metrics.get("rows_in", 0),
        dropped=dict(metrics.get("dropped_by_reason", {})),
        models=list(models),
        prompts=dict(sorted((prompts or {}).items())),
        checks=checks,
        findings={
            code: FindingCount(hard=found.get("hard", 0), warn=found.get("warn", 0))
            for code, found in sorted(metrics.get("findings", {}).items())
        },
        rungs=[dict(rung) for rung in metrics.get("rungs", ())],
        routed=dict(metrics.get("routed", {})),
        tokens=dict(metrics.get("tokens", {})),
        cost=None if cost is None else round(float(cost), 9),
        more=dict(more or {}),
    )


def write_stage_facts(
    out: Path,
    stage: str,
    counts: RowCounts,
    metrics: Mapping[str, Any],
    *,
    models: Sequence[ModelFact] = (),
    prompts: Mapping[str, str] | None = None,
    checks: str = "",
    more: Mapping[str, Any] | None = None,
) -> DatasetFacts:
    """Write `dataset.json` into `out` and return what it says; the arguments are those of `stage_facts`."""
    facts = stage_facts(stage, counts, metrics, models=models, prompts=prompts, checks=checks, more=more)
    write_facts(out, facts)
    return facts
