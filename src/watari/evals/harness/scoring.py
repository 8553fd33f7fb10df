"""Scores out of the harness's files: counted again from its samples, and held against what it printed.

Figures bear the harness's names: `TASK_METRIC`, `TASK_METRIC,FILTER`, `GROUP_METRIC`. Our overall figure is the plain mean
of the tasks' first metrics, as far as they are shares for which higher is better; a perplexity or a BLEU is in none.
Intervals are the bootstrap of all our specs; the harness's own standard error stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.folder import is_evaluation, read_about
from watari.evals.harness.aggregation import aggregate, number_of, rule_of
from watari.evals.harness.checks import Check, Row
from watari.evals.harness.reading import Call, Task, read_calls
from watari.evals.harness.samples import Printed, Sample
from watari.evals.harness.spec import HarnessSpec
from watari.evals.intervals import figures_of
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result, Unit

OVERALL = "mean of tasks"
_ANOTHER_SCALE = frozenset({"bleu", "chrf", "chrf++", "ter", "mcc", "likelihood_diff"})


@dataclass(frozen=True)
class Scored:
    """A model's result, and what stands behind it."""

    result: Result
    checks: tuple[Check, ...]
    tasks: Mapping[str, Task]
    calls: tuple[Call, ...]


def score_files(
    spec: HarnessSpec, paths: Sequence[Path], *, model: str | None = None, seed: int = 0
) -> list[Result]:
    """Return the result of each model in some result files or folders of the harness.

    Of a task that was run more than once for one model, the last counts; a note says so.

    Args:
        spec: `lm-evaluation-harness`.
        paths: Its output folders, `results_*.json`, or folders of `watari eval import-harness`.
        model: Call the model this; default: what the harness was told.
        seed: Of the bootstrap.

    Raises:
        UserError: for files that are none of its, or broken.
    """
    found: list[Result] = []
    others: list[Path] = []
    for path in paths:
        if path.is_dir() and is_evaluation(path):
            name = model or read_about(path).model
            found += [one.result for one in score_calls(spec, read_calls([path]), model=name, seed=seed)]
        else:
            others.append(path)
    if others:
        found += [one.result for one in score_calls(spec, read_calls(others), model=model, seed=seed)]
    return found


def score_calls(
    spec: HarnessSpec, calls: Sequence[Call], *, model: str | None = None, seed: int = 0
) -> list[Scored]:
    """Return the result of each model of some calls, with its checks: see `score_files`."""
    by_model: dict[str, list[Call]] = {}
    for call in calls:
        by_model.setdefault(model or call.model, []).append(call)
    return [_scored(spec, name, tuple(mine), seed) for name, mine in by_model.items()]


def _scored(spec: HarnessSpec, model: str, calls: tuple[Call, ...], seed: int) -> Scored:
    notes: list[str] = []
    tasks: dict[str, Task] = {}
    groups: dict[str, tuple[Call, tuple[Printed, ...]]] = {}
    for call in calls:
        for name, task in call.tasks.items():
            if name in tasks:
                notes.append(f"{name} was run more than once: the last counts, {call.path.name}")
            tasks[name] = task
        groups |= {name: (call, figures) for name, figures in call.groups.items()}
    if not any(task.figures for task in tasks.values()):
        raise UserError(f"{calls[-1].path}: no task with figures", "did the harness finish?")
    rows: dict[str, list[Row]] = {name: _task_rows(task) for name, task in tasks.items()}
    counted = {name: own[0] for name, own in rows.items() if own and _counts(tasks[name], own[0])}
    # A task without samples has no units to draw: it counts only where none has any.
    primary = {name: row for name, row in counted.items() if row.units} or counted
    units = tuple(
        replace(unit, weight=1 / (len(primary) * len(own[0].units)) if name in primary else 0.0)
        for name, own in rows.items()
        if own
        for unit in own[0].units
    )
    wanted: list[Row] = [row for own in rows.values() for row in own]
    for name, (call, printed) in groups.items():
        wanted += _group_rows(name, printed, call, tasks, rows)
    overall = _overall(primary)
    figures = figures_of(
        [units if primary else (), *(row.units for row in wanted)],
        [overall, *(row.check.value for row in wanted)],
        seed=seed,
        shares=True,
    )
    named = {OVERALL: figures[0]} | {
        row.check.figure: _as_printed(figure, row) for row, figure in zip(wanted, figures[1:], strict=True)
    }
    checks = tuple(row.check for row in wanted)
    different = [check.figure for check in checks if check.verdict == "different"]
    if different:
        notes.append(f"the harness printed other figures than its samples give: {', '.join(different)}")
    bare = sorted(name for name, task in tasks.items() if not task.samples)
    if bare:
        notes.append(
            f"no samples, figures as printed, without intervals: {', '.join(bare)} (run it with --log_samples)"
        )
    notes += [
        f"{name}: only {len({s.doc for s in task.samples})} of {task.limit} documents were asked (--limit)"
        for name, task in tasks.items()
        if task.limit and task.samples
    ]
    last = calls[-1]
    result = Result(
        spec=spec.label,
        model=model,
        judge=None,
        overall=OVERALL,
        figures=named,
        units=units,
        settings={
            "harness": last.harness,
            "model_args": dict(last.arguments),
            "chat_template": last.template,
            "tasks": {name: {"version": task.version, "shots": task.shots} for name, task in tasks.items()},
        },
        notes=tuple(dict.fromkeys(notes)),
        sources=tuple(str(call.path) for call in calls),
    )
    return Scored(result, checks, tasks, calls)


