"""What a stage that asks tells of its requests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from watari.endpoint.performance import bill_of, performance_of

SPENDING = {"fast": {"requests": 7, "recorded": 1}, "strong": {"requests": 1, "recorded": 2}, "idle": {}}


@dataclass(frozen=True)
class Answer:
    prompt_tokens: int
    completion_tokens: int
    cost: float


def test_requests_are_summed_over_endpoints() -> None:
    found = performance_of(SPENDING, 4.00049)
    assert found == {"requests_sent": 8, "recorded": 3, "seconds": 4.0, "endpoints": SPENDING}
    assert list(found) == ["requests_sent", "recorded", "seconds", "endpoints"]


@pytest.mark.parametrize(
    ("rate", "done", "seconds", "told"),
    [("requests", None, 4.0, 2.0), ("items", 10, 4.0, 2.5), ("items", 0, 4.0, 0.0), ("items", 3, 0.0, 0.0)],
)
def test_a_rate_is_what_was_done_by_the_second(
    rate: str, done: int | None, seconds: float, told: float
) -> None:
    found = performance_of(SPENDING, seconds, rate=rate, done=done)
    assert found[f"{rate}_per_second"] == told
    assert list(found)[-2:] == [f"{rate}_per_second", "endpoints"]


def test_a_bill_sums_tokens_and_cost() -> None:
    answers = [Answer(3, 5, 0.1), Answer(4, 0, 0.2), Answer(0, 1, 1e-12)]
    assert bill_of(iter(answers)) == {"tokens": {"prompt": 7, "completion": 6}, "cost": 0.3}
    assert bill_of([Answer(0, 0, 0.123456789)], digits=6)["cost"] == 0.123457
    assert bill_of([]) == {"tokens": {"prompt": 0, "completion": 0}, "cost": 0}
