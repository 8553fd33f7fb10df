"""How many questions or runs: what is said holds in simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from watari.stats.power import PowerStratum, power_of


def made(
    n: int, runs: int, *, between: float, within: float, difference: float = 0.0, seed: int = 0
) -> PowerStratum:
    """Scores of two models whose true difference on a question varies by `between`, a run's score by `within`."""
    rng = np.random.default_rng(seed)
    level = rng.normal(5, 2, (n, 1))
    own = rng.normal(difference, between, (n, 1))
    a, b = (level + shift + rng.normal(0, within, (n, runs)) for shift in (own, 0.0))
    return PowerStratum(a, b, np.ones(n), 1.0)


def test_the_parts_of_the_variance_are_found() -> None:
    found = power_of([made(4000, 4, between=1.5, within=0.8)], 0.3)
    assert found is not None
    assert found.within_sd is not None
    assert found.between_sd == pytest.approx(1.5, rel=0.05)
    assert found.within_sd == pytest.approx(0.8 * 2**0.5, rel=0.05)
    assert (found.questions_now, found.runs_now) == (4000, 4)


def test_one_run_says_nothing_of_runs() -> None:
    found = power_of([made(80, 1, between=1.0, within=1.0)], 0.3)
    assert found is not None
    assert (found.within_sd, found.runs, found.enough_runs) == (None, None, None)
    assert found.questions is not None


def test_questions_asked_for_have_the_power_promised() -> None:
    pilot = power_of([made(20_000, 2, between=1.0, within=1.0)], 0.4)
    assert pilot is not None
    assert pilot.questions is not None
    rng = np.random.default_rng(1)
    # sd of a question's difference: 1 between questions, sqrt(2 / 2) within.
    draws = rng.normal(0.4, (1 + 1) ** 0.5, (4000, pilot.questions))
    assert (scipy.stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_runs_asked_for_have_the_power_promised() -> None:
    # The variances of 40,000 questions are known well; at 400 all is ten times as large.
    pilot = power_of([made(40_000, 2, between=1.0, within=3.0)], 0.02)
    assert pilot is not None
    assert pilot.runs is not None
    rng = np.random.default_rng(2)
    draws = rng.normal(0.2, (1 + 2 * 9 / pilot.runs) ** 0.5, (4000, 400))
    assert (scipy.stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_no_number_of_runs_will_do() -> None:
    found = power_of([made(80, 3, between=2.0, within=0.5)], 0.2)
    assert found is not None
    assert found.enough_runs is False
    assert found.runs is None
    assert found.questions is not None
    assert found.questions > 80


def test_equal_models_are_never_separated() -> None:
    found = power_of([made(80, 2, between=1.0, within=1.0)], 0.0)
    assert found is not None
    assert (found.questions, found.runs, found.enough_runs) == (None, None, None)
    assert found.power_now == pytest.approx(0.05, abs=1e-9)


def test_power_now_is_half_at_the_edge_of_the_interval() -> None:
    data = made(100, 2, between=1.0, within=1.0)
    found = power_of([data], 0.1)
    assert found is not None
    stderr = float((data.a.mean(axis=1) - data.b.mean(axis=1)).std(ddof=1)) / 10
    edge = power_of([data], 1.959964 * stderr)
    assert edge is not None
    assert edge.power_now == pytest.approx(0.5, abs=1e-3)
    assert found.smallest == pytest.approx(2.8016 * stderr, rel=1e-3)
    at = power_of([data], found.smallest)
    assert at is not None
    assert at.questions == 100


def test_strata_and_missing_runs() -> None:
    one, other = made(50, 3, between=1.0, within=1.0), made(70, 3, between=2.0, within=1.0, seed=1)
    one.a[3, 1] = np.nan
    found = power_of(
        [PowerStratum(one.a, one.b, one.weights, 0.5), PowerStratum(other.a, other.b, other.weights, 0.5)],
        0.3,
    )
    assert found is not None
    expected = 0.25 * (1 + 2 / 3) / 50 + 0.25 * (4 + 2 / 3) / 70
    assert found.smallest == pytest.approx(2.8016 * expected**0.5, rel=0.15)


def test_one_question_says_nothing() -> None:
    assert power_of([made(1, 3, between=1.0, within=1.0)], 0.3) is None
    assert power_of([], 0.3) is None
