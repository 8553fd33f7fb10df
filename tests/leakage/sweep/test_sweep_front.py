"""The Pareto front, what is told apart, the recommendation, the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.generate.answerer import Said
from watari.generate.sampler import Sampler
from watari.leakage.sweep.asking import Asked
from watari.leakage.sweep.figures import Figures, figures_of
from watari.leakage.sweep.front import against, front, front_of
from watari.leakage.sweep.grid import Cell
from watari.leakage.sweep.page.page import page_of
from watari.leakage.sweep.page.words import WORDS
from watari.leakage.sweep.prompts import Prompt
from watari.leakage.sweep.quality import quality_of
from watari.leakage.sweep.recommendation import recommend
from watari.leakage.sweep.responses import Response
from watari.pages.labels import FRAME
from watari.text.leakage import Event

A, B, C = (Cell(name, Sampler(temperature=number)) for name, number in (("a", 0.1), ("b", 0.5), ("c", 1.0)))


def response(cell: Cell, prompt: int, repeat: int, *, leaks: bool, cut: bool = False) -> Response:
    asked = Asked(
        cell,
        Prompt(f"p{prompt}", (("user", "?"),), "en"),
        repeat,
        0,
        Said("A short answer.", "length" if cut else "stop", "m"),
    )
    event = Event("token", "ja", 0, 1, "A", "medium", "made")
    return Response(
        asked, (event,) if leaks else (), quality_of("A short answer.", "length" if cut else "stop")
    )


def made(
    leaks: Callable[[Cell, int, int], bool],
    cut: Callable[[Cell, int, int], bool] = lambda *_: False,
    *,
    prompts: int = 40,
    repeats: int = 3,
) -> Figures:
    rows = [
        response(cell, prompt, repeat, leaks=leaks(cell, prompt, repeat), cut=cut(cell, prompt, repeat))
        for cell in (A, B, C)
        for prompt in range(prompts)
        for repeat in range(repeats)
    ]
    return figures_of([A, B, C], rows)


def by_cell(shares: dict[str, int]) -> Callable[[Cell, int, int], bool]:
    """Leak in so many of ten answers, in an order that mixes prompts."""
    return lambda cell, prompt, repeat: (prompt * 7 + repeat * 3) % 10 < shares[cell.name]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    leakage, quality = (np.array(side, np.float64) for side in zip(*points, strict=True))
    expected = [not any((x <= a and y > b) or (x < a and y >= b) for x, y in points) for a, b in points]
    assert front(leakage, quality).tolist() == expected


def test_cells_are_told_apart_from_the_best_or_not() -> None:
    figures = made(by_cell({"a": 1, "b": 1, "c": 6}))
    found = front_of(figures, default="c")
    assert (found.best_leakage, found.best_quality) == ("a", "a")
    assert found.not_apart == ("a", "b")
    c = found.standings["c"]
    assert c.leakage is not None
    assert c.leakage.apart
    assert c.leakage.value == pytest.approx(0.5, abs=0.03)
    assert not c.on_front
    assert c.front_share == 0
    assert found.standings["a"].front_share == found.standings["b"].front_share == 1  # the same answers
    assert c.from_default is None
    assert found.standings["a"].from_default is not None


def test_a_handful_of_prompts_tells_nothing_apart() -> None:
    figures = made(by_cell({"a": 0, "b": 0, "c": 10}), prompts=4)
    found = front_of(figures)
    assert found.standings["c"].leakage is not None
    assert found.standings["c"].leakage.value == 1
    assert not found.standings["c"].leakage.apart
    alone = front_of(made(by_cell({"a": 0, "b": 0, "c": 10}), prompts=1))
    assert set(alone.not_apart) == {"a", "b", "c"}


def test_level_of_the_test_over_all_cells() -> None:
    """Cells that are all the same are told apart from the best one in about 5 of 100 sweeps at most."""
    draws = np.random.default_rng(3)
    false = 0
    for _ in range(60):
        table = draws.random((3, 40, 2)) < 0.2
        figures = made(lambda cell, p, r, t=table: bool(t[(A, B, C).index(cell), p, r]), repeats=2)
        false += any(one.apart for one in against(figures.sums["leaking"], [0, 1, 2], 0, 0).values())
    assert false <= 8


def test_the_default_stays_unless_something_is_told_apart_from_it() -> None:
    same = by_cell({"a": 2, "b": 2, "c": 2})
    close = made(lambda cell, prompt, repeat: same(cell, prompt, repeat) and not (cell is A and prompt < 5))
    kept = recommend(close, front_of(close, default="c"), C)
    assert kept.cell is C
    assert kept.least is A
    assert kept.keeps_default
    assert "not told apart, so the default stays" in " ".join(kept.reason)
    far = made(by_cell({"a": 1, "b": 2, "c": 8}))
    left = recommend(far, front_of(far, default="c"), C)
    assert (left.cell, left.keeps_default) == (A, False)
    assert "p = " in left.reason[0]
    nothing = recommend(far, front_of(far), None)
    assert nothing.cell is A
    own = recommend(far, front_of(far, default="a"), A)
    assert (own.cell, own.keeps_default) == (A, True)
    none = made(by_cell({"a": 0, "b": 0, "c": 0}))
    tie = recommend(none, front_of(none, default="c"), C)
    assert (tie.cell, tie.least, tie.keeps_default) == (C, C, True)
    assert "No cell leaks less than the default" in tie.reason[0]


def test_what_leaks_least_but_is_worse_is_not_recommended() -> None:
    figures = made(by_cell({"a": 0, "b": 3, "c": 8}), lambda cell, *_: cell is A)
    found = front_of(figures, default="c")
    assert found.standings["a"].on_front
    assert found.standings["b"].on_front
    best = recommend(figures, found, C)
    assert best.cell is B
    assert "1 of 3 cells are left out" in best.reason[0]


def test_intervals_cluster_by_prompt_and_none_is_not_certain() -> None:
    # Each prompt leaks always or never: 40 prompts, not 120 answers, are the sample.
    figures = made(lambda cell, prompt, _: cell is B and prompt % 2 == 0)
    b = figures.estimates["b"]["leaking"]
    assert (b.value, b.n) == (0.5, 120)
    assert b.stderr == pytest.approx((0.25 / 40) ** 0.5, rel=0.1)
    a = figures.estimates["a"]
    assert a["leaking"].value == 0
    assert a["leaking"].high == pytest.approx(0.0876, abs=0.001)  # Wilson's 0 of 40
    assert a["events"].high == pytest.approx(3689 / (120 * 15))


def test_order_of_responses_is_no_matter() -> None:
    rows = [
        response(cell, prompt, 0, leaks=(prompt + int(cell.sampler.temperature * 10)) % 3 == 0)
        for cell in (A, B)
        for prompt in range(12)
    ]
    one, other = figures_of([A, B], rows), figures_of([A, B], rows[::-1])
    assert one.estimates == other.estimates


def test_the_page_escapes_what_models_and_files_say() -> None:
    name = "T 1, <script>alert(1)</script>"
    figure = {"value": 0.1, "n": 10, "stderr": 0.1, "low": 0.0, "high": 0.2}
    cell: dict[str, Any] = {
        "name": name,
        "marks": ["<b>card</b>"],
        "figures": {"leaking": figure, "sound": figure},
        "on_front": True,
        "front_share": 1.0,
    }
    sweep = {
        "model": "m<i>",
        "engine": "e",
        "objectives": {"low": "leaking", "high": "sound"},
        "cells": [cell, {"name": "T 2", "marks": [], "figures": {}}],
        "size": {"prompts": 5, "repeats": 2},
        "recommended": {
            "cell": name,
            "reason": ["<u>because</u>"],
            "not_in_the_file": ["taste"],
            "request": {"taste": "<s>strong"},
        },
        "default": None,
        "not_told_apart_from_best": [name],
        "canary": [],
        "notes": [],
        "worst": [
            {
                "before": "<img src=x>",
                "span": "高\u202e",
                "after": "&",
                "class": "token",
                "language": "ja",
                "cell": name,
                "prompt": "p",
                "repeat": 0,
            }
        ],
    }
    page = page_of(json.loads(json.dumps(sweep)))
    for raw in ("<script>alert", "<b>card", "m<i>", "<u>because", "<s>strong", "<img src=x", "\u202e"):
        assert raw not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;s&gt;strong" in page
    assert page == page_of(sweep)


@pytest.mark.parametrize("key", sorted(set(WORDS) - set(FRAME) - {"distinct"}))
def test_a_label_of_the_page_is_in_both_languages_with_the_same_values(key: str) -> None:
    english, japanese = WORDS[key]
    assert sorted(re.findall(r"\{(\w+?)\}", english)) == sorted(re.findall(r"\{(\w+?)\}", japanese))
    assert re.search("[\u3040-\u30ff\u4e00-\u9fff]", japanese)
    assert not re.search("[\u3040-\u30ff\u4e00-\u9fff]", english)
