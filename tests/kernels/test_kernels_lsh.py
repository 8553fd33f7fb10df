"""Buckets of an LSH, and union-find."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.kernels import lsh, unionfind


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 12), st.randoms(use_true_random=False))
def test_band_keys_meet_where_the_band_agrees(bands: int, rows: int, size: int, rng):
    signature = np.array(
        [[rng.randrange(2) for _ in range(bands * rows)] for _ in range(size)], np.uint32
    ).reshape(size, bands * rows)
    keys = lsh.band_keys(signature, bands, rows)
    assert keys.shape == (bands, size)
    for band in range(bands):
        part = signature[:, band * rows : (band + 1) * rows]
        for one, other in itertools.combinations(range(size), 2):
            assert (keys[band, one] == keys[band, other]) == bool((part[one] == part[other]).all())


def test_band_keys_are_spread_over_the_ranges():
    signature = np.random.default_rng(1).integers(0, 1 << 32, (4000, 14), dtype=np.uint32)
    for keys in lsh.band_keys(signature, 2, 7):
        counts = np.bincount((keys >> np.uint64(61)).astype(np.int64), minlength=8)
        assert counts.min() > 400
        assert counts.max() < 600


def test_small_buckets_compare_all_and_large_ones_by_leaders():
    kinds = [0, 1, 0, 1] + [0] * 10 + [1] * 10 + [2] * 5
    buckets = np.array([7] * 4 + [9] * 25, np.uint64)
    asked = 0

    def similar(left, right):
        nonlocal asked
        asked += len(left)
        assert (buckets[left] == buckets[right]).all()
        return np.array([kinds[a] == kinds[b] for a, b in zip(left, right, strict=True)], bool)

    left, right = lsh.pairs(buckets, similar)
    found = sorted(zip(left.tolist(), right.tolist(), strict=True))
    small = [(0, 2), (1, 3)]
    large = (
        [(4, n) for n in range(5, 14)] + [(14, n) for n in range(15, 24)] + [(24, n) for n in range(25, 29)]
    )
    assert found == small + large
    assert asked == 6 + 24 + 14 + 4


def test_a_huge_bucket_is_not_quadratic():
    size = 5000
    asked = 0

    def never(left, right):
        nonlocal asked
        asked += len(left)
        return np.zeros(len(left), bool)

    left, _ = lsh.pairs(np.zeros(size, np.uint64), never)
    assert not len(left)
    assert asked <= size * lsh.LEADERS


def test_no_members():
    assert [len(side) for side in lsh.pairs(np.zeros(0, np.uint64), lambda a, b: a == b)] == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(1, 5))
def test_leaders_are_the_greedy_choice(members: list[tuple[int, int]], rounds: int):
    members = sorted(members, key=lambda member: member[0])
    kind = np.array([kind for _, kind in members], np.int64)
    groups = np.array([group for group, _ in members], np.int64)
    places = np.arange(len(members), dtype=np.int64)
    followers, leaders, alone = lsh.led(places, groups, lambda a, b: kind[a] == kind[b], rounds)
    heads: dict[int, list[int]] = {}
    wanted, left_over = {}, []
    for place, (group, own) in enumerate(members):
        known = heads.setdefault(group, [])
        leader = next((head for head in known if kind[head] == own), None)
        if leader is not None:
            wanted[place] = leader
            continue
        left_over.append(place)
        if len(known) < rounds:
            known.append(place)
    assert dict(zip(followers.tolist(), leaders.tolist(), strict=True)) == wanted
    assert sorted(alone.tolist()) == left_over


def components(size: int, edges: list[tuple[int, int]]) -> list[int]:
    label = list(range(size))
    for _ in range(size):
        for one, other in edges:
            label[one] = label[other] = min(label[one], label[other])
    return label


@given(st.data(), st.integers(1, 30))
def test_union_find_gives_the_smallest_number_of_the_component(data, size: int):
    node = st.integers(0, size - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=40))
    cut = data.draw(st.integers(0, len(edges)))
    for kernels in ("numba", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WATARI_KERNELS", kernels)
            parents = unionfind.singles(size)
            for part in (edges[:cut], edges[cut:]):
                ends = np.array(part, np.uint32).reshape(-1, 2)
                unionfind.join(parents, ends[:, 0].copy(), ends[:, 1].copy())
            unionfind.flatten(parents)
        assert parents.tolist() == components(size, edges)


def test_a_long_chain_in_the_worst_order():
    size = 50_000
    nodes = np.arange(size - 1, 0, -1, dtype=np.uint32)
    for kernels in ("numba", "numpy"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WATARI_KERNELS", kernels)
            parents = unionfind.singles(size)
            unionfind.join(parents, nodes, nodes - np.uint32(1))
            unionfind.flatten(parents)
        assert not parents.any()
