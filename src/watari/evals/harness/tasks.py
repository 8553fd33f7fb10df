"""Writes tasks for lm-evaluation-harness: the prompts that our own evaluation sends, scored by the same rules.

    DIR/watari_DATASET.yaml   a task; its tag is `watari_jaster`
    DIR/items/DATASET.jsonl   {id, input, prompt, gold, spec, metrics}: the prompt whole, its examples included
    DIR/watari_tasks.py       what the harness imports: `watari.evals.harness.called`

The folder may be moved. Few-shot examples stand in the prompt, so `--num_fewshot` has nothing to add.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watari.artifact import atomic
from watari.errors import UserError
from watari.evals.jaster.items import Dataset
from watari.evals.jaster.metrics import CORRELATIONS, item_metric
from watari.evals.jaster.params import Params
from watari.evals.jaster.plan import Plan, plan_of
from watari.evals.jaster.prompts import label_of
from watari.evals.jaster.spec import JasterSpec
from watari.evals.spec import load_spec

GROUP = "watari_jaster"
HELPER = "watari_tasks.py"
_HELPER = '''"""Written by `watari eval harness-tasks`: what lm-evaluation-harness calls. Watari must be in the same Python."""

from pathlib import Path

from watari.evals.harness import called


def load(name, **_):
    return called.load(Path(__file__).parent / "items" / f"{name}.jsonl")


def score(doc, results):
    return called.score(doc, results)


def pearson(pairs):
    return called.correlation("pearson", pairs)


def spearman(pairs):
    return called.correlation("spearman", pairs)
'''


@dataclass(frozen=True)
class WrittenTask:
    """A task as it was written: its name for the harness, its dataset, how many items."""

    name: str
    dataset: str
    items: int
    label: str


def write_tasks(
    out: Path,
    *,
    spec_name: str = "llm-jp-eval-1.3",
    questions: str = "bundled",
    limit: int | None = None,
    prompts: Path | None = None,
) -> list[WrittenTask]:
    """Write a task for each dataset.

    Args:
        out: A folder; one that this command wrote is written anew, another is left alone.
        spec_name: Whose prompt, metrics and reading of answers; of the family jaster.
        questions: As for `watari eval run`.
        limit: Items of each dataset at most; default: the spec's.
        prompts: A file with upstream's own words.

    Raises:
        UserError: for another family, a dataset without a metric of single items, a folder with other files.
    """
    spec = load_spec(spec_name)
    if not isinstance(spec, JasterSpec):
        raise UserError(
            f"{spec_name}: not for the harness: its answers are judged", "take llm-jp-eval-1.0 or -1.3"
        )
    if out.exists() and not (out / HELPER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: holds other files", "give another --out")
    plan = _plan(spec_name, questions, limit, prompts)
    items = out / "items"
    if items.is_dir():
        shutil.rmtree(items)
        for old in out.glob("watari_*.yaml"):
            old.unlink()
    atomic.make_folder(items)
    written = [_write(out, plan, dataset) for dataset in plan.datasets]
    atomic.write_text(out / HELPER, _HELPER)
    return written


def _plan(spec_name: str, questions: str, limit: int | None, prompts: Path | None) -> Plan:
    """Return what `watari eval run` would ask."""
    given = {
        "model": {"from": "model"},
        "spec": spec_name,
        "questions": [questions],
        "limit": limit,
        "prompts": None if prompts is None else str(prompts),
    }
    return plan_of(Params.model_validate({name: value for name, value in given.items() if value is not None}))


def _write(out: Path, plan: Plan, dataset: Dataset) -> WrittenTask:
    spec, template = plan.spec, plan.templates[dataset.name]
    metrics = [m for m in spec.datasets[dataset.name].metrics if m in CORRELATIONS or item_metric(m)]
    if not metrics:
        raise UserError(
            f"{dataset.name}: nobody here computes {', '.join(spec.datasets[dataset.name].metrics)}",
            "leave the dataset out",
        )
    lines = [
        {
            "id": item.id,
            "input": item.input,
            "prompt": template.render(item.input),
            "gold": item.gold,
            "spec": spec.name,
            "metrics": metrics,
        }
        for item in dataset.test
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    atomic.write_text(out / "items" / f"{dataset.name}.jsonl", text)
    longest, label = plan.limits[dataset.name], label_of(spec, {dataset.name: template})
    name = f"watari_{dataset.name}"
    atomic.write_text(out / f"{name}.yaml", _yaml(name, dataset.name, spec, metrics, longest, label))
    return WrittenTask(name, dataset.name, len(dataset.test), label)


def _yaml(name: str, dataset: str, spec: JasterSpec, metrics: Sequence[str], longest: int, label: str) -> str:
    # Written out, not dumped: `!function` is the harness's own tag.
    listed = "".join(
        f"  - metric: {metric}\n"
        f"    aggregation: {f'!function watari_tasks.{metric}' if metric in CORRELATIONS else 'mean'}\n"
        "    higher_is_better: true\n"
        for metric in metrics
    )
    return (
        f"# {spec.label}, prompt {label}: written by `watari eval harness-tasks`\n"
        f"task: {json.dumps(name)}\n"
        f"tag: {GROUP}\n"
        "custom_dataset: !function watari_tasks.load\n"
        f"dataset_kwargs: {{name: {json.dumps(dataset)}}}\n"
        "test_split: test\n"
        "output_type: generate_until\n"
        "doc_to_text: prompt\n"
        "doc_to_target: gold\n"
        "num_fewshot: 0\n"
        "process_results: !function watari_tasks.score\n"
        f"generation_kwargs: {{until: {json.dumps(list(spec.answer.until))}, do_sample: false, "
        f"max_gen_toks: {longest}}}\n"
        f"metric_list:\n{listed}"
        f"metadata: {{version: {spec.version}}}\n"
    )
