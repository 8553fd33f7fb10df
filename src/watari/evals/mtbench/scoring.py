"""Scores of MT-Bench out of saved judgments, exactly as a spec counts: one result a model and judge.

- Every row counts: two of the same question and turn are both averaged (FastChat does so), and told.
- Overall is a mean over ratings, not over turns.
- A rating that cannot be read is left out (`drop`), or averaged in as the -1 that upstream writes (`as-is`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.intervals import figures_of
from watari.evals.mtbench.notes import duplicates, notes_of
from watari.evals.mtbench.pairs import MODE, pair_results, pairs_json
from watari.evals.mtbench.reading import Source, read_questions, read_sources, with_runs
from watari.evals.mtbench.rows import Rating
from watari.evals.mtbench.spec import InvalidPolicy, MTBenchSpec
from watari.evals.mtbench.table import as_table
from watari.evals.mtbench.units import (
    OVERALL,
    Asked,
    category_of,
    mean_of,
    on_scale,
    parts_of,
    split_names,
    unit_of,
)
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result, Unit

__all__ = ["as_json", "as_table", "score_files"]

POLICIES: tuple[InvalidPolicy, ...] = ("drop", "as-is")


def score_files(
    spec: MTBenchSpec,
    paths: Sequence[Path],
    *,
    invalid: str | None = None,
    judge: str | None = None,
    questions: Path | None = None,
    seed: int = 0,
) -> list[Result]:
    """Return the results of every model and judge in some files, judges and models in the order of their first rows.

    Args:
        spec: What counts, and how.
        paths: Files of judgments in any of the forms of `rows`, folders of them, or evaluation folders.
        invalid: `drop` or `as-is`; None: the spec's own.
        judge: Only what this judge rated.
        questions: A question file in FastChat's form: the categories, and which questions there are.
        seed: Of the bootstrap.

    Raises:
        UserError: for files that cannot be read, an unknown policy, or a judge that rated nothing there.
    """
    policy = invalid or spec.invalid
    if policy not in POLICIES:
        raise UserError(f"invalid: there is no policy '{policy}'", "drop or as-is")
    sources = read_sources(spec, [Path(path) for path in paths])
    judges = list(dict.fromkeys(name for source in sources for name in source.judges))
    if judge is not None and judge not in judges:
        raise UserError(f"judge {judge}: rated nothing in these files", "one of " + ", ".join(judges))
    asked = None if questions is None else Asked(read_questions(questions), "the question file")
    if any(source.pairs for source in sources):
        pairs = [pair for source in sources for pair in source.pairs if judge in (None, pair.judge)]
        return pair_results(spec, asked or Asked(), pairs, [source.name for source in sources], seed=seed)
    groups: dict[tuple[str, str, str], list[Rating]] = {}
    origins: dict[tuple[str, str, str], dict[str, Source]] = {}
    for source, one in with_runs(sources):
        if judge in (None, one.judge):
            group = (one.judge, source.label, one.model)
            groups.setdefault(group, []).append(one)
            origins.setdefault(group, {})[source.name] = source
    ordered = sorted(groups, key=lambda group: judges.index(group[0]))
    results = [
        _result(
            spec, policy, asked or _asked(origins[group].values()), group, groups[group], list(origins[group])
        )
        for group in ordered
    ]
    return with_intervals(spec, results, seed=seed)


def with_intervals(
    spec: MTBenchSpec, results: Sequence[tuple[Result, Sequence[Unit]]], *, seed: int
) -> list[Result]:
    """Return results with their figures, all drawn together. Each comes with its units on the judge's own scale."""
    parts = [parts_of(spec, raw) for _, raw in results]
    figures = iter(
        figures_of(
            [units for every in parts for _, units, _ in every],
            [value for every in parts for _, _, value in every],
            seed=seed,
        )
    )
    return [
        replace(result, figures={name: next(figures) for name, _, _ in every})
        for (result, _), every in zip(results, parts, strict=True)
    ]


def _asked(sources: Iterable[Source]) -> Asked:
    """Return the questions that evaluation folders say they asked; files of judgments say nothing of it."""
    every = list(sources)
    if not all(source.questions for source in every):
        return Asked()
    return Asked({id: group for one in every for id, group in one.questions.items()}, "the evaluation")


