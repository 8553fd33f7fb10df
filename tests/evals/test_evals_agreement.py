"""Judges: ranks, items and levels apart, and the facts' figures from real judgments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError
from watari.evals.agreement import agreement_of
from watari.evals.intervals import figure_of
from watari.evals.result import Result, Unit
from watari.evals.scoring import score_files

Rate = Callable[[float], float | None]


def rated(judge: str, how: Rate, *, models: int = 6, items: int = 40, seed: int = 0) -> list[Result]:
    """Results of models of rising quality, each answer rated by `how` of its true quality."""
    rng = np.random.default_rng(seed)
    results = []
    for model in range(models):
        quality = np.clip(rng.normal(4 + model * 0.7, 1.5, items), 1, 10)
        units = tuple(Unit(f"{n:02}", "", "c", 1, 0, how(float(q))) for n, q in enumerate(quality))
        results.append(
            Result("s/1", f"m{model}", judge, "overall", {"overall": figure_of(units, rounds=0)}, units)
        )
    return results


def test_a_lenient_judge_agrees_in_ranks_not_in_level() -> None:
    (pair,) = agreement_of([*rated("strict", lambda q: q), *rated("lenient", lambda q: q + 2)]).pairs
    assert (pair.a, pair.b, pair.models, pair.n) == ("lenient", "strict", 6, 240)
    assert (pair.tau, pair.r) == (1.0, pytest.approx(1.0))
    assert pair.shift == pytest.approx(2.0)
    assert pair.shift_interval == (pytest.approx(2.0), pytest.approx(2.0))
    assert pair.alpha is not None
    assert pair.alpha < 0.8


def test_an_opposite_judge() -> None:
    (pair,) = agreement_of([*rated("a", lambda q: q), *rated("b", lambda q: 11 - q)]).pairs
    assert (pair.tau, pair.r) == (-1.0, pytest.approx(-1.0))


def test_noise_lowers_items_more_than_ranks() -> None:
    noise = np.random.default_rng(5)
    found = agreement_of([*rated("a", lambda q: q), *rated("b", lambda q: q + float(noise.normal(0, 2)))])
    (pair,) = found.pairs
    ones = [u.value for one in rated("a", lambda q: q) for u in one.units]
    noise = np.random.default_rng(5)
    others = [u.value for one in rated("b", lambda q: q + float(noise.normal(0, 2))) for u in one.units]
    assert pair.r == pytest.approx(scipy.stats.pearsonr(ones, others).statistic)
    assert pair.tau is not None
    assert pair.tau > 0.8 > pair.r > 0.4  # type: ignore[operator]
    low, high = pair.r_interval or (0, 0)
    exact = scipy.stats.pearsonr(ones, others).confidence_interval()
    assert (low, high) == (pytest.approx(exact.low, abs=0.06), pytest.approx(exact.high, abs=0.06))
    assert pair.tau_interval is not None
    assert pair.tau_interval[0] <= pair.tau <= pair.tau_interval[1]
    assert found.alpha == pytest.approx(pair.alpha)


def test_only_what_both_rated_counts() -> None:
    a, b = rated("a", lambda q: q), rated("b", lambda q: q)
    # One item unreadable, one model with one judge only.
    first = b[0]
    units = (replace(first.units[0], value=None, reason="no rating"), *first.units[1:])
    found = agreement_of([*a, replace(first, units=units), *b[1:5]])
    (pair,) = found.pairs
    assert (pair.models, pair.n) == (5, 199)
    assert (pair.tau, pair.shift, pair.shift_interval) == (1.0, 0.0, (0.0, 0.0))
    facts = {one.judge: one for one in found.judges}
    assert (facts["b"].invalid, facts["b"].reasons, facts["b"].models) == (1, {"no rating": 1}, 5)
    assert facts["b"].invalid_rate == pytest.approx(1 / 200)
    assert facts["a"].models == 6


def test_judges_without_anything_in_common_make_no_pair() -> None:
    b = [replace(one, model=f"other {one.model}") for one in rated("b", lambda q: q)]
    found = agreement_of([*rated("a", lambda q: q), *b])
    assert found.pairs == ()
    assert len(found.judges) == 2


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (rated("a", lambda q: q), "one judge only"),
        ([replace(one, judge=None) for one in rated("a", lambda q: q)], "nobody judges"),
        ([*rated("a", lambda q: q), *rated("a", lambda q: q)], "twice"),
        (
            [*rated("a", lambda q: q), *(replace(o, spec="t/1") for o in rated("b", lambda q: q))],
            "different specs",
        ),
        ([], "no judge"),
    ],
)
def test_what_cannot_be_compared_is_refused(results: list[Result], said: str) -> None:
    with pytest.raises(UserError, match=said):
        agreement_of(results)


def test_shaberi_judges_are_those_of_the_facts(test_data: Path) -> None:
    """facts/evaluation.md §3, JA MT-Bench one-shot: tau 0.78-0.90, level shifts of up to 1.7, Shisa 7B's four means.

    The facts' shift of GPT-4.1 over GPT-5.1 is of other models; over the 24 that are stored for both it is 1.58.
    """
    results = [
        replace(one, units=tuple(unit for unit in one.units if unit.stratum == "JA-MT"))
        for one in score_files("shaberi", [test_data / "shaberi" / "scores.jsonl.gz"])
    ]
    found = agreement_of([one for one in results if one.units], rounds=200)
    taus = [pair.tau for pair in found.pairs if pair.models >= 20 and pair.tau is not None]
    assert len(taus) == 7
    assert 0.77 < min(taus) < max(taus) < 0.91
    by_names = {(pair.a, pair.b): pair for pair in found.pairs}
    pair = by_names["gpt-4.1-2025-04-14", "gpt-5.1-2025-11-13"]
    assert pair.models == 24
    assert pair.shift == pytest.approx(1.5815, abs=1e-4)
    assert pair.shift_interval is not None
    assert pair.shift_interval[0] < 1.5815 < pair.shift_interval[1]
    means = {
        one.judge: figure_of(one.units, rounds=0).value
        for one in results
        if one.model == "augmxnt__shisa-7b-v1"
    }
    said = {
        "gpt-4-turbo-preview": 3.95,
        "gpt-4.1-2025-04-14": 2.62,
        "gpt-5.1-2025-11-13": 2.45,
        "llmjudge-tulu405": 4.13,
    }
    assert {judge: round(means[judge] or 0, 2) for judge in said} == said


def test_the_command_shows_four_judges(test_data: Path) -> None:
    file = str(test_data / "mt-bench-judgments" / "shisa-v2-ja" / "scores_4_judges.jsonl.gz")
    done = CliRunner().invoke(app, ["eval", "judges", file, "--json"])
    found = json.loads(done.stdout)
    assert set(found["judges"]) == {"GPT-4-Turbo", "GPT-4o", "GPT-4.1", "GPT-4.1-mini"}
    assert len(found["pairs"]) == 6
    # The facts' 0.66-0.85 is of 23 models; 12 are stored.
    assert all(0.6 < pair["r"] < 0.87 for pair in found["pairs"])
    assert all(0.6 <= pair["tau"] < 0.9 for pair in found["pairs"])
    assert found["judges"]["GPT-4-Turbo"]["invalid"]["rows"] == 2
    shown = CliRunner().invoke(app, ["eval", "judges", file]).stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
