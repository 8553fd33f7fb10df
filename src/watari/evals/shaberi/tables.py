"""Results of the family shaberi as JSON for programs and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Figure, Result
from watari.evals.shaberi.published import LABEL, published
from watari.evals.shaberi.spec import OVERALL, ShaberiSpec

if TYPE_CHECKING:
    from rich.console import RenderableType


def refused(result: Result, max_invalid: float | None = LIMIT) -> str | None:
    """Return why a result is refused, None if it is not: too many invalid ratings in all, or on one benchmark.

    Args:
        result: Of one model and judge.
        max_invalid: Largest share of invalid ratings that is let through; None: any.
    """
    return None if max_invalid is None else refusal(result, max_invalid)


def as_json(
    results: Sequence[Result], spec: ShaberiSpec, *, max_invalid: float | None = LIMIT
) -> dict[str, Any]:
    """Return results as plain data, each judge apart.

    {"spec", "digest", "scale", "invalid_policy", "names": {dataset: short name}, "judges": {judge: {"unreadable": {"n", "invalid", "rate",
    "datasets": {dataset: rate}}, "models": {model: {"average", "datasets": {dataset: mean}, "categories", "n", "invalid":
    {"rows", "rate", "reasons", "datasets"}, "runs", "spec"?, "run_sd"?, "intervals": {"average" | dataset: [low, high]}, "refused"?,
    "japanese_share"?, "notes"}}}}, "published_form": {"label", "models": {model: {column: figure}}}}; where one judge alone
    rated, also "judge" and "models".

    Args:
        results: Of `score_files`.
        spec: Theirs.
        max_invalid: See `refused`.
    """
    ids = _ids(results, spec)
    judges: dict[str, dict[str, Any]] = {}
    for result in results:
        judge = judges.setdefault(str(result.judge), {"unreadable": {}, "models": {}})
        judge["models"][result.model] = _model(result, spec, ids, max_invalid)
    for name, judge in judges.items():
        judge["unreadable"] = unreadable([one for one in results if one.judge == name], ids)
    made: dict[str, Any] = {
        "spec": spec.label,
        "digest": spec.digest,
        "scale": list(spec.scale),
        "invalid_policy": results[0].settings.get("invalid", "drop") if results else "drop",
        "names": {folder: short for short, folder in ids.items()},
        "judges": judges,
    }
    if len(judges) == 1:
        made |= {"judge": next(iter(judges)), "models": next(iter(judges.values()))["models"]}
    table = published(results, spec)
    if table:
        made["published_form"] = {"label": LABEL, "models": table}
    return made


def _ids(results: Sequence[Result], spec: ShaberiSpec) -> dict[str, str]:
    """Return, by short name, what the benchmarks that are there are called in files, in the order of the spec."""
    there = dict.fromkeys(unit.stratum for result in results for unit in result.units)
    known = {one.short: one.folder for one in spec.datasets if one.short in there}
    return known | {short: short for short in there if short not in known}


def unreadable(results: Sequence[Result], ids: Mapping[str, str]) -> dict[str, Any]:
    """Return how many of a judge's ratings could not be read, in all and by benchmark."""
    found: dict[str, list[int]] = {}
    for result in results:
        for name in ids:
            if (figure := result.figures.get(name)) is not None:
                counts = found.setdefault(name, [0, 0])
                counts[0] += figure.invalid
                counts[1] += figure.n + figure.invalid
    invalid, total = sum(bad for bad, _ in found.values()), sum(all_ for _, all_ in found.values())
    return {
        "n": total,
        "invalid": invalid,
        "rate": invalid / total if total else 0.0,
        "datasets": {ids[name]: bad / of if of else 0.0 for name, (bad, of) in found.items()},
    }


def _model(
    result: Result, spec: ShaberiSpec, ids: Mapping[str, str], max_invalid: float | None
) -> dict[str, Any]:
    figures = result.figures
    overall = figures[OVERALL]
    reasons: dict[str, int] = {}
    if overall.invalid:
        for unit in result.units:
            if unit.value is None:
                reasons[unit.reason] = reasons.get(unit.reason, 0) + 1
    made: dict[str, Any] = {
        "average": overall.value,
        "datasets": {ids[name]: figure.value for name, figure in figures.items() if name in ids},
        "n": overall.n,
        "invalid": {
            "rows": overall.invalid,
            "rate": overall.invalid_rate,
            "reasons": reasons,
            "datasets": {ids[name]: figure.invalid for name, figure in figures.items() if name in ids},
        },
        "runs": result.runs,
        "intervals": {ids.get(name, name): [one.low, one.high] for name, one in figures.items()},
    }
    categories: dict[str, dict[str, float | None]] = {}
    for name, figure in figures.items():
        short = next((short for short in ids if name.startswith(f"{short} ")), None)
        if short is not None and name not in ids:
            categories.setdefault(ids[short], {})[name.removeprefix(f"{short} ")] = figure.value
    if categories:
        made["categories"] = categories
    if result.spec != spec.label:
        made["spec"] = result.spec
    if result.runs > 1:
        made["run_sd"] = overall.run_sd
    if (said := refused(result, max_invalid)) is not None:
        made["refused"] = said
    if shares := result.settings.get("japanese_share"):
        made["japanese_share"] = {ids[name]: share for name, share in shares.items()}
    if result.notes:
        made["notes"] = list(result.notes)
    return made


def as_table(
    results: Sequence[Result], spec: ShaberiSpec, *, max_invalid: float | None = LIMIT
) -> RenderableType:
    """Return a table for each judge and label, the best average first; a refused model has a dash, and the reason below."""
    from rich.console import Group
    from rich.text import Text

    ids = _ids(results, spec)
    parts: list[RenderableType] = []
    for label, judge in dict.fromkeys((result.spec, result.judge) for result in results):
        of = sorted((one for one in results if (one.spec, one.judge) == (label, judge)), key=_rank)
        why = {one.model: said for one in of if (said := refused(one, max_invalid)) is not None}
        parts += [
            Text(f"{label}, judge {judge}"),
            _table(of, list(ids), why),
            Text(_face(of, ids)),
        ]
        parts += [Text(f"refused: {model}: {said}") for model, said in why.items()]
        parts.append(Text())
    return Group(*parts)


def _table(results: Sequence[Result], names: Sequence[str], why: Mapping[str, str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold", ratio=1)
    for heading in ("mean", "95 %", *names, "invalid"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        overall = result.figures[OVERALL]
        if result.model in why:
            table.add_row(Text(result.model), "-", *[""] * (len(names) + 1), str(overall.invalid))
            continue
        means = [result.figures.get(name) for name in names]
        table.add_row(
            Text(result.model),
            _shown(overall),
            _interval(overall),
            *(_shown(figure) if figure is not None else "" for figure in means),
            str(overall.invalid),
        )
    return table


def _rank(result: Result) -> tuple[float, str]:
    value = result.figures[OVERALL].value
    return (-value if value is not None else 1.0, result.model)


def _face(results: Sequence[Result], ids: Mapping[str, str]) -> str:
    told = unreadable(results, ids)
    names = {folder: short for short, folder in ids.items()}
    by = ", ".join(f"{names[name]} {100 * rate:.1f} %" for name, rate in told["datasets"].items() if rate)
    policy = results[0].settings.get("invalid", "drop")
    return (
        f"{told['invalid']:,} of {told['n']:,} ratings unreadable ({100 * told['rate']:.1f} %{': ' + by if by else ''});"
        f" invalid: {policy}"
    )


def _shown(figure: Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.2f}"


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f"{figure.low:.2f}-{figure.high:.2f}"
