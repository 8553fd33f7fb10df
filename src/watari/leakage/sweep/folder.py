"""What a sweep leaves in its folder: scores, every answer with its leaks, the whole comparison, the recommended setting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, Row, write_rows
from watari.generate.preflight import write_preflight
from watari.leakage.sweep.page.page import page_of
from watari.leakage.sweep.recommendation import generation_config
from watari.leakage.sweep.result import Sweep
from watari.leakage.sweep.table import as_lines

GENERATIONS = "generations.parquet"
SWEEP = "sweep.json"
TABLE = "sweep.txt"
PAGE = "sweep.html"
CONFIG = "generation_config.json"


def write_sweep(out: Path, sweep: Sweep) -> None:
    """Write the folder.

    Args:
        out: It is there.
        sweep: What was found.
    """
    write_rows(out / ROWS, Kind.SCORES, list(score_rows(sweep)))
    write_rows(out / GENERATIONS, Kind.GENERATIONS, generation_rows(sweep))
    whole = json.loads(json.dumps(sweep.as_json()))
    atomic.write_json(out / SWEEP, whole)
    atomic.write_text(out / TABLE, "\n".join(as_lines(whole)) + "\n")
    atomic.write_text(out / PAGE, page_of(whole))
    write_preflight(out, sweep.plan.sending.sent)
    atomic.write_json(out / CONFIG, generation_config(sweep.recommendation.cell.sampler, sweep.plan.own))


def score_rows(sweep: Sweep) -> Iterator[Row]:
    """Yield one row a figure: metric `leaking`, group the cell's name."""
    for cell in sweep.plan.grid.cells:
        missing = sum(sweep.missing.get(cell.name, {}).values())
        for metric, one in sweep.figures.estimates.get(cell.name, {}).items():
            yield {
                "metric": metric,
                "group": cell.name,
                "value": round(one.value, 6),
                "n": one.n,
                "invalid": missing,
                "stderr": None if one.stderr is None else round(one.stderr, 6),
                "ci_low": None if one.low is None else round(one.low, 6),
                "ci_high": None if one.high is None else round(one.high, 6),
                "spec": "watari-sweep/1",
                "judge": sweep.judge if metric == "judge" else None,
                "runs": 1 if cell.greedy else sweep.plan.repeats,
                "model": sweep.model,
            }


def generation_rows(sweep: Sweep) -> Iterator[Row]:
    """Yield every answer: the schema's columns, and those that `watari leakage scan` reads (prompt, expected_lang, ...)."""
    for one in sweep.responses:
        asked = one.asked
        assert asked.said is not None
        settings: dict[str, Any] = sweep.plan.engine.settings(asked.cell.sampler, asked.cell.extra)
        yield {
            "id": hash_json([asked.prompt.id, asked.repeat, settings, sweep.model]),
            "item_id": asked.prompt.id,
            "model": asked.said.model,
            "run": asked.repeat,
            "turn": 1,
            "sampler": json.dumps(settings, ensure_ascii=False, sort_keys=True),
            "seed": asked.seed,
            "rendered_prompt": sweep.plan.sending.rendered.get(asked.prompt.id, ""),
            "response": asked.said.text,
            "finish_reason": asked.said.finish_reason,
            "prompt_tokens": asked.said.prompt_tokens,
            "completion_tokens": asked.said.completion_tokens,
            "cell": asked.cell.name,
            "temperature": asked.cell.sampler.temperature,
            "prompt": asked.prompt.text,
            "expected_lang": asked.prompt.expected,
            "licensed": asked.prompt.licensed,
            "events": json.dumps([event.as_json() for event in one.events], ensure_ascii=False),
            "rating": one.rating,
        }
