"""Scores of the family shaberi: a mean a benchmark, and the mean of the means, for each model and judge apart.

Levels of judges differ by up to 1.7 points of ten (facts/evaluation.md §3), so no figure here goes over several judges;
upstream's table, which has such columns, is given beside in its own form (`published`).

Unreadable ratings are left out of the means, as upstream leaves them out, and counted. Items that the spec excludes are no
units. What stands outside of the judge's scale (a 12 of 10) is averaged in, as upstream does, and told in a note.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from watari.errors import UserError
from watari.evals.result import Figure, Result, Unit
from watari.evals.shaberi.drawing import Column, draw
from watari.evals.shaberi.notes import notes_of
from watari.evals.shaberi.reading import read_files
from watari.evals.shaberi.sheets import MINUS_ONE, Read, Sheet, japanese_share
from watari.evals.shaberi.spec import OVERALL, Benchmark, ShaberiSpec
from watari.evals.shaberi.tables import as_json, as_table, refused
from watari.stats.resampling import ROUNDS

__all__ = ["OVERALL", "as_json", "as_table", "refused", "results_of", "score_files"]

Policy = Literal["drop", "as-is"]


@dataclass(frozen=True, slots=True)
class _Scored:
    """One benchmark of one result: the sheet without what the spec excludes, on the spec's scale."""

    sheet: Sheet
    dataset: Benchmark
    items: tuple[str, ...]
    values: tuple[float | None, ...]
    reasons: tuple[str, ...]
    runs: tuple[int, ...]
    mean: float | None
    n: int
    out_of_scale: int


