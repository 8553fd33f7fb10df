"""Upstream's own table (`output.csv`), column by column, so that it can be held against what was published.

It is the one place where judges are averaged together, and nobody should rank by it: a model has `Average (All)` from those
judges that rated it, one of them alone (GPT-4 turbo, lenient) or six. `Average (ex-GPT4)` moreover leaves out GPT-4.1 and
averages `Average (All)` in beside the judges. Judges that upstream's table has no columns for are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from watari.evals.result import Result
from watari.evals.shaberi.spec import ShaberiSpec

LABEL = "columns of upstream's output.csv; (All) and (ex-GPT4) average over whichever judges rated a model, and are no scores"


def published(results: Iterable[Result], spec: ShaberiSpec) -> dict[str, dict[str, float | int]]:
    """Return upstream's table: by model (as it writes them, `/` for `__`), the columns that it has figures in.

    Besides the means: `Judges`, `GPT4 delta` ((ex-GPT4 - GPT4) / GPT4), and `% JA` where it is certain which answers it is
    of: upstream takes the first file that it comes upon, so only of models rated on one benchmark whose answers are given.
    """
    by_model: dict[str, list[Result]] = {}
    for result in results:
        if result.judge in spec.published.judges and result.spec == spec.label:
            by_model.setdefault(result.model, []).append(result)
    return {model.replace("__", "/"): _row(of, spec) for model, of in sorted(by_model.items())}


def _row(results: Sequence[Result], spec: ShaberiSpec) -> dict[str, float | int]:
    names = spec.published.judges
    order = {judge: at for at, judge in enumerate(names)}
    results = sorted(results, key=lambda result: order[str(result.judge)])
    row: dict[str, float | int] = {"Judges": len(results)}
    pooled: dict[str, list[float]] = {}
    for result in results:
        for unit in result.units:
            if unit.value is not None:
                pooled.setdefault(unit.stratum, []).append(unit.value)
    everywhere = {short: math.fsum(values) / len(values) for short, values in pooled.items()}
    averages = _block(row, everywhere, "All", spec)
    judged = {}
    for result in results:
        label = names[str(result.judge)]
        means = {
            one.short: value
            for one in spec.datasets
            if one.short in result.figures and (value := result.figures[one.short].value) is not None
        }
        judged[label] = _block(row, means, label, spec)
    apart = spec.published.apart
    others = [value for label, value in judged.items() if apart not in label and value is not None]
    if others and averages is not None:
        found = [averages, *others]
        row[f"Average (ex-{apart})"] = outside = sum(found) / len(found)
        alone = judged.get(apart)
        if alone:
            row[f"{apart} delta"] = (outside - alone) / alone
    share = _share(results)
    if share is not None:
        row["% JA"] = share
    return row


def _block(
    row: dict[str, float | int], means: Mapping[str, float], label: str, spec: ShaberiSpec
) -> float | None:
    values = [means[one.short] for one in spec.datasets if one.short in means]
    if not values:
        return None
    row[f"Average ({label})"] = average = sum(values) / len(values)
    for short, value in means.items():
        row[f"{short} ({label})"] = value
    return average


def _share(results: Sequence[Result]) -> float | None:
    rated = {unit.stratum for result in results for unit in result.units}
    shares: Mapping[str, float] = results[0].settings.get("japanese_share", {})
    return next(iter(shares.values())) if len(rated) == 1 and set(shares) == rated else None
