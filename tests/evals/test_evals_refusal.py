"""Refusal: when too much is invalid."""

from __future__ import annotations

import pytest

from watari.evals.refusal import refusal
from watari.evals.result import Result, Unit


def _result(valid: int, invalid: int, judge: str | None = "j") -> Result:
    units = [Unit(str(n), "", "c", 1, 0, 5.0) for n in range(valid)]
    units += [Unit(f"x{n}", "", "c", 1, 0, None, reason="none") for n in range(invalid)]
    return Result("s/1", "m", judge, "overall", {}, tuple(units))


def test_five_percent_is_let_through_and_a_hair_more_is_not() -> None:
    assert refusal(_result(95, 5)) is None
    assert refusal(_result(94, 5)) == "5.1 % of 99 ratings are invalid"


@pytest.mark.parametrize(("limit", "refused"), [(0.0, True), (0.5, False), (1.0, False)])
def test_the_limit(limit: float, refused: bool) -> None:
    assert (refusal(_result(3, 1), limit) is not None) == refused


def test_words() -> None:
    assert refusal(_result(400, 1200)) == "75.0 % of 1,600 ratings are invalid"
    assert refusal(_result(1, 3, None)) == "75.0 % of 4 answers are invalid"
    assert refusal(_result(0, 0)) is None
    assert refusal(_result(0, 2), 1.0) is None
