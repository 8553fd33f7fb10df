"""Results of the family jaster: saved answers of any number of models, scored as a release of llm-jp-eval scored them.

An answer that is missing, or no text, counts as wrong and is told as invalid; an empty text is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from watari.errors import UserError
from watari.evals.intervals import figures_of
from watari.evals.jaster import correlation
from watari.evals.jaster.figures import Scored, in_order, score
from watari.evals.jaster.metrics import exact_mean, numbers, true_char_f1
from watari.evals.jaster.notes import notes_of
from watari.evals.jaster.ratio import Backend, other_backend
from watari.evals.jaster.reading import Answers, read_files
from watari.evals.jaster.spec import JasterSpec
from watari.evals.jaster.tables import as_json, as_table, refused
from watari.evals.jaster.units import groups_of, units_of
from watari.evals.result import Figure, Result, Unit
from watari.stats.resampling import ROUNDS, interval_says

__all__ = ["as_json", "as_table", "refused", "results_of", "score_files"]

Ends = tuple[float | None, float | None, float | None]


def score_files(
    spec: JasterSpec,
    paths: Sequence[Path],
    *,
    backend: Backend | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> list[Result]:
    """Return the result of each model in some files, in the order of the files.

    Args:
        spec: The spec.
        paths: Files in any of the forms of `reading`, evaluation folders, folders of `output_eval.json`.
        backend: String ratio of char_f1; default: levenshtein.
        seed: Of the bootstrap.
        rounds: Draws of it; 0: no intervals.

    Raises:
        UserError: for a file or row that cannot be read, or a model without any dataset of the spec.
    """
    return results_of(spec, read_files(paths), backend=backend, seed=seed, rounds=rounds)


def results_of(
    spec: JasterSpec,
    answers: Sequence[Answers],
    *,
    backend: Backend | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> list[Result]:
    """Return the results of answers that were read; see `score_files`."""
    for one in answers:
        if not any(column.items for name, column in one.columns.items() if name in spec.datasets):
            raise UserError(
                f"{', '.join(one.sources)}: {one.model}: no answers to a dataset of {spec.name}",
                f"they are of {', '.join(one.columns) or 'nothing'}: is it another spec's?",
            )
    chosen: Backend = backend or "levenshtein"
    scored = score(spec, answers, (chosen, other_backend(chosen)))
    units = [units_of(spec, of, one, chosen) for of, one in zip(answers, scored, strict=True)]
    figures = _figures(spec, answers, scored, units, chosen, seed, rounds)
    return [
        Result(
            spec=of.label or spec.label,
            model=of.model,
            judge=None,
            overall=spec.overall,
            figures=made,
            units=tuple(found),
            runs=len(one.by_run[chosen]),
            settings=_settings(spec, of, one, chosen),
            notes=tuple(notes_of(spec, of, one, chosen)),
            sources=tuple(of.sources),
        )
        for of, one, found, made in zip(answers, scored, units, figures, strict=True)
    ]


def _figures(
    spec: JasterSpec,
    answers: Sequence[Answers],
    scored: Sequence[Scored],
    units: Sequence[Sequence[Unit]],
    backend: Backend,
    seed: int,
    rounds: int,
) -> list[dict[str, Figure]]:
    """Return every figure of every model, in the spec's order; all means are drawn together."""
    groups = [groups_of(spec, one, found, backend) for one, found in zip(scored, units, strict=True)]
    drawn = iter(
        figures_of(
            [group for by_name in groups for group in by_name.values()],
            [
                one.figures[backend][name]
                for one, by_name in zip(scored, groups, strict=True)
                for name in by_name
            ],
            seed=seed,
            rounds=rounds,
            shares=True,
        )
    )
    made = []
    for of, one, by_name in zip(answers, scored, groups, strict=True):
        means = {name: _told(next(drawn), group) for name, group in by_name.items()}
        if spec.overall in means and spec.missing_category == "zero":
            # A category that is missing counts 0, in every draw.
            share = sum(name in means for name in spec.categories) / len(spec.categories)
            means[spec.overall] = _shrunk(means[spec.overall], share)
        correlated = {
            name: _correlated(of, one, name, dataset, metric == "spearman", backend, seed, rounds)
            for name, dataset, metric in spec.dataset_figures()
            if name in one.figures[backend] and name not in means
        }
        figures = (
            {name: Figure(value, 0) for name, value in one.figures[backend].items()} | means | correlated
        )
        made.append({name: figures[name] for name in in_order(spec) if name in figures})
    return made


def _told(figure: Figure, group: Sequence[Unit]) -> Figure:
    """Return a figure that says how many of its units were no answers; they count as wrong."""
    invalid = sum(unit.reason != "" for unit in group)
    return replace(figure, n=figure.n - invalid, invalid=figure.invalid + invalid) if invalid else figure


def _shrunk(figure: Figure, share: float) -> Figure:
    if share == 1.0:
        return figure
    ends = {
        name: value * share
        for name in ("stderr", "low", "high", "run_sd")
        if (value := getattr(figure, name)) is not None
    }
    return replace(figure, **ends)


def _correlated(
    answers: Answers,
    scored: Scored,
    name: str,
    dataset: str,
    ranked: bool,
    backend: Backend,
    seed: int,
    rounds: int,
) -> Figure:
    """Return a correlation with the interval of a bootstrap of pairs; with several runs, of the first run's."""
    column = answers.columns[dataset]
    first = min(column.runs)
    mine = sorted((item, place) for place, item in enumerate(column.items) if column.runs[place] == first)
    places = np.array([place for _, place in mine])
    golds, preds = numbers(column.golds)[places], numbers(column.preds)[places]
    stderr, low, high = correlation.bootstrap(
        golds, preds, ranked=ranked, stratum=dataset, seed=seed, rounds=rounds
    )
    if low is None or high is None or not interval_says(low, high, len(golds) - 1):
        stderr = low = high = None
    own = [figures[name] for figures in scored.by_run[backend] if name in figures]
    invalid = len(column.reasons)
    return Figure(
        scored.figures[backend][name],
        len(column.items) - invalid,
        invalid,
        stderr,
        low,
        high,
        float(np.std(own, ddof=1)) if len(own) > 1 else None,
    )


def _settings(spec: JasterSpec, answers: Answers, scored: Scored, backend: Backend) -> Mapping[str, Any]:
    other = other_backend(backend)
    true = {
        dataset: exact_mean(true_char_f1(column.preds, column.golds))
        for _, dataset, metric in spec.dataset_figures()
        if metric == "char_f1" and (column := answers.columns.get(dataset)) is not None and column.items
    }
    return {
        "backend": backend,
        "other_backend": {"backend": other, "scores": scored.figures[other]},
        "true_char_f1": true,
    }
