"""Paired differences against scipy, against enumeration, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats

from watari.stats.paired import (
    PairedDifference,
    PairedStratum,
    paired_differences,
    sign_flip_p,
    t_p,
    two_sided,
)


def stratum(differences: np.ndarray, name: str = "", share: float = 1.0) -> PairedStratum:
    table = np.asarray(differences, np.float64).reshape(len(differences), -1)
    return PairedStratum(name, table, np.ones_like(table), np.full(table.shape[1], share))


def test_one_stratum_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 1, 80), rng.normal(4.7, 1, 80)
    (found,) = paired_differences([stratum(a - b)])
    expected = scipy.stats.ttest_rel(a, b)
    assert found.value == pytest.approx(float((a - b).mean()))
    assert found.p_t == pytest.approx(float(expected.pvalue), rel=1e-9)
    assert found.stderr == pytest.approx(float((a - b).std(ddof=1)) / 80**0.5)
    assert (found.low, found.high) == (pytest.approx(expected.confidence_interval().low, abs=0.04),
                                       pytest.approx(expected.confidence_interval().high, abs=0.04))  # fmt: skip
    assert found.n == 80


def test_sign_flips_are_all_tried_where_they_are_few() -> None:
    values = np.array([0.3, -0.1, 0.45, 0.2, 0.3, -0.05, 0.6, 0.0])
    kept = values[values != 0]
    sums = [
        sum(s * v for s, v in zip(signs, kept, strict=True)) for signs in itertools.product((-1, 1), repeat=7)
    ]
    expected = np.mean([abs(total) >= abs(kept.sum()) - 1e-12 for total in sums])
    assert sign_flip_p(values) == expected
    oracle = scipy.stats.permutation_test(
        (kept,), lambda x: x.sum(), permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(values) == pytest.approx(oracle.pvalue)


def test_equal_sums_count_as_equal_whatever_their_rounding() -> None:
    # 0.1 + 0.2 = 0.3 only on paper: with |sum| >= |0.3| all of ±(0.1 + 0.2) ± 0.3 that reach 0 or 0.6 are told right.
    values = np.array([0.1, 0.2, 0.3])
    assert sign_flip_p(values) == 2 / 8
    assert sign_flip_p(np.array([0.1, 0.2, -0.3])) == 1.0


def test_random_sign_flips_agree_with_the_t_test() -> None:
    values = np.random.default_rng(3).normal(0.25, 1, 60)
    assert sign_flip_p(values, flips=40_000) == pytest.approx(
        scipy.stats.ttest_1samp(values, 0).pvalue, abs=0.01
    )
    assert sign_flip_p(values, seed=1) == sign_flip_p(values, seed=1)
    assert sign_flip_p(np.full(40, 1.0), flips=999) == 1 / 1000
    assert sign_flip_p(np.zeros(5)) == 1.0


def test_p_of_draws_is_never_0_and_at_most_1() -> None:
    assert two_sided(np.full(999, 1.0), 1.0) == 2 / 1000
    assert two_sided(np.zeros(999), 0.0) == 1.0
    assert two_sided(np.array([-1.0, *[1.0] * 98]), 0.9) == 4 / 100


@pytest.mark.parametrize(("value", "stderr"), [(0.5, 0.2), (40.0, 1.0), (-3.0, 1.5), (0.0, 1.0)])
def test_t_p_has_no_floor(value: float, stderr: float) -> None:
    assert t_p(value, stderr, 79) == pytest.approx(2 * scipy.stats.t.sf(abs(value) / stderr, 79), rel=1e-8)


def test_t_p_without_spread() -> None:
    assert t_p(0.5, 0.0, 5) == 0.0
    assert t_p(0.0, 0.0, 5) == 1.0


def test_strata_keep_their_shares() -> None:
    (found,) = paired_differences(
        [stratum(np.array([1.0] * 4), "big", 0.25), stratum(np.array([0.0, 2.0]), "small", 0.75)]
    )
    assert found.value == pytest.approx(0.25 * 1 + 0.75 * 1)
    assert found.n == 6
    # Only `small` varies: 0.75 * sd / sqrt(2).
    assert found.stderr == pytest.approx(0.75 * 2**0.5 / 2**0.5)
    assert found.low == pytest.approx(0.25)


def test_pairs_side_by_side_are_as_each_alone() -> None:
    rng = np.random.default_rng(4)
    table = rng.normal(0.1, 1, (40, 6))
    together = paired_differences([stratum(table)], flips=0)
    for pair in range(6):
        assert paired_differences([stratum(table[:, pair])], flips=0) == [together[pair]]


def test_clusters_that_are_not_in_common_do_not_count() -> None:
    weights = np.array([[1.0], [1.0], [0.0], [1.0], [1.0], [1.0]])
    (found,) = paired_differences(
        [PairedStratum("", np.array([[1.0], [2.0], [1e9], [3.0], [1.0], [3.0]]), weights, np.ones(1))],
        flips=0,
    )
    assert (found.value, found.n) == (pytest.approx(2.0), 5)
    assert found.stderr == pytest.approx(1 / 5**0.5)
    assert found.high is not None
    assert found.high <= 3.0


def test_one_cluster_says_nothing() -> None:
    (found,) = paired_differences([stratum(np.array([0.5]))])
    assert (found.value, found.low, found.p, found.stderr) == (0.5, None, None, None)
    with pytest.raises(ValueError, match="common"):
        paired_differences([])


def test_intervals_and_tests_hold_their_level() -> None:
    """Of equal models 5 % are called different; intervals cover in 93 to 97 of 100."""
    rng = np.random.default_rng(6)
    trials = 2000
    # Rounded scores with many ties, as judges give them, and a common difficulty that pairing takes out.
    difficulty = rng.normal(6, 2, (80, trials))
    a, b = (np.clip(np.round(difficulty + rng.normal(0, 1.5, (80, trials))), 1, 10) for _ in range(2))
    found = paired_differences([stratum(a - b)], rounds=1000, flips=0)
    covered = np.mean([one.low <= 0 <= one.high for one in found])  # type: ignore[operator]
    assert 0.93 <= covered <= 0.97
    for name in ("p", "p_t"):
        assert 0.035 <= np.mean([getattr(one, name) < 0.05 for one in found]) <= 0.07
    flipped = np.mean([sign_flip_p((a - b)[:, trial], seed=trial, flips=500) < 0.05 for trial in range(400)])
    assert 0.02 <= flipped <= 0.085


@pytest.mark.parametrize("clusters", [1, 2, 3, 4])
def test_a_few_clusters_say_nothing(clusters: int) -> None:
    differences = np.array([1.0, 3.0, 2.0, 5.0][:clusters])
    (found,) = paired_differences([stratum(differences)])
    assert found == PairedDifference(pytest.approx(differences.mean()), clusters)  # type: ignore[arg-type]
    assert found.too_few
    (enough,) = paired_differences([stratum(np.array([1.0, 3.0, 2.0, 5.0, 4.0]))])
    assert not enough.too_few
    assert enough.low is not None


@pytest.mark.parametrize("rounds", [2, 500])
def test_equal_differences_have_no_interval_and_the_p_of_their_signs(rounds: int) -> None:
    table = np.array([[0.1, 0.0]] * 6)
    ones = np.ones_like(table)
    better, same = paired_differences([PairedStratum("", table, ones, np.ones(2))], rounds=rounds, flips=0)
    assert (better.low, better.high, better.stderr) == (None, None, None)
    assert better.p == better.p_t == 2 / 2**6
    assert (same.value, same.p, same.low) == (0.0, 1.0, None)
    # Two draws may come out the same by chance: that says nothing of the data.
    mixed = [paired_differences([stratum(np.array([0, 1.0] * 6))], rounds=2, seed=n)[0] for n in range(40)]
    assert all(one.stderr is not None and one.p_t == mixed[0].p_t for one in mixed)
