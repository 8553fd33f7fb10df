"""What a stage that asks tells of its run."""

import pytest

from watari.errors import StageFailed
from watari.synth.spending import check_answered, performance_of

FAILED = {"requests": 7, "answered": 0, "statuses": {"timeout": 3, "unreadable answer": 4}}


def test_a_run_in_which_nobody_answered_is_no_result() -> None:
    with pytest.raises(StageFailed, match="none of 7 requests was answered: 3 timeout, 4 unreadable answer"):
        check_answered({"fast": FAILED})


@pytest.mark.parametrize("other", [{"requests": 1, "answered": 1}, {"recorded": 1}])
def test_one_answer_is_enough_also_one_on_record(other: dict[str, int]) -> None:
    check_answered({"fast": FAILED, "strong": other})
    check_answered({})


def test_performance_sums_over_endpoints() -> None:
    found = performance_of({"fast": FAILED, "strong": {"recorded": 2, "requests": 1}}, 10, 4.0)
    assert (found["requests_sent"], found["recorded"], found["rows_per_second"]) == (8, 2, 2.5)
