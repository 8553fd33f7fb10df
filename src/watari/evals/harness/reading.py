"""Reads what `lm_eval --output_path DIR --log_samples` leaves, in the forms of its versions since 0.3.

    results_TIME.json          since 0.4.3: figures, configurations, versions; one a call of the command line
    samples_TASK_TIME.jsonl    since 0.4.3: a line a document and filter
    results.json, X_TASK.jsonl 0.4.0 to 0.4.2: the samples are one JSON list
    *.json                     0.3: figures only

A figure is named `METRIC,FILTER` (0.3: `METRIC`), its error `METRIC_stderr,FILTER`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.harness.samples import Printed, Sample, samples_in
from watari.evals.harness.values import a_map, a_number, a_text, an_integer, read_json

_STAMP = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_RESULTS = re.compile(
    rf"(?:.*_)?results(?:_(?P<stamp>{_STAMP}))?\.json(?:\.gz)?|.*_(?P<own>{_STAMP})\.json(?:\.gz)?"
)
_SAMPLES = re.compile(rf"samples_(?P<task>.+?)_(?P<stamp>{_STAMP})\.jsonl(?:\.gz)?")
_OLD_SAMPLES = (".jsonl", ".jsonl.gz")
_NOT_FIGURES = frozenset({"alias", "name", "sample_len", "sample_count", "samples"})
_NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")


@dataclass(frozen=True, slots=True)
class Task:
    """One task of one call.

    Args:
        name, version: As the harness calls it.
        shots: Examples before each document.
        documents: How many were asked; 0 where the file does not say.
        limit: How many there were, where only some were asked; else None.
        figures: As printed, in their order.
        aggregation: Of each metric, where the configuration names one.
        higher: Of each metric, whether higher is better.
        samples: () without `--log_samples`.
    """

    name: str
    version: str
    shots: int | None
    documents: int
    limit: int | None
    figures: tuple[Printed, ...]
    aggregation: Mapping[str, str]
    higher: Mapping[str, bool]
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Call:
    """One call of the harness: one result file with its samples.

    Args:
        path: The result file.
        sample_files: What was read beside it.
        model: As the harness was told, without a closing slash.
        arguments: Its `--model_args`.
        harness: Its version; "" where the file does not say.
        template: Whether a chat template was applied.
        tasks: By name.
        groups: Printed figures of each group.
        members: Tasks (or groups) of each group.
        context: The model's length in tokens, as the harness took it; 0 where it does not say.
        date: Seconds since 1970; 0 where it does not say.
    """

    path: Path
    sample_files: tuple[Path, ...]
    model: str
    arguments: Mapping[str, str]
    harness: str
    template: bool
    tasks: Mapping[str, Task]
    groups: Mapping[str, tuple[Printed, ...]] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    context: int = 0
    date: float = 0.0


def read_calls(paths: Sequence[Path]) -> list[Call]:
    """Return every call whose result files stand in some files or folders, the oldest first.

    Raises:
        UserError: if there is none, or a file is broken; names file and line.
    """
    files: dict[Path, None] = {}
    for path in paths:
        for found in _result_files(path):
            files.setdefault(found)
    calls = [_call(file) for file in files]
    return sorted(calls, key=lambda call: (call.date, call.path.name))


def looks_like_results(content: Any) -> bool:
    """Return whether a JSON value is a result file of the harness."""
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        return False
    return isinstance(content.get("versions"), dict) and isinstance(content.get("config", {}), dict)


def _result_files(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder", "check the path")
    if path.is_file():
        if _SAMPLES.fullmatch(path.name):
            raise UserError(
                f"{path}: samples without their results", "give the folder, or its results_*.json"
            )
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*.json")) + sorted(path.rglob("*.json.gz"))
        if _RESULTS.fullmatch(file.name) and file.is_file()
    ]
    if not found:
        raise UserError(
            f"{path}: no results_*.json of lm-evaluation-harness",
            "run it with --output_path and --log_samples",
        )
    return found


def _call(path: Path) -> Call:
    content = read_json(path)
    if not looks_like_results(content):
        raise UserError(
            f"{path}: not a result file of lm-evaluation-harness", "it has `results` and `versions`"
        )
    match = _RESULTS.fullmatch(path.name)
    stamp = (match["stamp"] or match["own"]) if match else None
    members = {
        str(group): tuple(str(one) for one in part)
        for group, part in a_map(content, "group_subtasks").items()
        if isinstance(part, list) and part
    }
    groups = {name: _figures(part, path, name) for name, part in a_map(content, "groups").items()}
    printed = a_map(content, "results")
    tasks: dict[str, Task] = {}
    used: list[Path] = []
    for name, part in printed.items():
        if name in members or name in groups:
            if name not in groups:
                groups[name] = _figures(part, path, name)
            continue
        file = _samples_of(path, name, stamp)
        figures = _figures(part, path, name)
        samples: tuple[Sample, ...] = ()
        if file is not None:
            used.append(file)
            samples = tuple(samples_in(file, figures))
        config = a_map(a_map(content, "configs"), name)
        rules = [rule for rule in config.get("metric_list") or [] if isinstance(rule, dict)]
        higher = a_map(a_map(content, "higher_is_better"), name)
        count = a_map(a_map(content, "n-samples"), name)
        whole, asked = count.get("original"), count.get("effective")
        tasks[name] = Task(
            name,
            a_text(a_map(content, "versions").get(name)),
            an_integer(a_map(content, "n-shot").get(name)),
            an_integer(asked) or 0,
            whole if isinstance(whole, int) and isinstance(asked, int) and asked < whole else None,
            figures,
            {
                a_text(rule.get("metric")): a_text(rule.get("aggregation"))
                for rule in rules
                if "aggregation" in rule
            },
            {
                a_text(rule.get("metric")): rule["higher_is_better"]
                for rule in rules
                if isinstance(rule.get("higher_is_better"), bool)
            }
            | {name: value for name, value in higher.items() if isinstance(value, bool)},
            samples,
        )
    config = a_map(content, "config")
    arguments = arguments_of(config.get("model_args"))
    model = content.get("model_name") or next((arguments[name] for name in _NAMES if name in arguments), None)
    return Call(
        path,
        tuple(used),
        str(model or config.get("model") or "model").rstrip("/") or "model",
        arguments,
        a_text(content.get("lm_eval_version")),
        bool(content.get("chat_template") or content.get("chat_template_sha")),
        tasks,
        {name: part for name, part in groups.items() if part},
        members,
        an_integer(content.get("max_length")) or 0,
        a_number(content.get("date")) or 0.0,
    )


def arguments_of(given: Any) -> dict[str, str]:
    """Return `--model_args` as a map: since 0.4.10 it is one, before it was the text `a=b,c=d`."""
    if isinstance(given, dict):
        return {str(name): str(value) for name, value in given.items()}
    pairs = (part.partition("=") for part in str(given or "").split(",") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _figures(part: Any, path: Path, task: str) -> tuple[Printed, ...]:
    if not isinstance(part, dict):
        raise UserError(f"{path}: results of {task}: not a map of figures")
    found = []
    for key, value in part.items():
        metric, _, filter_ = str(key).partition(",")
        if metric in _NOT_FIGURES or metric.endswith("_stderr") or a_number(value) is None:
            continue
        error = part.get(f"{metric}_stderr,{filter_}" if filter_ else f"{metric}_stderr")
        found.append(Printed(metric, filter_ or "none", float(value), a_number(error)))
    return tuple(found)


def _samples_of(path: Path, task: str, stamp: str | None) -> Path | None:
    """Return the file with a task's samples; the one of the same time, else the only one there is."""
    for ending in _OLD_SAMPLES:
        exact = path.with_name(f"samples_{task}_{stamp}{ending}")
        if stamp and exact.is_file():
            return exact
    if stamp:
        return None
    old = [
        file
        for file in sorted(path.parent.iterdir())
        if any(
            file.name in (f"samples_{task}{end}",) or file.name.endswith(f"_{task}{end}")
            for end in _OLD_SAMPLES
        )
        and not _SAMPLES.fullmatch(file.name)
    ]
    # `a_b` ends like `b`: the shortest name has the fewest strange words before the task's.
    return min(old, key=lambda file: (len(file.name), file.name)) if old else None
