"""Letters of a table: right for every set of pairs, and few errors among equals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.stats.ties import apart_pairs, holm, letters, tied_groups, tied_with_best


def test_holm_is_that_of_the_textbook() -> None:
    # 0.01 x 4, 0.02 x 3, then never less than before, capped at 1.
    assert holm([0.02, 0.01, 0.9, 0.03]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_apart_pairs_are_those_below_the_level() -> None:
    found = apart_pairs({(0, 1): 0.04, (0, 2): 0.001, (1, 2): 0.02})
    assert found == {(0, 2), (1, 2), (0, 1)}
    assert apart_pairs({(0, 1): 0.04, (0, 2): 0.001, (1, 2): 0.03}) == {(0, 2)}


def test_a_chain_of_ties_overlaps() -> None:
    # 0-1 and 1-2 are tied, 0-2 is not: the one in the middle has both letters.
    assert letters(3, frozenset({(0, 2)})) == ["a", "ab", "b"]
    assert letters(2, frozenset()) == ["a", "a"]
    assert letters(3, frozenset({(0, 1), (0, 2), (1, 2)})) == ["a", "b", "c"]
    assert letters(0, frozenset()) == []


def test_many_groups_get_two_letters_and_a_blank_between() -> None:
    found = letters(30, frozenset(itertools.combinations(range(30), 2)))
    assert found[:2] == ["a", "b"]
    assert found[26:28] == ["aa", "ab"]
    chain = letters(40, frozenset((a, b) for a, b in itertools.combinations(range(40), 2) if b - a > 1))
    assert chain[27] == "aa ab"


def test_tied_with_the_best() -> None:
    assert tied_with_best(4, frozenset({(0, 2), (3, 0)})) == [0, 1]


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(
    st.just(n), st.frozensets(st.sampled_from([(a, b) for a in range(n) for b in range(a + 1, n)] or [(0, 1)])))))  # fmt: skip
def test_letters_say_exactly_who_is_apart(case: tuple[int, frozenset[tuple[int, int]]]) -> None:
    count, apart = case
    apart = frozenset(pair for pair in apart if max(pair) < count)
    groups = tied_groups(count, apart)
    for pair in itertools.combinations(range(count), 2):
        assert any(set(pair) <= set(group) for group in groups) == (pair not in apart)
    assert all(any(place in group for group in groups) for place in range(count))
    assert not any(set(a) <= set(b) for a, b in itertools.permutations(groups, 2))


def test_equal_models_are_rarely_told_apart() -> None:
    """Of tables of 8 equal models with 28 pairs, about 5 % hold an error, not 60 %."""
    import scipy.stats

    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations(range(8), 2))
    left, right = map(list, zip(*pairs, strict=True))
    wrong, raw = 0, 0
    for _ in range(300):
        scores = rng.normal(size=(60, 8))
        found = scipy.stats.ttest_rel(scores[:, left], scores[:, right]).pvalue
        p = dict(zip(pairs, found.tolist(), strict=True))
        wrong += bool(apart_pairs(p))
        raw += min(p.values()) < 0.05
    assert wrong / 300 < 0.08
    assert raw / 300 > 0.3
