"""What a reader of a result of the family jaster must be told beside its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from watari.evals.jaster.figures import Scored
from watari.evals.jaster.metrics import CORRELATIONS, UNREADABLE, not_computed, numbers
from watari.evals.jaster.ratio import Backend, other_backend
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.spec import JasterSpec
from watari.pages.noted import Note


def notes_of(spec: JasterSpec, answers: Answers, scored: Scored, backend: Backend) -> Iterator[Note]:
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
                yield Note(
                    f"{dataset}: {unreadable} of {size} answers hold no number and count as {UNREADABLE:g}",
                    f"{dataset}：回答 {size} 件のうち {unreadable} 件に数値がなく、{UNREADABLE:g} として数えています",
                )
    for name in scored.undefined:
        yield Note(
            f"{name}: there is no correlation (all answers the same): it counts as 0",
            f"{name}：回答がすべて同じで相関が求められないため、0 として数えています",
        )


def _other(spec: JasterSpec, scored: Scored, backend: Backend) -> Iterator[Note]:
    other = other_backend(backend)
    mine, theirs = (scored.figures[one].get(spec.overall) for one in (backend, other))
    if mine is not None and theirs is not None and f"{mine:.4f}" != f"{theirs:.4f}":
        yield Note(
            f"{spec.overall} is {theirs:.4f} with the {other} ratio",
            f"{other} の類似度では {spec.overall} は {theirs:.4f} です",
        )


def _datasets(spec: JasterSpec, answers: Answers, there: dict[str, Column], scored: Scored) -> Iterator[Note]:
    strange = {
        name: len(column.items) for name, column in answers.columns.items() if name not in spec.datasets
    }
    if strange:
        rows = sum(strange.values())
        yield Note(
            f"{rows} rows are of no dataset of {spec.name} and left out: {', '.join(sorted(strange))}",
            f"{spec.name} のデータセットにない {rows} 行を除きました：{'、'.join(sorted(strange))}",
        )
    figures = next(iter(scored.figures.values()))
    counted = {
        d
        for name, d, metric in spec.dataset_figures()
        if name in figures and metric == spec.datasets[d].metrics[0]
    }
    for category, datasets in spec.categories.items():
        missing = [name for name in datasets if name not in counted]
        if missing and len(missing) < len(datasets):
            yield Note(
                f"{category}: no {', '.join(missing)}: the mean of the others",
                f"{category}：{'、'.join(missing)} がないため、残りの平均です",
            )
        elif missing:
            zero = spec.missing_category == "zero"
            yield Note(
                f"{category}: no {', '.join(missing)}: it {'counts 0' if zero else 'is left out'} in {spec.overall}",
                f"{category}：{'、'.join(missing)} がないため、"
                f"{spec.overall} {'では 0 として数えています' if zero else 'から除いています'}",
            )
    if loose := [name for name in spec.datasets if name not in there and spec.category_of(name) is None]:
        yield Note(f"no {', '.join(loose)}", f"{'、'.join(loose)} がありません")
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, dataset, metric in spec.dataset_figures():
        if dataset in there and name not in figures:
            reason = not_computed(metric) or f"{metric} is not computed here"
            reasons.setdefault((reason, metric), []).append(dataset)
    for (reason, missing_metric), datasets_ in reasons.items():
        yield Note(
            f"{', '.join(datasets_)}: {reason}",
            f"{'、'.join(datasets_)}：{missing_metric} はここでは計算できません（{reason}）",
        )


def _column(dataset: str, column: Column) -> Iterator[Note]:
    size = len(column.items)
    for reason, count in sorted(Counter(column.reasons.values()).items()):
        yield Note(
            f"{dataset}: {count} of {size} counted as wrong: {reason}",
            f"{dataset}：{size} 件のうち {count} 件を不正解として数えています（{reason}）",
        )
    empty = sum(not pred.strip() for pred in column.preds) - sum(
        not column.preds[place].strip() for place in column.reasons
    )
    if empty:
        yield Note(
            f"{dataset}: {empty} of {size} answers are empty, which is wrong",
            f"{dataset}：回答 {size} 件のうち {empty} 件が空で、不正解としています",
        )
    if column.twice:
        differing = column.differing
        yield Note(
            f"{dataset}: {column.twice} rows of items that had one already, left out"
            + (f", {differing} of them with another answer" if differing else ""),
            f"{dataset}：すでにある項目の行を {column.twice} 行除きました"
            + (f"（うち {differing} 行は回答が異なります）" if differing else ""),
        )
    sizes = Counter(column.runs)
    if len(set(sizes.values())) > 1:
        yield Note(
            f"{dataset}: its runs have {min(sizes.values())} to {max(sizes.values())} items",
            f"{dataset}：実行ごとの項目数が {min(sizes.values())}～{max(sizes.values())} と異なります",
        )
