"""The bootstrap: right on known cases, covers as it says, and independent of order, blocks and threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.stats import resampling
from watari.stats.resampling import Stratum, draw_counts, fixed_point, percentile_interval, resampled


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)[:, None]


def test_counts_draw_as_many_clusters_as_there_are() -> None:
    (counts,) = draw_counts(0, "s", 7, 50)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.std() > 0.5


def test_draws_depend_on_seed_and_stratum_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(seed: int, name: str) -> np.ndarray:
        return np.concatenate(list(draw_counts(seed, name, 11, 400)))

    first = drawn(0, "a")
    assert (drawn(0, "a") == first).all()
    assert (drawn(1, "a") != first).any()
    assert (drawn(0, "b") != first).any()
    monkeypatch.setattr(resampling, "_CACHED", 0)
    monkeypatch.setattr(resampling, "_CELLS", 11 * 64)
    assert (drawn(0, "a") == first).all()


def test_fixed_point_sums_are_exact_in_any_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 1)) * 10
    integers, scale = fixed_point(values)
    assert (integers == np.round(integers)).all()
    assert np.abs(integers / scale - values).max() < 1e-11
    for _ in range(5):
        weights = rng.multinomial(500, np.full(500, 1 / 500))
        order = rng.permutation(500)
        assert (weights @ integers)[0] == sum(
            (int(w) * int(v) for w, v in zip(weights[order], integers[order, 0], strict=True))
        )


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_fixed_point_keeps_values(values: list[float]) -> None:
    integers, scale = fixed_point(column(*values))
    largest = max(abs(value) for value in values)
    assert np.abs(integers / scale - column(*values)).max() <= largest * 1e-13 + 1e-280


def test_mean_and_spread_are_those_of_theory() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, size=(200, 1))
    draws = resampled(Stratum("", values, np.ones((200, 1))), seed=0, rounds=20_000)
    stderr, low, high = percentile_interval(draws)
    expected = values.std() / np.sqrt(200)
    assert stderr[0] == pytest.approx(expected, rel=0.03)
    assert low[0] == pytest.approx(values.mean() - 1.96 * expected, abs=0.03)
    assert high[0] == pytest.approx(values.mean() + 1.96 * expected, abs=0.03)


def test_uneven_weights_make_a_ratio() -> None:
    tops, bottoms = column(2.0, 30.0, 0.0), column(1.0, 3.0, 0.0)
    draws = resampled(Stratum("", tops, bottoms), seed=0, rounds=4000)[:, 0]
    (counts,) = draw_counts(0, "", 3, 4000)
    below = counts @ bottoms[:, 0]
    expected = np.where(below > 0, (counts @ tops[:, 0]) / np.where(below > 0, below, 1), 8.0)
    assert draws == pytest.approx(expected)
    # The third cluster alone has nothing valid: the stratum's own mean stands for it.
    assert draws[below == 0] == pytest.approx(8.0)
    assert (below == 0).any()


def test_a_figure_has_the_same_bits_alone_and_among_others() -> None:
    rng = np.random.default_rng(2)
    tops = rng.normal(size=(80, 30))
    together = percentile_interval(resampled(Stratum("", tops, np.ones_like(tops)), seed=3))
    alone = percentile_interval(resampled(Stratum("", tops[:, [7]], np.ones((80, 1))), seed=3))
    assert [end[7] for end in together] == [end[0] for end in alone]


@pytest.mark.parametrize("rounds", [10, 999, 2000])
def test_percentiles_are_those_of_numpy(rounds: int) -> None:
    draws = np.random.default_rng(0).normal(size=(rounds, 3))
    stderr, low, high = percentile_interval(draws)
    assert low == pytest.approx(np.quantile(draws, 0.025, axis=0), rel=1e-12)
    assert high == pytest.approx(np.quantile(draws, 0.975, axis=0), rel=1e-12)
    assert stderr == pytest.approx(draws.std(axis=0, ddof=1), rel=1e-12)


def test_bits_do_not_depend_on_blas_threads() -> None:
    code = (
        "import numpy as np; from watari.stats.resampling import *\n"
        "t = np.random.default_rng(0).normal(size=(300, 64)); b = np.abs(t) + 1\n"
        "print(hash(resampled(Stratum('x', t, b), seed=1).tobytes()))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": threads,
                "OMP_NUM_THREADS": threads,
                "PYTHONHASHSEED": "0",
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(said) == 1


def test_intervals_cover_as_often_as_they_say() -> None:
    """Two strata of skewed scores with clusters of two: 95 % intervals hold the truth in 93 to 97 of 100."""
    rng = np.random.default_rng(5)
    trials = 1500
    # Clusters of two correlated scores; the truth is the mean of exponentials: 0.5 * 1 + 0.5 * 3.
    drawn = np.zeros((1000, trials))
    for name, mean in (("a", 1.0), ("b", 3.0)):
        scores = rng.gamma(4.0, mean / 4, size=(60, trials)) + rng.normal(0, 0.3, size=(60, trials))
        drawn += 0.5 * resampled(Stratum(name, 2 * scores, np.full_like(scores, 2.0)), seed=0, rounds=1000)
    _, low, high = percentile_interval(drawn)
    assert 0.93 <= ((low <= 2.0) & (high >= 2.0)).mean() <= 0.97


@pytest.mark.parametrize(("items", "low", "high"), [(80, 0.925, 0.96), (20, 0.90, 0.945), (10, 0.86, 0.915)])
def test_few_items_are_covered_less_often(items: int, low: float, high: float) -> None:
    """What the docstring of `evals.intervals` says of ratings from 1 to 10 that lean to the top."""
    rng = np.random.default_rng(0)
    scores, shares = np.arange(1.0, 11.0), np.array([1, 1, 1, 1, 1, 1, 2, 4, 5, 3]) / 20
    truth = float((scores * shares).sum())
    drawn = rng.choice(scores, p=shares, size=(items, 1500))
    _, ends_low, ends_high = percentile_interval(
        resampled(Stratum("", drawn, np.ones_like(drawn)), seed=0, rounds=1000)
    )
    assert low <= ((ends_low <= truth) & (truth <= ends_high)).mean() <= high