def score_files(
    spec: ShaberiSpec,
    paths: Sequence[Path],
    *,
    invalid: Policy | None = None,
    judge: str | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> list[Result]:
    """Return a result for each judge and model in some files: judges in the order of the files, models sorted.

    Args:
        spec: The spec.
        paths: Files in any of the forms of `reading`, folders of them, evaluation folders.
        invalid: `drop` (default): unreadable ratings and -1 are left out; `as-is`: -1 is averaged in. A rating that is
            null has no number to average: it is left out either way.
        judge: Only what this judge rated.
        seed: Of the bootstrap.
        rounds: Draws of it; 0: no intervals.

    Raises:
        UserError: for a file or row that cannot be read, or a judge that is not in the files.
    """
    return results_of(spec, read_files(spec, paths), invalid=invalid, judge=judge, seed=seed, rounds=rounds)


def results_of(
    spec: ShaberiSpec,
    read: Read,
    *,
    invalid: Policy | None = None,
    judge: str | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> list[Result]:
    """Return the results of what was read; see `score_files`."""
    policy: Policy = invalid or "drop"
    groups: dict[tuple[str, str], dict[str, _Scored]] = {}
    for sheet in read.sheets:
        if judge is None or sheet.judge == judge:
            groups.setdefault((sheet.judge, sheet.model), {})[sheet.dataset.short] = _scored(sheet, policy)
    if not groups:
        judges = ", ".join(sorted({sheet.judge for sheet in read.sheets}))
        raise UserError(f"--judge {judge}: rated nothing in these files", f"they have {judges}")
    place = {name: at for at, name in enumerate(dict.fromkeys(sheet.judge for sheet in read.sheets))}
    keys = sorted(groups, key=lambda key: (place[key[0]], key[1]))
    columns: list[Column] = []
    wanted: list[dict[str, tuple[int, ...]]] = []
    categories = {short: tuple(dict.fromkeys(known.values())) for short, known in read.categories.items()}
    for key in keys:
        wanted.append(_columns(spec, groups[key], read.categories, categories, columns))
    drawn = draw(columns, [places for one in wanted for places in one.values()], seed=seed, rounds=rounds)
    results = []
    intervals = iter(drawn)
    for key, figures in zip(keys, wanted, strict=True):
        made = {name: next(intervals) for name in figures}
        results.append(_result(spec, read, key, groups[key], made, policy, categories))
    return results


def _scored(sheet: Sheet, policy: Policy) -> _Scored:
    dataset = sheet.dataset
    items, ratings, runs = sheet.items, sheet.ratings, sheet.runs or (0,) * len(sheet.items)
    reasons = (
        tuple(sheet.reasons.get(at, "") for at in range(len(items))) if sheet.reasons else ("",) * len(items)
    )
    if dataset.excluded:
        left_out = {str(number) for number in dataset.excluded}
        kept = [at for at, item in enumerate(items) if item not in left_out]
        if len(kept) < len(items):
            items, ratings = tuple(items[at] for at in kept), tuple(ratings[at] for at in kept)
            reasons, runs = tuple(reasons[at] for at in kept), tuple(runs[at] for at in kept)
    if policy == "drop" and -1 in ratings:
        reasons = tuple(MINUS_ONE if r == -1 else why for r, why in zip(ratings, reasons, strict=True))
        ratings = tuple(None if rating == -1 else rating for rating in ratings)
    factor = dataset.factor
    values = ratings if factor == 1.0 else tuple(None if r is None else r * factor for r in ratings)
    valid = [value for value in values if value is not None]
    mean = math.fsum(valid) / len(valid) if valid else None
    low, high = dataset.scale
    out = sum(rating is not None and not low <= rating <= high for rating in ratings)
    return _Scored(sheet, dataset, items, values, reasons, runs, mean, len(valid), out)


def _columns(
    spec: ShaberiSpec,
    scored: Mapping[str, _Scored],
    categories: Mapping[str, Mapping[str, str]],
    named: Mapping[str, Sequence[str]],
    columns: list[Column],
) -> dict[str, tuple[int, ...]]:
    """Add what one result's figures are drawn from, and return, by figure, the places of the columns that it is the mean of."""
    wanted: dict[str, tuple[int, ...]] = {OVERALL: ()}
    for one in _ordered(spec, scored):
        dataset = one.dataset
        columns.append(Column(dataset.short, one.items, one.values))
        wanted[dataset.short] = (len(columns) - 1,)
        if one.n:
            wanted[OVERALL] += (len(columns) - 1,)
        known = categories.get(dataset.short, {})
        for category in named.get(dataset.short, ()):
            kept = [at for at, item in enumerate(one.items) if known.get(item) == category]
            if kept:
                columns.append(
                    Column(
                        dataset.short,
                        tuple(one.items[at] for at in kept),
                        tuple(one.values[at] for at in kept),
                    )
                )
                wanted[f"{dataset.short} {category}"] = (len(columns) - 1,)
    return wanted


def _ordered(spec: ShaberiSpec, scored: Mapping[str, _Scored]) -> list[_Scored]:
    """Return what is there in the order of the spec, then what is not its own."""
    known = [one.short for one in spec.datasets if one.short in scored]
    return [scored[short] for short in (*known, *(short for short in scored if short not in known))]


def _result(
    spec: ShaberiSpec,
    read: Read,
    key: tuple[str, str],
    scored: Mapping[str, _Scored],
    drawn: Mapping[str, tuple[float | None, float | None, float | None]],
    policy: Policy,
    categories: Mapping[str, Sequence[str]],
) -> Result:
    judge, model = key
    present = _ordered(spec, scored)
    counted = [one for one in present if one.mean is not None]
    means = [one.mean for one in counted if one.mean is not None]
    units: list[Unit] = []
    for one in present:
        known = read.categories.get(one.dataset.short, {})
        weight = 1.0 / (len(counted) * one.n) if one.n else 1.0
        short = one.dataset.short
        units += [
            Unit(item, short, known.get(item, ""), 1, run, value, weight, reason)
            for item, value, reason, run in zip(one.items, one.values, one.reasons, one.runs, strict=True)
        ]
    figures: dict[str, Figure] = {}
    runs = len({run for one in present for run in one.runs})
    for name, (stderr, low, high) in drawn.items():
        if name == OVERALL:
            value = sum(means) / len(means) if means else None
            n, bad = sum(one.n for one in present), sum(len(one.items) - one.n for one in present)
            deviation = _run_sd(present, runs)
        elif name in scored:
            one = scored[name]
            value, n, bad, deviation = one.mean, one.n, len(one.items) - one.n, _run_sd([one], runs)
        else:
            value, n, bad, deviation = _category(scored, read.categories, name)
        figures[name] = Figure(value, n, bad, stderr, low, high, deviation)
    return Result(
        spec=read.labels.get(key, spec.label),
        model=model,
        judge=judge,
        overall=OVERALL,
        figures=figures,
        units=tuple(units),
        runs=runs,
        settings=_settings(spec, read, model, present, policy),
        notes=tuple(
            notes_of(
                spec, [(one.dataset, one.items, one.runs, one.out_of_scale) for one in present], read, model
            )
        ),
        sources=tuple(dict.fromkeys(one.sheet.source for one in present)),
    )


def _category(
    scored: Mapping[str, _Scored], categories: Mapping[str, Mapping[str, str]], name: str
) -> tuple[float | None, int, int, None]:
    short = next(short for short in scored if name.startswith(f"{short} "))
    category, known, one = name.removeprefix(f"{short} "), categories[short], scored[short]
    values = [v for item, v in zip(one.items, one.values, strict=True) if known.get(item) == category]
    valid = [value for value in values if value is not None]
    return (math.fsum(valid) / len(valid) if valid else None), len(valid), len(values) - len(valid), None


def _run_sd(scored: Sequence[_Scored], runs: int) -> float | None:
    """Return the standard deviation of the runs' own means of means."""
    if runs < 2:
        return None
    own: dict[int, list[float]] = {}
    for one in scored:
        by_run: dict[int, list[float]] = {}
        for run, value in zip(one.runs, one.values, strict=True):
            if value is not None:
                by_run.setdefault(run, []).append(value)
        for run, values in by_run.items():
            own.setdefault(run, []).append(math.fsum(values) / len(values))
    means = [sum(values) / len(values) for _, values in sorted(own.items())]
    if len(means) < 2:
        return None
    middle = math.fsum(means) / len(means)
    return math.sqrt(math.fsum((mean - middle) ** 2 for mean in means) / (len(means) - 1))


def _settings(
    spec: ShaberiSpec, read: Read, model: str, present: Sequence[_Scored], policy: Policy
) -> dict[str, object]:
    shares = {}
    for one in present:
        known = read.answers.get((model, one.dataset.short))
        share = japanese_share(known.texts) if known is not None else None
        if share is not None:
            shares[one.dataset.short] = share
    settings: dict[str, object] = {
        "invalid": policy,
        "excluded": {one.short: list(one.excluded) for one in spec.datasets if one.excluded},
    }
    return settings | ({"japanese_share": shares} if shares else {})
