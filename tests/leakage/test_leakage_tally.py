"""Figures: what they are of, and intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.leakage.curves import columns_by, curves, values_of
from watari.leakage.tally import Part, Sheet, Tally, count_parts
from watari.stats import bootstrap_ratio

JA = ("token", "ja")


def tally(
    prompt: str, events: int = 0, characters: int = 1000, *, expected: str = "en", **columns: object
) -> Tally:
    return Tally(prompt, expected, characters, {JA: events} if events else {}, columns)  # type: ignore[arg-type]


def test_figures_are_ratios_of_sums() -> None:
    sheet = Sheet(
        [tally("a", 3, 500), tally("a", 0, 1500), tally("b", 1, 2000, expected="ja"), tally("c", 0, 1000)]
    )
    total, english, tokens, glyphs = count_parts(
        sheet, [Part(), Part(sheet.expecting("en")), Part(cls="token", language="ja"), Part(cls="glyph")]
    )
    assert (total.events, total.responses, total.leaking, total.characters, total.prompts) == (
        4,
        4,
        2,
        5000,
        3,
    )
    assert total.rate.value == pytest.approx(0.8)
    assert total.share.value == 0.5
    assert (english.events, english.responses, english.prompts) == (3, 3, 2)
    assert tokens == total
    assert (glyphs.events, glyphs.rate.value, glyphs.characters) == (0, 0.0, 5000)


def test_the_interval_is_that_of_prompts_not_of_responses() -> None:
    """Forty answers to one prompt that always leaks are one prompt: the interval does not shrink with them."""
    few = [tally(str(prompt), int(prompt < 3)) for prompt in range(10)]
    many = few * 40
    (one,), (other,) = (count_parts(Sheet(some), [Part()]) for some in (few, many))
    assert (one.share.low, one.share.high) == (other.share.low, other.share.high)
    assert one.share.high is not None
    assert one.share.low is not None
    assert one.share.high - one.share.low > 0.4


def test_the_interval_agrees_with_the_plain_bootstrap() -> None:
    draws = np.random.default_rng(3)
    rows = [tally(str(n), int(draws.poisson(1)), int(draws.integers(100, 2000))) for n in range(60)]
    (count,) = count_parts(Sheet(rows), [Part()], rounds=4000)
    plain = bootstrap_ratio(
        [sum(row.events.values()) * 1000.0 for row in rows],
        [row.characters for row in rows],
        [row.prompt for row in rows],
        seed=1,
        rounds=4000,
    )
    assert count.rate.value == pytest.approx(plain.value)
    assert plain.low is not None
    assert plain.high is not None
    assert count.rate.low == pytest.approx(plain.low, rel=0.06)
    assert count.rate.high == pytest.approx(plain.high, rel=0.06)


def test_no_event_is_not_certainty() -> None:
    (count,) = count_parts(Sheet([tally(str(n), characters=100) for n in range(50)]), [Part()])
    assert (count.share.value, count.share.low) == (0.0, 0.0)
    assert count.share.high == pytest.approx(0.0713, abs=1e-3)  # Wilson, 0 of 50
    assert count.rate.high == pytest.approx(0.7378, abs=1e-3)  # 3.69 events in 5,000 characters


def test_one_prompt_says_nothing_about_others() -> None:
    (count,) = count_parts(Sheet([tally("a", 1), tally("a")]), [Part()])
    assert (count.share.value, count.share.low, count.share.high) == (0.5, None, None)


def test_nothing_at_all() -> None:
    (count,) = count_parts(Sheet([]), [Part()])
    assert (count.responses, count.rate.low, count.share.high) == (0, None, None)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.integers(1, 50)), min_size=2),
    st.randoms(),
)
def test_the_order_of_rows_does_not_matter(rows: list[tuple[str, int, int]], random: object) -> None:
    tallies = [tally(prompt, events, size) for prompt, events, size in rows]
    shuffled = list(tallies)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    (one,), (other,) = (count_parts(Sheet(some), [Part()], rounds=50) for some in (tallies, shuffled))
    assert one == other
    assert one.rate.low is None or one.rate.low <= one.rate.value + 1e-9


def test_curves_are_by_number_and_by_name() -> None:
    rows = [
        tally(str(prompt), int(prompt % 7 < 10 * temperature), model=model, temperature=temperature, id="x")
        for prompt in range(14)
        for temperature in (1.0, 0.1, 0.5)
        for model in ("b", "a")
    ]
    sheet = Sheet(rows)
    assert columns_by(sheet, []) == ["temperature", "model"]
    assert values_of(sheet, "temperature") == [0.1, 0.5, 1.0]
    found = curves(sheet, ["temperature", "model"])
    assert [(curve.column, dict(curve.series)) for curve in found] == [
        ("temperature", {}),
        ("temperature", {"model": "b"}),
        ("temperature", {"model": "a"}),
        ("model", {}),
    ]
    whole = found[0]
    assert [count.share.value for count in whole.counts] == pytest.approx([1 / 7, 5 / 7, 1.0])
    assert whole.share is not None
    # Least squares by hand: pulls -13/30, -1/30, 14/30 over their sum of squares.
    pull = np.array([-13, -1, 14]) / 30
    assert whole.share.slope == pytest.approx(float(pull @ [1 / 7, 5 / 7, 1.0]) / float(pull @ pull))
    assert whole.share.low > 0
    assert whole.share.p < 0.01
    assert found[3].share is None
    assert found[3].values == ("b", "a")


def test_a_flat_curve_has_no_trend() -> None:
    rows = [tally(str(prompt), prompt % 2, t=value) for prompt in range(20) for value in (1, 2, 3)]
    (curve,) = curves(Sheet(rows), ["t"])
    assert curve.share is not None
    assert (curve.share.slope, curve.share.p) == (0.0, 1.0)


def test_values_that_mix_numbers_and_texts_are_names() -> None:
    rows = [tally("a", t=1), tally("a", t="x"), tally("b", t=1)]
    (curve,) = curves(Sheet(rows), ["t"])
    assert (curve.values, curve.rate) == ((1, "x"), None)
