"""Tied sets of a ranked table: who is told apart from whom, over all pairs at once.

Testing every pair of 23 models at 5 % each would call a dozen equal pairs different. Holm's correction (1979) keeps the
chance of even one such error at 5 %. Letters then show what is left: two models that share a letter are not told apart
(compact letter display; Piepho 2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEVEL = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for all being tested at once: family-wise, step-down, in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def apart_pairs(
    p_values: Mapping[tuple[int, int], float], *, level: float = LEVEL
) -> frozenset[tuple[int, int]]:
    """Return the pairs that are told apart at a family-wise level, by Holm over all of them."""
    pairs = list(p_values)
    adjusted = holm([p_values[pair] for pair in pairs])
    return frozenset(pair for pair, p in zip(pairs, adjusted, strict=True) if p <= level)


def tied_groups(count: int, apart: frozenset[tuple[int, int]]) -> list[list[int]]:
    """Return groups of places 0…count-1 (best first): any two of a group are not told apart.

    Every two that are not told apart are together in some group; no group lies within another. Groups are in the order
    of their members.

    Args:
        count: How many are ranked.
        apart: Pairs of places that are told apart, in either order.
    """
    near = [set(range(count)) - {one} for one in range(count)]
    for one, other in apart:
        near[one].discard(other)
        near[other].discard(one)
    covered: set[tuple[int, int]] = set()
    groups: list[list[int]] = []
    for one in range(count):
        partners = sorted(other for other in near[one] if other > one)
        for other in partners or [one]:
            if other != one and (one, other) in covered:
                continue
            if other == one and any(one in group for group in groups):
                continue
            group = {one, other}
            common = near[one] & near[other] if other != one else set()
            while common:
                # The nearest in rank first: groups come out as runs of neighbours where the data allow it.
                chosen = min(common, key=lambda place: (abs(place - one), place))
                group.add(chosen)
                common = common & near[chosen]
            members = sorted(group)
            groups.append(members)
            covered |= {(a, b) for a in members for b in members if a < b}
    return sorted(groups)


def letters(count: int, apart: frozenset[tuple[int, int]]) -> list[str]:
    """Return the letters of each place: two that share one are not told apart, two that share none are.

    After z come aa, ab, …, with a blank between letters then.
    """
    groups = tied_groups(count, apart)
    names = [_letter(number) for number in range(len(groups))]
    blank = " " if len(groups) > 26 else ""
    return [
        blank.join(name for name, group in zip(names, groups, strict=True) if place in group)
        for place in range(count)
    ]


def tied_with_best(count: int, apart: frozenset[tuple[int, int]]) -> list[int]:
    """Return the places that are not told apart from place 0, which is among them."""
    return [place for place in range(count) if not {(0, place), (place, 0)} & apart]


def _letter(number: int) -> str:
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("a") + rest) + name
    return name
