"""Comparisons: paired by prompt, exact where they can be, honest under no difference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.cli.leaking.tables import comparison_text
from watari.errors import UserError
from watari.leakage.comparison import compare
from watari.leakage.curves import figure_text
from watari.leakage.tally import Figure, Tally
from watari.stats.paired import t_p


def tally(
    prompt: str, events: int = 0, characters: int = 1000, cls: str = "token", **columns: object
) -> Tally:
    return Tally(prompt, "en", characters, {(cls, "ja"): events} if events else {}, columns)  # type: ignore[arg-type]


def test_only_prompts_in_common_count() -> None:
    a = [tally("1", 2), tally("2", 0), tally("3", 9)]
    b = [tally("1", 1), tally("2", 0), tally("4", 7)]
    pair = compare(a, b, names=("before", "after"))
    assert (pair.prompts, pair.only_a, pair.only_b) == (2, 1, 1)
    assert (pair.whole.rate.a, pair.whole.rate.b, pair.whole.rate.value) == (1.0, 0.5, 0.5)
    assert (pair.whole.share.a, pair.whole.share.b) == (0.5, 0.5)
    with pytest.raises(UserError, match="before and after answer no prompt in common"):
        compare(a[2:], b[2:], names=("before", "after"))


def test_a_hard_prompt_is_hard_for_both() -> None:
    """Between prompts there is much variance, between the sides one event a prompt: unpaired, nothing could be seen."""
    levels = [0, 40, 3, 25, 60, 1, 17, 33, 8, 50, 12, 29, 5, 44, 21, 36, 2, 56, 14, 27]
    a = [tally(str(n), level + 1, 100_000) for n, level in enumerate(levels)]
    b = [tally(str(n), level, 100_000) for n, level in enumerate(levels)]
    rate = compare(a, b).whole.rate
    assert rate.value == pytest.approx(0.01)
    assert rate.apart
    assert rate.p is not None
    assert rate.p < 0.01
    assert rate.p_permutation is not None
    assert rate.p_permutation < 0.01


def test_swaps_of_few_prompts_are_all_tried() -> None:
    events = [(3, 0, 900, 1000), (1, 0, 500, 700), (0, 1, 800, 300), (2, 1, 1000, 1000), (5, 2, 400, 900)]
    a = [tally(str(n), one, size) for n, (one, _, size, _) in enumerate(events)]
    b = [tally(str(n), other, size) for n, (_, other, _, size) in enumerate(events)]

    def difference(swapped: tuple[int, ...]) -> float:
        sides = [[0, 0], [0, 0]]
        for flip, (one, other, size, more) in zip(swapped, events, strict=True):
            for side, (top, bottom) in enumerate([(one, size), (other, more)]):
                sides[side ^ flip][0] += top
                sides[side ^ flip][1] += bottom
        return abs(sides[0][0] / sides[0][1] - sides[1][0] / sides[1][1])

    every = [difference(swapped) for swapped in itertools.product((0, 1), repeat=5)]
    wanted = sum(value >= every[0] - 1e-12 for value in every) / len(every)
    assert compare(a, b).whole.rate.p_permutation == pytest.approx(wanted)


def test_the_sides_change_places() -> None:
    draws = np.random.default_rng(1)
    a, b = ([tally(str(n), int(draws.poisson(1)), t=n % 2) for n in range(30)] for _ in range(2))
    one, other = compare(a, b, by=["t"]), compare(b, a, by=["t"])
    assert one.whole.rate.value == -other.whole.rate.value
    assert one.whole.rate.low == pytest.approx(-(other.whole.rate.high or 0))
    assert one.whole.rate.p_permutation == other.whole.rate.p_permutation
    assert one.slopes[0].share.value == pytest.approx(-other.slopes[0].share.value)


def test_with_equal_lengths_it_is_students_paired_test() -> None:
    counts = [(3, 1), (0, 0), (2, 2), (5, 1), (1, 3), (4, 2)]
    a, b = ([tally(str(n), pair[side]) for n, pair in enumerate(counts)] for side in (0, 1))
    differences = np.array([one - other for one, other in counts], float)
    stderr = differences.std(ddof=1) / np.sqrt(len(counts))
    assert compare(a, b).whole.rate.p_t == pytest.approx(t_p(float(differences.mean()), float(stderr), 5))


def test_under_no_difference_few_are_found() -> None:
    """200 comparisons of what is the same: about 5 % of them are below 0.05, by every p."""
    found: list[list[float]] = []
    for seed in range(200):
        draws = np.random.default_rng(seed)
        level = draws.gamma(0.5, 2.0, size=40)
        a, b = (
            [tally(str(n), int(draws.poisson(level[n])), 1000) for n in range(40) for _ in range(2)]
            for _ in range(2)
        )
        rate = compare(a, b, rounds=400, flips=400).whole.rate
        found.append([rate.p or 0.0, rate.p_permutation or 0.0, rate.p_t or 0.0])
    shares = (np.array(found) < 0.05).mean(axis=0)
    assert (shares < 0.1).all()
    assert (shares > 0.01).all()


def test_parts_and_slopes() -> None:
    a = [tally(str(n), int(t > 0.5), cls="token", temperature=t) for n in range(10) for t in (0.1, 1.0)]
    b = [tally(str(n), 0, temperature=t) for n in range(10) for t in (0.1, 1.0)]
    pair = compare(a, b)
    assert [part.part for part in pair.parts] == [
        "all", "class token", "leaked ja", "temperature 0.1", "temperature 1.0",
    ]  # fmt: skip
    assert pair.parts[4].share.value == 1.0
    (slope,) = pair.slopes
    assert slope.share.a == pytest.approx(1 / 0.9)
    assert slope.share.b == 0.0
    assert slope.share.apart
    assert slope.share.p_permutation == pytest.approx(2 / 1024)  # of ten prompts all the same way round
    assert compare(a, b).as_json() == pair.as_json()


def test_a_reader_is_told_what_else_differs() -> None:
    a = [tally(str(n), temperature=0.1, model="x", run=1) for n in range(3)]
    b = [tally(str(n), temperature=1.0, model="y", run=2) for n in range(3)]
    assert compare(a, b).notes == ("temperature differs: A: 0.1; B: 1.0",)


def test_what_came_out_and_what_the_sides_were_chosen_by_is_no_difference_in_asking() -> None:
    a = [tally(str(n), cell="x", temperature=0.1, completion_tokens=n, rating=5.0) for n in range(3)]
    b = [tally(str(n), cell="y", temperature=1.0, completion_tokens=9, rating=6.0) for n in range(3)]
    told = compare(a, b, chosen={"cell"}).notes
    assert told == ("temperature differs: A: 0.1; B: 1.0",)
    assert "cell differs: A: x; B: y" in compare(a, b).notes


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=8),
    st.integers(400, 5000),
)
def test_a_table_is_eighty_columns_wide_whatever_the_figures(
    counts: list[tuple[int, int]], characters: int
) -> None:
    a = [tally(str(n), one, characters, temperature=0.1) for n, (one, _) in enumerate(counts)]
    b = [tally(str(n), other, characters, temperature=0.1) for n, (_, other) in enumerate(counts)]
    told = comparison_text(compare(a, b, rounds=50, flips=50)).splitlines()
    assert max(map(len, told)) <= 80


@pytest.mark.parametrize(
    ("value", "high", "said"),
    [(0.1214, 0.15, "0.121 [0.000, 0.150]"), (9.5, 12.0, "9.50 [0.00, 12.00]"), (150.04, 200.0, "150.0 [0.0, 200.0]"),
     (2000.0, 3000.0, "2000 [0, 3000]")],
)  # fmt: skip
def test_large_figures_have_fewer_digits_behind_the_point(value: float, high: float, said: str) -> None:
    assert figure_text(Figure(value, 0.0, high)) == said


def test_one_prompt_says_nothing() -> None:
    pair = compare([tally("1", 1)], [tally("1", 0)])
    assert (pair.whole.rate.value, pair.whole.rate.low, pair.whole.rate.p) == (1.0, None, None)
