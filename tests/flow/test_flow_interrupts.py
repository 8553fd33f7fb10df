"""The user's wish to stop, counted."""

import signal
import threading

import pytest

from watari.errors import Interrupted
from watari.flow.interrupts import Interrupts

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("second", BOTH)
def test_the_first_is_noted_and_the_second_raises(first, second):
    interrupts = Interrupts()
    before = [signal.getsignal(number) for number in BOTH]
    with interrupts.heard():
        assert not interrupts
        signal.raise_signal(first)
        assert interrupts
        with pytest.raises(Interrupted, match="stopped at once"):
            signal.raise_signal(second)
    assert [signal.getsignal(number) for number in BOTH] == before


def test_what_comes_while_the_second_is_obeyed_does_not_raise_again():
    interrupts = Interrupts()
    with interrupts.heard():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert interrupts


def test_stages_that_stop_by_themselves_are_one_wish():
    interrupts = Interrupts()
    with interrupts.heard():
        for _ in range(3):
            interrupts.note()
        assert interrupts
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        # Nor do they take a wish back.
        interrupts.note()
        signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_signals_are_the_callers_business():
    before = [signal.getsignal(number) for number in BOTH]
    seen = []

    def run() -> None:
        with Interrupts().heard():
            seen.extend(signal.getsignal(number) for number in BOTH)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == before
