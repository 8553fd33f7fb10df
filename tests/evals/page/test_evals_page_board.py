"""League tables as data: what shares a table, who is ranked, who is refused, how values are spread."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.evals.intervals import figure_of
from watari.evals.page.board import bins_of, boards_of, spread
from watari.evals.page.drawing import dot_plot, interval_rows
from watari.evals.result import Figure, Result, Unit

SCALES = {"spec-a/1": (0.0, 10.0), "spec-b/1": (0.0, 1.0)}


def result(
    model: str, values: list[float | None], *, spec: str = "spec-a/1", judge: str | None = "j", **more: Any
) -> Result:
    """Return a result of one category and two turns."""
    units = tuple(
        Unit(str(place // 2), "", "writing", 1 + place % 2, 0, value, 1.0, "" if value is not None else "unreadable")
        for place, value in enumerate(values)
    )  # fmt: skip
    figures = {
        "overall": figure_of(units),
        "turn 1": figure_of([unit for unit in units if unit.turn == 1]),
        "turn 2": figure_of([unit for unit in units if unit.turn == 2]),
        "writing": figure_of(units),
        "writing turn 1": figure_of([unit for unit in units if unit.turn == 1]),
    }
    return Result(spec, model, judge, "overall", figures, units, **more)


def test_two_judges_or_two_specs_never_share_a_table() -> None:
    boards = boards_of(
        [
            result("m", [5, 6]),
            result("m", [7, 8], judge="k"),
            result("m", [0.5, 0.5], spec="spec-b/1"),
            result("n", [1, 2]),
        ],
        SCALES,
    )
    assert [(board.spec, board.judge, [entry.model for entry in board.entries]) for board in boards] == [
        ("spec-a/1", "j", ["m", "n"]),
        ("spec-a/1", "k", ["m"]),
        ("spec-b/1", "j", ["m"]),
    ]
    assert [board.digits for board in boards] == [2, 2, 4]
    assert len({board.id for board in boards}) == 3


def test_models_are_ranked_and_refused_ones_stand_below_without_a_place() -> None:
    bad: list[float | None] = [9, None, None, 10]
    board = boards_of(
        [result("low", [2, 2, 2, 2]), result("bad", bad), result("high", [8, 8, 8, 8])], SCALES
    )[0]
    assert [(entry.model, entry.place) for entry in board.entries] == [("high", 1), ("low", 2), ("bad", None)]
    refused = board.entries[2]
    assert refused.refused == "50.0 % of 4 ratings are invalid"
    assert refused.figure("overall") is None
    assert refused.reasons == (("unreadable", 2),)
    assert refused.invalid == 2
    assert boards_of([result("bad", bad)], SCALES, limit=0.5)[0].entries[0].place == 1


def test_figures_are_named_by_what_they_are() -> None:
    board = boards_of([result("m", [5, 6])], SCALES)[0]
    assert board.turns == ("turn 1", "turn 2")
    assert board.categories == ("writing",)
    assert board.details == ("writing turn 1",)


def test_one_turn_alone_is_not_shown_again() -> None:
    units = (Unit("1", "", "writing", 1, 0, 5.0), Unit("2", "", "writing", 1, 0, 7.0))
    figure = figure_of(units)
    names = ("overall", "turn 1", "writing", "writing turn 1")
    board = boards_of([Result("spec-a/1", "m", "j", "overall", dict.fromkeys(names, figure), units)], SCALES)[
        0
    ]
    assert board.turns == ()
    assert board.categories == ("writing",)
    assert board.details == ()


def test_models_that_are_told_apart_have_no_letter_in_common() -> None:
    rows = {
        "high": [9.0, 8.0] * 20,
        "near": [8.9, 8.0, 9.1, 8.1] * 10,
        "low": [2.0, 3.0] * 20,
    }
    board = boards_of([result(name, list(values)) for name, values in rows.items()], SCALES)[0]
    letters = {entry.model: set(entry.tied) for entry in board.entries}
    assert letters["high"] & letters["near"]
    assert not letters["low"] & (letters["high"] | letters["near"])


def test_a_note_stands_once_with_all_its_models_and_only_shared_settings_are_shown() -> None:
    members = [
        result(name, [5, 6], notes=("twice", f"of {name}"), settings={"invalid": "drop", "own": name})
        for name in "ab"
    ]
    board = boards_of(members, SCALES)[0]
    assert board.notes == (("twice", ("a", "b")), ("of a", ("a",)), ("of b", ("b",)))
    assert board.settings == {"invalid": "drop"}


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), min_size=1, max_size=40))
def test_every_unit_is_in_one_bin(values: list[float | None]) -> None:
    board = boards_of([result("m", values)], SCALES, limit=1.0)[0]
    bins = bins_of(board)
    shares = spread(board.entries[0], bins)
    assert len(shares) == len(bins) + 1
    assert sum(shares) == pytest.approx(1)
    assert shares[-1] == pytest.approx(sum(value is None for value in values) / len(values))


def test_whole_ratings_have_a_bin_each_also_outside_of_the_scale() -> None:
    board = boards_of([result("m", [0, 1, 10, 10])], SCALES)[0]
    shares = dict(
        zip([low for low, _ in bins_of(board)], spread(board.entries[0], bins_of(board)), strict=False)
    )
    assert shares[0.0] == shares[1.0] == 0.25
    assert shares[10.0] == 0.5


def test_units_that_are_in_no_overall_figure_are_not_in_the_distribution() -> None:
    units = (Unit("1", "a", "A", 1, 0, 1.0), Unit("2", "jsts", "", 1, 0, 4.7, weight=0.0))
    only = Result("spec-b/1", "m", None, "AVR", {"AVR": figure_of(units)}, units)
    board = boards_of([only], SCALES)[0]
    assert max(high for _, high in bins_of(board)) == 1.0
    assert sum(spread(board.entries[0], bins_of(board))) == pytest.approx(1)


def test_models_that_are_all_the_same_have_an_axis_with_numbers() -> None:
    units = tuple(Unit(str(place), "", "writing", 1, 0, 0.9) for place in range(8))
    figure = Figure(0.9, 8, 0, 0.0, 0.9, 0.9 + 1.1e-16)
    board = boards_of([Result("spec-b/1", "m", "j", "overall", {"overall": figure}, units)], SCALES)[0]
    drawn = dot_plot(board, interval_rows(board), "id")
    marks = re.findall(r'class="tick"[^>]*>([^<]*)<', drawn)
    assert len(marks) >= 3
    assert marks == sorted(marks)
    line = re.search(r'class="whisker c0" x1="([\d.]+)" x2="([\d.]+)"', drawn)
    assert line is not None
    assert abs(float(line[1]) - float(line[2])) < 1