def _result(
    spec: MTBenchSpec,
    policy: InvalidPolicy,
    asked: Asked,
    group: tuple[str, str, str],
    ratings: Sequence[Rating],
    files: Sequence[str],
) -> tuple[Result, list[Unit]]:
    """Return the result of one judge, label and model without its figures, and its units on the judge's scale."""
    judge, label, model = group
    categories = {
        key: category_of(spec, asked, *key) for key in {(one.question, one.category) for one in ratings}
    }
    units = [unit_of(spec, policy, one, categories[one.question, one.category]) for one in ratings]
    notes = notes_of(spec, asked, ratings, units)
    runs = sorted({unit.run for unit in units})
    result = Result(
        spec=label,
        model=model,
        judge=judge,
        overall=OVERALL,
        figures={},
        units=on_scale(spec, units),
        runs=len(runs),
        settings={
            "invalid": policy,
            "duplicates": duplicates(units),
            "run_means": [mean_of(spec, [unit for unit in units if unit.run == run]) for run in runs],
        },
        notes=tuple(notes),
        sources=tuple(files),
    )
    return result, units


def as_json(
    results: Sequence[Result], spec: MTBenchSpec, *, max_invalid: float | None = LIMIT
) -> dict[str, Any]:
    """Return results in the form of `--json`: by judge, then by model; with one judge also at the top.

    Args:
        results: Of one call of `score_files`.
        spec: The same spec.
        max_invalid: Share of invalid ratings above which a model's figures are marked `refused`; None: never.
    """
    if results and results[0].settings.get("mode") == MODE:
        return pairs_json(results, spec, max_invalid=max_invalid)
    judges: dict[str, dict[str, Any]] = {}
    for result in results:
        models = judges.setdefault(result.judge or "", {"models": {}})["models"]
        shown = _shown(result, spec)
        if max_invalid is not None and (why := refusal(result, max_invalid)):
            shown["refused"] = why
        # The same model under our own prompts and under upstream's: two results, never one.
        models[result.model if result.model not in models else f"{result.model} ({result.spec})"] = shown
    for name, shown in judges.items():
        shown["unreadable"] = _unreadable([result for result in results if result.judge == name])
    content: dict[str, Any] = {
        "spec": spec.label,
        "digest": spec.digest,
        "scale": list(spec.scale),
        "invalid_policy": results[0].settings["invalid"] if results else spec.invalid,
        "judges": judges,
    }
    if len(judges) == 1:
        ((only, rest),) = judges.items()
        content |= {"judge": only, "models": rest["models"]}
    return content


def _shown(result: Result, spec: MTBenchSpec) -> dict[str, Any]:
    figures = result.figures
    turns, categories, both = split_names(result)
    reasons = Counter(unit.reason for unit in result.units if unit.reason)
    shown = {
        OVERALL: figures[OVERALL].value,
        "turns": {str(turn): figures[name].value for turn, name in turns.items()},
        "categories": {name: figures[name].value for name in categories},
        "category_turns": {
            category: {str(turn): figures[name].value for turn, name in names.items()}
            for category, names in both.items()
        },
        "n": figures[OVERALL].n,
        "invalid": {
            "rows": reasons.total(),
            "rate": reasons.total() / len(result.units),
            "reasons": dict(sorted(reasons.items())),
        },
        "duplicates": result.settings["duplicates"],
        "questions": len({unit.item for unit in result.units}),
        "runs": result.runs,
        "run_means": result.settings["run_means"],
        "run_sd": figures[OVERALL].run_sd,
        "stderr": figures[OVERALL].stderr,
        "intervals": {name: _interval(figure) for name, figure in figures.items()},
        "notes": list(result.notes),
    }
    if result.spec != spec.label:
        shown["spec"] = result.spec
    return shown


def _unreadable(results: Sequence[Result]) -> dict[str, Any]:
    """Return how many of a judge's ratings are invalid, over all models."""
    units = sum(len(result.units) for result in results)
    invalid = sum(bool(unit.reason) for result in results for unit in result.units)
    return {"n": units, "invalid": invalid, "rate": invalid / units}


def _interval(figure: Figure) -> list[float] | None:
    return None if figure.low is None or figure.high is None else [figure.low, figure.high]
