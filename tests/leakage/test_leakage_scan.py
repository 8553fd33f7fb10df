"""Which language a response should be in, what is counted of it, and which spans are quoted."""

from __future__ import annotations

from typing import Any

import pytest

from watari.errors import UserError
from watari.leakage import scan as scanning
from watari.leakage.rows import Row
from watari.leakage.scan import Scanned, expected_of, scan_row
from watari.leakage.summary import Collector, same, summarise, wanted_by
from watari.leakage.worst import Worst, quoted
from watari.text.leakage import Event, find_events


def row(response: str, prompt: str = "", **more: Any) -> Row:
    messages = ({"role": "user", "content": prompt},) if prompt else ()
    return Row(more.pop("id", "1"), more.pop("prompt_id", prompt or "p"), messages, response, **more)


def test_what_says_the_language() -> None:
    english = "What are the key elements of a romantic comedy movie?"
    assert expected_of(row("r", english)) == ("en", "prompt")
    assert expected_of(row("r", english, expected="ja")) == ("ja", "row")
    assert expected_of(row("r", english), "ja-JP") == ("ja", "option")
    assert expected_of(row("r", english, expected="ja"), "ko") == ("ja", "row")
    assert expected_of(row("今日は良い天気です。散歩に行きましょう。")) == ("ja", "response")
    assert expected_of(row("r", default="ko")) == ("ko", "row")
    assert expected_of(row("   ")) == ("und", "nothing")
    assert expected_of(row("r", english), "jpn") == ("ja", "option")
    for name in ("Japanese", "日本", "xx", ""):
        with pytest.raises(UserError, match=f"expected: '{name}' is no language code"):
            scan_row(row("これは日本語です。"), expected=name)


def test_a_code_of_three_letters_is_the_language_of_the_short_one() -> None:
    said = "これは日本語です。Это письмо."
    assert find_events(said, "jpn") == find_events(said, "jpn_Jpan") == find_events(said, "ja")
    assert [event.text for event in find_events(said, "jpn")] == ["Это письмо"]
    assert find_events("台灣的軟體", "zho-Hans") == find_events("台灣的軟體", "zh-Hans") != []


def test_the_rule_is_told_prompt_and_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def find(response: str, expected: str, *, prompt: str, licensed: str) -> list[Event]:
        calls.append((response, expected, prompt, licensed))
        return []

    monkeypatch.setattr(scanning, "find_events", find)
    scan_row(row("r", "q", expected="ja"))
    scan_row(row("r", "q", expected="ja"), licensed="any")
    scan_row(row("r", "q", expected="ja", licensed="names"), licensed="any")
    scan_row(row("", "q", expected="ja"))
    assert calls == [("r", "ja", "q", "none"), ("r", "ja", "q", "any"), ("r", "ja", "q", "names")]


def test_events_are_places_in_the_response() -> None:
    said = "今日はとてもхорошоな天気だったので、学校の友達と散歩に行きました。"
    scanned = scan_row(row(said, "学校の話をしてください。"))
    assert scanned.expected == "ja"
    assert [event.text for event in scanned.events] == ["хорошо"]
    (event,) = scanned.as_json()["events"]
    assert set(event) >= {"class", "span", "start", "end", "severity", "why"}
    assert said[event["start"] : event["end"]] == event["span"]
    assert scanned.as_json()["id"] == "1"


def event(start: int, end: int, severity: str = "high", text: str = "") -> Event:
    return Event("token", "ja", start, end, text, severity, "why")  # type: ignore[arg-type]


def leaky(*events: Event, id: str = "1", prompt_id: str = "p", response: str = "x" * 300) -> Scanned:
    return Scanned(row(response, id=id, prompt_id=prompt_id, expected="en"), "en", "row", events)


def test_the_same_text_is_quoted_once_of_a_prompt() -> None:
    worst = Worst(4)
    for name, prompt, text in (("1", "q", "漏れ"), ("2", "q", "漏れ"), ("3", "q", "別"), ("4", "r", "漏れ")):
        said = f"An answer with {text} in it."
        event = Event("token", "ja", 15, 15 + len(text), text, "medium", "w")
        worst.add(Scanned(row(said, prompt, id=name), "en", "prompt", (event,)))
    assert sorted(quote.scanned.row.id for quote in worst.quotes()) == ["1", "3", "4"]


def test_the_worst_are_severe_then_long_and_of_many_prompts() -> None:
    worst = Worst(3, a_prompt=1)
    worst.add(leaky(event(0, 50, "low"), id="low"))
    worst.add(leaky(event(0, 2), event(5, 9), id="short", prompt_id="q"))
    worst.add(leaky(event(0, 30), id="long", prompt_id="r"))
    worst.add(leaky(event(0, 29), id="same prompt", prompt_id="r"))
    worst.add(leaky(id="clean"))
    found = worst.quotes()
    assert [(quote.scanned.row.id, quote.event.end) for quote in found] == [
        ("long", 30),
        ("short", 9),
        ("low", 50),
    ]


def test_the_first_of_equals_is_quoted() -> None:
    worst = Worst(1)
    for number in range(40):
        worst.add(leaky(event(0, 5), id=str(number), prompt_id=str(number)))
    assert [quote.scanned.row.id for quote in worst.quotes()] == ["0"]


def test_a_quotation_says_where_it_is_cut() -> None:
    text = "a" * 10 + "XYZ" + "b" * 10
    whole = quoted(leaky(response=text), event(10, 13, text="XYZ"), 20)
    assert (whole.before, whole.span, whole.after) == ("a" * 10, "XYZ", "b" * 10)
    cut = quoted(leaky(response=text), event(10, 13, text="XYZ"), 4)
    assert (cut.before, cut.span, cut.after) == ("…aaaa", "XYZ", "bbbb…")


def test_every_response_is_accounted_for() -> None:
    found = Collector(wanted_by({"model": ["m"]}))
    for one in (
        scan_row(row("fine", expected="en", columns={"model": "m"})),
        scan_row(row("", expected="en", columns={"model": "m"})),
        scan_row(row("12345", columns={"model": "m"})),
        scan_row(row("fine", expected="en", columns={"model": "other"})),
    ):
        found.add(one)
    summary = summarise(found)
    assert (summary.responses, summary.empty, summary.unknown, summary.passed_over) == (3, 1, 1, 1)
    assert summary.total.responses == 1
    said = summary.as_json()
    assert said["judged"] + said["empty"] + said["expected_unknown"] == said["responses"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [(0.1, "0.10", True), (1, "1.0", True), ("a", "a", True), ("1", "1.0", False), (None, "None", False),
     (True, "true", True), (0.1, "x", False), (1, "true", False)],
)  # fmt: skip
def test_a_number_may_be_named_as_text(one: Any, other: str, equal: bool) -> None:
    assert same(one, other) is equal
