"""Figures out of units: right in small cases, independent of order, alone and among many."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.evals.intervals import figure_of, figures_of
from watari.evals.result import Figure, Unit
from watari.stats.intervals import wilson


def unit(
    item: str, value: float | None, *, stratum: str = "", run: int = 0, turn: int = 1, weight: float = 1.0
) -> Unit:
    return Unit(item, stratum, "c", turn, run, value, weight, "" if value is not None else "unreadable")


def many(seed: int, items: int = 80, *, invalid: float = 0.0, runs: int = 1) -> list[Unit]:
    rng = np.random.default_rng(seed)
    return [
        unit(str(item), None if rng.random() < invalid else float(rng.integers(1, 11)), run=run, turn=turn)
        for item in range(items)
        for run in range(runs)
        for turn in (1, 2)
    ]


def test_the_mean_drops_what_is_invalid_and_counts_it() -> None:
    figure = figure_of([unit("1", 4.0), unit("2", 8.0), unit("2", None, turn=2), unit("3", None)])
    assert (figure.value, figure.n, figure.invalid) == (6.0, 2, 2)
    assert figure.invalid_rate == 0.5


def test_weights_make_a_mean_of_means() -> None:
    units = [unit(str(n), 1.0, stratum="a", weight=1 / 2 / 10) for n in range(10)]
    units += [unit(str(n), 0.0, stratum="b", weight=1 / 2 / 2) for n in range(2)]
    figure = figure_of(units)
    assert figure.value == pytest.approx(0.5)
    # Nothing varies within a stratum, and strata are not drawn: nothing can be said.
    assert (figure.stderr, figure.low, figure.high) == (None, None, None)


def test_units_without_weight_count_for_nothing_unless_all_have_none() -> None:
    units = [unit("1", 4.0), unit("2", 9.0, weight=0.0), unit("3", None, weight=0.0)]
    assert figure_of(units) == replace(figure_of(units[:1]))
    assert figure_of(units[1:]).value == 9.0
    assert figure_of(units[1:]).invalid == 1


def test_clusters_are_drawn_whole() -> None:
    """Ten questions in two equal runs say no more than in one."""
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 2, 200)
    one = [unit(f"{n:03}", float(value)) for n, value in enumerate(scores)]
    two = [*one, *(replace(u, run=1) for u in one)]
    assert figure_of(one).stderr == pytest.approx(figure_of(two).stderr)
    assert figure_of(one, rounds=4000).stderr == pytest.approx(scores.std() / 200**0.5, rel=0.05)
    # Drawn one by one, the doubled data would look better by the square root of two.
    alone = [replace(u, item=f"{u.item}-{u.run}") for u in two]
    assert figure_of(alone, rounds=4000).stderr == pytest.approx(scores.std() / 400**0.5, rel=0.05)


def test_interval_and_value_agree_with_numpy() -> None:
    units = many(1, invalid=0.1)
    figure = figure_of(units, rounds=8000)
    values = [u.value for u in units if u.value is not None]
    assert figure.value == pytest.approx(np.mean(values))
    rng = np.random.default_rng(9)
    table = np.array(
        [[np.nan if u.value is None else u.value for u in units[i : i + 2]] for i in range(0, 160, 2)]
    )
    draws = [np.nanmean(table[rng.integers(80, size=80)]) for _ in range(8000)]
    assert (figure.low, figure.high) == (pytest.approx(np.quantile(draws, 0.025), abs=0.03),
                                         pytest.approx(np.quantile(draws, 0.975), abs=0.03))  # fmt: skip


def test_runs_own_figures_and_their_deviation() -> None:
    units = [
        unit("1", 1.0),
        unit("2", 3.0),
        unit("1", 3.0, run=1),
        unit("2", None, run=1),
        unit("2", 8.0, run=2),
    ]
    assert figure_of(units).run_sd == pytest.approx(np.std([2.0, 3.0, 8.0], ddof=1))
    assert figure_of(units[:2]).run_sd is None


@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_never_matters(shuffle: random.Random, seed: int) -> None:
    units = many(seed, 7, invalid=0.2, runs=2)
    mixed = list(units)
    shuffle.shuffle(mixed)
    assert figure_of(mixed, rounds=50) == figure_of(units, rounds=50)


def test_figures_together_are_those_of_each_alone() -> None:
    groups = [many(seed, 10 + seed % 3, invalid=0.1) for seed in range(12)]
    assert figures_of(groups, seed=4) == [figure_of(group, seed=4) for group in groups]


def test_models_with_the_same_items_share_their_draws() -> None:
    """The interval of a model that is better by 1 everywhere is shifted by exactly 1."""
    units = many(3)
    better = [replace(u, value=u.value + 1) for u in units if u.value is not None]
    one, other = figures_of([units, better])
    assert other.low == pytest.approx(one.low + 1, abs=1e-9)  # type: ignore[operator]
    assert other.high == pytest.approx(one.high + 1, abs=1e-9)  # type: ignore[operator]
    assert figure_of(units, seed=1).low != one.low


def test_a_given_value_is_kept() -> None:
    units = [unit(str(n), 0.1) for n in range(3)]
    value = (0.1 + 0.1 + 0.1) / 3
    assert figure_of(units, value).value == value
    with pytest.raises(ValueError, match="2 values for 1"):
        figures_of([units], [1.0, 2.0])


@pytest.mark.parametrize("items", [2, 3, 4])
def test_a_few_items_say_nothing_of_uncertainty(items: int) -> None:
    units = [unit(str(n), float(n)) for n in range(items)]
    units.append(unit("invalid", None))
    figure = figure_of(units)
    assert (figure.stderr, figure.low, figure.high) == (None, None, None)
    enough = figure_of([*units, *(unit(f"more {n}", 2.5) for n in range(5 - items))])
    assert enough.low is not None
    assert enough.high is not None
    assert enough.low < enough.high


def test_a_few_items_of_each_of_many_sets_are_enough_together() -> None:
    units = [unit(str(n), float(n), stratum=name) for n in range(2) for name in "abcd"]
    assert figure_of(units).low is not None
    assert figure_of([u for u in units if u.stratum != "d"]).low is None


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3, 7.0])
def test_equal_values_have_no_interval_but_shares_wilsons(value: float) -> None:
    units = [unit(str(n), value, run=run) for n in range(20) for run in range(2)]
    assert figure_of(units).low is None
    figure = figure_of(units, shares=True)
    if value in (0.0, 1.0):
        ends = wilson(20 * int(value), 20)
        assert (figure.stderr, figure.low, figure.high) == (None, ends.low, ends.high)
        assert ends.high - ends.low == pytest.approx(0.161, abs=0.001)
    else:
        assert (figure.low, figure.high) == (None, None)


def test_shares_that_weigh_differently_are_worth_fewer_items() -> None:
    units = [unit(str(n), 0.0, stratum="a", weight=0.5 / 30) for n in range(30)]
    units += [unit(str(n), 0.0, stratum="b", weight=0.5 / 10) for n in range(10)]
    figure = figure_of(units, shares=True)
    assert (figure.low, figure.high) == (0.0, wilson(0, 30).high)


def test_nothing_and_one_item_say_nothing_of_uncertainty() -> None:
    assert figure_of([]) == Figure(None, 0)
    assert figure_of([unit("1", None)]) == Figure(None, 0, 1)
    assert figure_of([unit("1", 4.0), unit("1", 6.0, turn=2)]) == Figure(5.0, 2)
    assert figure_of(many(0), rounds=0).low is None
