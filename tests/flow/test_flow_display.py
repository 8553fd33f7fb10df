"""What is shown while a run goes on."""

import io

from hypothesis import given
from hypothesis import strategies as st

from watari.flow.display import Plain, amount, duration, make_display, size
from watari.flow.worker import Update


def test_plain_lines_say_beginning_and_end():
    stream = io.StringIO()
    display = Plain(stream)
    display.start("sft", "train.sft")
    display.update("sft", Update(10, 100, "steps", "loss 2.1"))
    display.end("sft", "done", "4.2 s")
    display.end("dpo", "failed", "out of memory")
    display.end("base", "cached")
    assert stream.getvalue().splitlines() == [
        "> sft (train.sft)",
        "✓ sft done 4.2 s",
        "✗ dpo failed out of memory",
        "· base cached",
    ]


def test_plain_lines_tell_progress_now_and_then(monkeypatch):
    stream = io.StringIO()
    display = Plain(stream)
    clock = [100.0]
    monkeypatch.setattr("watari.flow.display.time.monotonic", lambda: clock[0])
    display.start("sft", "train.sft")
    for second in range(40):
        clock[0] = 100.0 + second
        display.update("sft", Update(second * 1000, 40_000, "steps", "loss 2.1"))
    assert stream.getvalue().splitlines()[1:] == [
        "  sft: 15k of 40k steps loss 2.1",
        "  sft: 30k of 40k steps loss 2.1",
    ]


def test_quiet_shows_nothing(capfd):
    display = make_display(quiet=True)
    display.start("a", "b")
    display.end("a", "done")
    display.close()
    assert capfd.readouterr() == ("", "")


def test_figures_are_short():
    assert [duration(s) for s in (0, 4.23, 59.94, 59.97, 65, 3599.6, 3661, 7800)] == [
        "0.0 s",
        "4.2 s",
        "59.9 s",
        "1 min 00 s",
        "1 min 05 s",
        "1 h 00 min",
        "1 h 01 min",
        "2 h 10 min",
    ]
    assert [size(b) for b in (0, 812, 999, 999_960, 1400, 30_200_000, 5e12)] == [
        "0 B",
        "812 B",
        "999 B",
        "1.0 MB",
        "1.4 kB",
        "30.2 MB",
        "5.0 TB",
    ]
    assert [amount(n) for n in (0, 950, 12_300, 4_500_000, 0.5, 15_000)] == [
        "0",
        "950",
        "12.3k",
        "4.5M",
        "0.5",
        "15k",
    ]


@given(st.floats(0, 1e15))
def test_figures_never_overflow_their_unit(number):
    assert "1000.0 kB" not in size(number)
    assert "1000.0k" not in amount(number)
    assert "60 s" not in duration(number)
