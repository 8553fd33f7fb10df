"""What a reader of a result of the family jaster must be told beside its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from watari.evals.jaster.figures import Scored
from watari.evals.jaster.metrics import CORRELATIONS, UNREADABLE, not_computed, numbers
from watari.evals.jaster.ratio import Backend, other_backend
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.spec import JasterSpec


def notes_of(spec: JasterSpec, answers: Answers, scored: Scored, backend: Backend) -> Iterator[str]:
    """Yield one line for each thing that a figure does not say."""
    there = {  # in the order of the spec, whatever that of the rows is
        name: column for name in spec.datasets if (column := answers.columns.get(name)) and column.items
    }
    yield from _other(spec, scored, backend)
    yield from _datasets(spec, answers, there, scored)
    for dataset, column in there.items():
        yield from _column(dataset, column)
        if set(spec.datasets[dataset].metrics) & set(CORRELATIONS):
            unreadable = int((numbers(column.preds) == UNREADABLE).sum())
            if unreadable:
                size = len(column.items)
                yield f"{dataset}: {unreadable} of {size} answers hold no number and count as {UNREADABLE:g}"
    for name in scored.undefined:
        yield f"{name}: there is no correlation (all answers the same): it counts as 0"


def _other(spec: JasterSpec, scored: Scored, backend: Backend) -> Iterator[str]:
    other = other_backend(backend)
    mine, theirs = (scored.figures[one].get(spec.overall) for one in (backend, other))
    if mine is not None and theirs is not None and f"{mine:.4f}" != f"{theirs:.4f}":
        yield f"{spec.overall} is {theirs:.4f} with the {other} ratio"


def _datasets(spec: JasterSpec, answers: Answers, there: dict[str, Column], scored: Scored) -> Iterator[str]:
    strange = {
        name: len(column.items) for name, column in answers.columns.items() if name not in spec.datasets
    }
    if strange:
        rows = sum(strange.values())
        yield f"{rows} rows are of no dataset of {spec.name} and left out: {', '.join(sorted(strange))}"
    figures = next(iter(scored.figures.values()))
    counted = {
        d
        for name, d, metric in spec.dataset_figures()
        if name in figures and metric == spec.datasets[d].metrics[0]
    }
    for category, datasets in spec.categories.items():
        missing = [name for name in datasets if name not in counted]
        if missing and len(missing) < len(datasets):
            yield f"{category}: no {', '.join(missing)}: the mean of the others"
        elif missing:
            does = "counts 0" if spec.missing_category == "zero" else "is left out"
            yield f"{category}: no {', '.join(missing)}: it {does} in {spec.overall}"
    if loose := [name for name in spec.datasets if name not in there and spec.category_of(name) is None]:
        yield f"no {', '.join(loose)}"
    reasons: dict[str, list[str]] = {}
    for name, dataset, metric in spec.dataset_figures():
        if dataset in there and name not in figures:
            reasons.setdefault(not_computed(metric) or f"{metric} is not computed here", []).append(dataset)
    for reason, datasets_ in reasons.items():
        yield f"{', '.join(datasets_)}: {reason}"


def _column(dataset: str, column: Column) -> Iterator[str]:
    size = len(column.items)
    for reason, count in sorted(Counter(column.reasons.values()).items()):
        yield f"{dataset}: {count} of {size} counted as wrong: {reason}"
    empty = sum(not pred.strip() for pred in column.preds) - sum(
        not column.preds[place].strip() for place in column.reasons
    )
    if empty:
        yield f"{dataset}: {empty} of {size} answers are empty, which is wrong"
    if column.twice:
        differing = f", {column.differing} of them with another answer" if column.differing else ""
        yield f"{dataset}: {column.twice} rows of items that had one already, left out{differing}"
    sizes = Counter(column.runs)
    if len(set(sizes.values())) > 1:
        yield f"{dataset}: its runs have {min(sizes.values())} to {max(sizes.values())} items"
