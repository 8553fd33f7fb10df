"""`watari eval compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from watari.cli.evaluation.inputs import of_models, results_of
from watari.errors import CheckFailed
from watari.evals.comparability import check_comparable
from watari.evals.comparison import Comparison, Ranking, compare, rank
from watari.evals.refusal import LIMIT, refusal
from watari.evals.result import Result
from watari.stats.paired import PairedDifference
from watari.stats.power import Power
from watari.stats.resampling import FEWEST, ROUNDS

WIDTH = 80
_LETTERS = 8
"""Letters of a group that fit into a line."""


def compare_command(
    files: Sequence[str],
    *,
    spec: str | None,
    judge: str | None,
    models: Sequence[str],
    invalid: str | None,
    seed: int,
    as_json: bool,
    max_invalid: float = LIMIT,
) -> None:
    """Print the comparison of the models in some files: two in depth, more as a table.

    Raises:
        UserError: for files, models or judges that cannot be compared.
        CheckFailed: after printing, if more of a model's rows are invalid than `max_invalid`, and `invalid` is not given.
    """
    results = of_models(results_of(files, spec=spec, judge=judge, invalid=invalid, seed=seed), models)
    check_comparable(results)
    limit = max_invalid if invalid is None else None
    if len(results) == 2:
        pair = compare(results[0], results[1], seed=seed)
        typer.echo(json.dumps(pair_json(pair), ensure_ascii=False) if as_json else pair_text(pair))
    else:
        # The table for people shows no interval of a pair, and what tells pairs apart needs no draws.
        table = rank(results, seed=seed, rounds=ROUNDS if as_json else 2, limit=limit)
        typer.echo(json.dumps(ranking_json(table), ensure_ascii=False) if as_json else ranking_text(table))
    if limit is not None:
        _refuse(results, limit)


def _refuse(results: Sequence[Result], limit: float) -> None:
    refused = [f"{result.model}: {why}" for result in results if (why := refusal(result, limit)) is not None]
    if refused:
        policy = ", or --invalid drop|as-is" if results[0].judge is not None else ""
        raise CheckFailed("; ".join(refused), f"compare with --max-invalid SHARE{policy}")


def pair_json(pair: Comparison) -> dict[str, Any]:
    """Return the JSON form of a comparison of two."""
    difference = pair.difference
    return {
        "a": pair.a,
        "b": pair.b,
        "spec": pair.spec,
        "judge": pair.judge,
        "mean_a": pair.means[0],
        "mean_b": pair.means[1],
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "stderr": difference.stderr,
        "p": difference.p,
        "p_permutation": difference.p_permutation,
        "p_t": difference.p_t,
        "n_questions": difference.n,
        "too_few_questions": difference.too_few,
        "n_units": pair.n_units,
        "only_a": pair.only_a,
        "only_b": pair.only_b,
        "unpaired": pair.unpaired,
        "power": None if pair.power is None else {**asdict(pair.power), "words": power_words(pair.power)},
        "categories": {name: _difference_json(part) for name, part in pair.categories.items()},
        "method": "percentile bootstrap of the paired difference, clustered by question within strata",
        "notes": list(pair.notes),
    }


def ranking_json(table: Ranking) -> dict[str, Any]:
    """Return the JSON form of a table."""
    return {
        "spec": table.spec,
        "judge": table.judge,
        "models": [
            {
                "model": model.model,
                "value": model.figure.value,
                "low": model.figure.low,
                "high": model.figure.high,
                "stderr": model.figure.stderr,
                "n": model.figure.n,
                "invalid": model.figure.invalid,
                "group": model.group,
                "tied_with_best": model.tied_with_best,
                **({"refused": model.refused} if model.refused else {}),
            }
            for model in table.models
        ],
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                **_difference_json(pair.difference),
                "p_holm": pair.p_holm,
                "apart": pair.apart,
            }
            for pair in table.pairs
        ],
        "separated": {
            "by_interval": sum(_excludes_0(pair.difference) for pair in table.pairs),
            "family_wise": sum(pair.apart for pair in table.pairs),
            "pairs": len(table.pairs),
        },
        "level": table.level,
        "method": "Student's t of the paired difference over its clustered standard error, Holm over all pairs",
        "notes": list(table.notes),
    }


def _difference_json(difference: PairedDifference) -> dict[str, Any]:
    return {
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
        "p_t": difference.p_t,
        "n_questions": difference.n,
    }


def _excludes_0(difference: PairedDifference) -> bool:
    return (difference.low is not None and difference.low > 0) or (
        difference.high is not None and difference.high < 0
    )


def pair_text(pair: Comparison) -> str:
    """Return a comparison of two for people, 80 columns wide."""
    lines = [
        f"A  {_short(pair.a, WIDTH - 12)}  {pair.means[0]:.4f}",
        f"B  {_short(pair.b, WIDTH - 12)}  {pair.means[1]:.4f}",
        f"{pair.spec}" + (f", judge {pair.judge}" if pair.judge else ""),
        "",
        f"{'':18}{'A - B':>9}  {'95% interval':^19}  {'p':>7}  {'n':>5}",
        _row("overall", pair.difference),
        *(_row(name, part) for name, part in pair.categories.items()),
        "",
        f"{pair.difference.n} questions in common, {pair.n_units} scores; only A: {pair.only_a}, only B: {pair.only_b}"
        + (f"; without a valid score of both: {pair.unpaired}" if pair.unpaired else ""),
    ]
    verdict = _verdict(pair)
    lines += [verdict]
    if pair.power is not None:
        lines += _wrapped(power_words(pair.power))
    return "\n".join([*lines, *(line for note in pair.notes for line in _wrapped(f"note: {note}"))])


def _verdict(pair: Comparison) -> str:
    if pair.difference.too_few:
        return f"Too few questions ({pair.difference.n}) to say whether they differ: {FEWEST} at least are wanted."
    if pair.difference.stderr is None and pair.difference.value:
        return (
            f"The difference is the same on all {pair.difference.n} questions (p = {_p(pair.difference.p)})."
        )
    if _excludes_0(pair.difference):
        return f"{'A' if pair.difference.value > 0 else 'B'} is better (p = {_p(pair.difference.p)})."
    return f"They are not told apart (p = {_p(pair.difference.p)})."


def _row(name: str, difference: PairedDifference) -> str:
    interval = "" if difference.low is None else f"[{difference.low:+.4f}, {difference.high:+.4f}]"
    if difference.too_few:
        interval = "too few questions"
    return f"{_short(name, 18):18}{difference.value:>+9.4f}  {interval:^19}  {_p(difference.p):>7}  {difference.n:>5}"


def ranking_text(table: Ranking) -> str:
    """Return a table for people, 80 columns wide."""
    width = min(36, max(len(model.model) for model in table.models))
    lines = [f"{table.spec}" + (f", judge {table.judge}" if table.judge else ""), ""]
    by_place = max(len(model.group) for model in table.models) > _LETTERS
    shown = _places(table) if by_place else [model.group for model in table.models]
    title = "tied places" if by_place else "groups"
    lines.append(f"{'':>3} {'':{width}}  {'score':>7}  {'95% interval':^16}  {title}")
    for place, (model, tied) in enumerate(zip(table.models, shown, strict=True), 1):
        figure = model.figure
        interval = "" if figure.low is None else f"[{figure.low:.3f}, {figure.high:.3f}]"
        score = "-" if model.refused else f"{figure.value:.4f}"
        lines.append(f"{place:>3} {_short(model.model, width):{width}}  {score:>7}  {interval:^16}  {tied}")
    apart = sum(pair.apart for pair in table.pairs)
    lines += [
        "",
        *_wrapped(
            f"{apart} of {len(table.pairs)} pairs are told apart at {table.level:.0%} over all pairs at once (Holm)."
            + (
                " Tied places: those that a model is not told apart from, first and last."
                if by_place
                else " Models that share a letter are not."
            )
        ),
    ]
    return "\n".join([*lines, *(line for note in table.notes for line in _wrapped(f"note: {note}"))])


def _places(table: Ranking) -> list[str]:
    """Return, for each model, the first and the last place that it is not told apart from."""
    place = {model.model: number for number, model in enumerate(table.models, 1)}
    ends = {number: [number, number] for number in place.values()}
    for pair in table.pairs:
        if not pair.apart:
            for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
                own = ends[place[one]]
                own[0], own[1] = min(own[0], place[other]), max(own[1], place[other])
    return [f"{first}-{last}" for first, last in ends.values()]


def power_words(power: Power) -> str:
    """Return in a sentence what would separate a difference of this size."""
    if not power.difference:
        return "The difference is 0: nothing would separate them."
    size = f"a difference of {power.difference:.4f}"
    parts = [
        f"For 80 % power at 5 %, {size} takes {power.questions:,} questions at the runs there are"
        f" (now {power.questions_now:,}; power {power.power_now:.0%}; smallest seen so: {power.smallest:.4f})"
    ]
    if power.enough_runs is None:
        parts.append("with one run, nothing is known of what more runs would do")
    elif power.enough_runs:
        parts.append(f"or {power.runs:,} runs of each (now {power.runs_now}) of these questions")
    else:
        parts.append(
            "no number of runs of these questions will do: the models differ too much between questions"
        )
    return "; ".join(parts) + "."


def _p(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH, break_on_hyphens=False) or [""]