def _task_rows(task: Task) -> list[Row]:
    rows = []
    for printed in task.figures:
        name = f"{task.name}_{printed.label}"
        mine = [
            sample
            for sample in task.samples
            if sample.filter == printed.filter and printed.metric in sample.values
        ]
        rule = rule_of(printed.metric, task.aggregation.get(printed.metric))
        ours = aggregate(rule, [sample.values[printed.metric] for sample in mine]) if rule and mine else None
        why = "" if ours is not None else "no samples" if not mine else "another rule than a mean"
        units = tuple(_unit(task.name, sample, printed.metric) for sample in mine) if rule == "mean" else ()
        if any(unit.value is None for unit in units) and ours is None:
            why = "a sample has no number"
        rows.append(
            Row(Check(name, printed.value, printed.stderr, ours, why), units, len(mine) or task.documents)
        )
    return rows


def _unit(task: str, sample: Sample, metric: str) -> Unit:
    value = number_of(sample.values[metric])
    return Unit(sample.doc, task, task, 1, 0, value, reason="" if value is not None else "no number")


def _group_rows(
    name: str,
    printed: Iterable[Printed],
    call: Call,
    tasks: Mapping[str, Task],
    rows: Mapping[str, list[Row]],
) -> list[Row]:
    """Return a group's figures: the mean of its tasks' figures, each weighing as much as it has documents, or the same."""
    members = [task for task in _members(name, call, set()) if task in tasks]
    found = []
    for figure in printed:
        parts = [
            (row, task)
            for task in members
            for row in rows[task]
            if row.check.figure == f"{task}_{figure.label}" and row.check.ours is not None and row.units
        ]
        label = f"{name}_{figure.label}"
        whole = len(parts) == sum(
            any(own.metric == figure.metric and own.filter == figure.filter for own in tasks[task].figures)
            for task in members
        )
        if not parts or not whole:
            found.append(
                Row(Check(label, figure.value, figure.stderr, None, "not all tasks can be counted"), ())
            )
            continue
        sizes = [len(row.units) for row, _ in parts]
        values = [row.check.ours or 0.0 for row, _ in parts]
        by_size = sum(size * value for size, value in zip(sizes, values, strict=True)) / sum(sizes)
        plain = sum(values) / len(values)
        # Its files do not say which of the two a group asks for: the one that it printed.
        sized = abs(by_size - figure.value) <= abs(plain - figure.value)
        units = tuple(
            replace(unit, weight=1.0 if sized else 1 / size)
            for (row, _), size in zip(parts, sizes, strict=True)
            for unit in row.units
        )
        found.append(Row(Check(label, figure.value, figure.stderr, by_size if sized else plain), units))
    return found


def _members(name: str, call: Call, seen: set[str]) -> list[str]:
    found: list[str] = []
    for member in call.members.get(name, ()):
        if member not in seen:
            seen.add(member)
            found += _members(member, call, seen) if member in call.members else [member]
    return found


def _counts(task: Task, row: Row) -> bool:
    """Return whether a task's first metric goes into the overall figure: a share, higher better, with samples or without."""
    metric = task.figures[0].metric
    return (
        rule_of(metric, task.aggregation.get(metric)) == "mean"
        and metric not in _ANOTHER_SCALE
        and task.higher.get(metric, True)
        and all(unit.value is None or 0 <= unit.value <= 1 for unit in row.units)
        and 0 <= row.check.printed <= 1
    )


def _overall(primary: Mapping[str, Row]) -> float | None:
    values = [row.check.value for row in primary.values()]
    return sum(values) / len(values) if values else None


def _as_printed(figure: Figure, row: Row) -> Figure:
    """Return the figure; without units of its own it has the harness's standard error and count, and no interval."""
    return figure if row.units else replace(figure, stderr=row.check.stderr, n=row.documents)


def as_json(
    results: Sequence[Result], spec: HarnessSpec, *, max_invalid: float | None = LIMIT
) -> dict[str, Any]:
    """Return results as `watari eval score ... --json` prints them.

    {"spec", "models": {model: {"scores": {figure: value}, "n": {figure: n}, "invalid", "intervals": {figure: [low, high]},
    "stderr": {figure: value}, "harness", "model_args", "chat_template", "tasks", "notes", "refused"?}}}.
    """
    models: dict[str, Any] = {}
    for result in results:
        models[result.model] = {
            "scores": {name: figure.value for name, figure in result.figures.items()},
            "n": {name: figure.n for name, figure in result.figures.items()},
            "invalid": result.invalid,
            "intervals": {name: [figure.low, figure.high] for name, figure in result.figures.items()},
            "stderr": {name: figure.stderr for name, figure in result.figures.items()},
            **result.settings,
            "notes": list(result.notes),
        }
        if max_invalid is not None and (why := refusal(result, max_invalid)) is not None:
            models[result.model]["refused"] = why
    return {"spec": spec.label, "models": models}
