"""Two proportions, design effect, intraclass correlation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.stats.proportions import (
    design_effect,
    intraclass,
    power_of_proportions,
    repeats_for,
    two_proportions,
)


def test_the_facts_page_has_about_1350_for_ten_against_seven_percent() -> None:
    assert two_proportions(0.10, 0.07) == two_proportions(0.07, 0.10) == 1356
    # Fleiss, Levin and Paik 2003, table A.4 without the continuity correction, to rounding.
    assert two_proportions(0.5, 0.7) == pytest.approx(93, abs=1)
    assert power_of_proportions(0.10, 0.07, 1356) == pytest.approx(0.8, abs=0.001)
    with pytest.raises(ValueError, match="different"):
        two_proportions(0.1, 0.1)


def test_power_is_what_simulation_says() -> None:
    draws = np.random.default_rng(0)
    a, b = (draws.binomial(1356, p, 4000) / 1356 for p in (0.10, 0.07))
    mean = (a + b) / 2
    z = np.abs(a - b) / np.sqrt(2 * mean * (1 - mean) / 1356)
    assert (z > 1.959964).mean() == pytest.approx(0.8, abs=0.02)


@given(st.integers(1, 5000), st.integers(2, 2000), st.floats(0, 0.9), st.floats(0, 1))
def test_repeats_are_the_least_that_are_worth_enough(
    independent: int, prompts: int, icc: float, shared: float
) -> None:
    repeats = repeats_for(independent, prompts, icc, shared)
    if repeats is None:
        assert prompts <= independent * icc * (1 - shared) * (1 + 1e-9)
        return
    assert prompts * repeats / design_effect(repeats, icc, shared) >= independent * (1 - 1e-6)
    if repeats > 1:
        fewer = prompts * (repeats - 1) / design_effect(repeats - 1, icc, shared)
        assert fewer < independent * (1 + 1e-6)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_design_effect_is_what_simulation_says(shared: float) -> None:
    """Prompts with shares of their own under two settings, correlated by `shared`; the variance of the difference."""
    draws = np.random.default_rng(2)
    rounds, prompts, repeats, spread = 3000, 50, 6, 0.25
    both = draws.normal(size=(rounds, prompts))
    sides = [
        0.5 + spread * (shared**0.5 * both + (1 - shared) ** 0.5 * draws.normal(size=both.shape))
        for _ in range(2)
    ]
    shares = [np.clip(side, 0, 1) for side in sides]
    a, b = (draws.binomial(repeats, share).mean(axis=1) / repeats for share in shares)
    variance = float(shares[0].var())
    correlation = float(np.corrcoef(shares[0].ravel(), shares[1].ravel())[0, 1])
    swell = float((a - b).var()) / (2 * 0.25 / (prompts * repeats))
    assert swell == pytest.approx(design_effect(repeats, variance / 0.25, correlation), rel=0.08)


def test_kish_is_the_case_of_other_prompts() -> None:
    assert design_effect(5, 0.2) == pytest.approx(1 + 4 * 0.2)
    assert design_effect(1, 0.3) == 1


def test_intraclass() -> None:
    assert intraclass([[1, 1], [0, 0], [1, 1]]) == 1
    assert intraclass([[1, 0], [0, 1]]) == 0
    assert intraclass([[1], [0]]) is None
    assert intraclass([[1, 1], [1, 1]]) is None
    assert intraclass([[1, 0]]) is None
    draws = np.random.default_rng(1)
    groups = [(draws.normal(size=5) + draws.normal()).tolist() for _ in range(3000)]
    assert intraclass(groups) == pytest.approx(0.5, abs=0.03)
