"""What holds of every text: places, order, masks, licences, and work in step with the length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.text.leakage import Event, find_events

LANGUAGES = ["ja", "en", "zh", "zh-Hans", "zh-TW", "ko", "ru", "th", "vi", "fr", "el", "xx", ""]
PIECES = [
    "学校",
    "我们",
    "没有",
    "house",
    "and",
    "useState",
    "the best way to learn about it",
    "これは",
    "한국",
    "ж",
    "สวัสดี",
    "é",
    "đi",
    "λόγος",
    " ",
    "\n",
    "。",
    "「",
    "」",
    "(",
    ")",
    "`",
    "```",
    "$",
    "…",
    "1. ",
    ":",
    "https://",
    "<0xE3>",
    "\ufffd",
    "\ud800",
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(st.characters(codec=None), max_size=6), max_size=25).map(
    "".join
)
FOREIGN = {
    "en": ["学校", "これは", "漢字かな"],
    "ja": ["house", "walking"],
    "ko": ["house", "学校"],
    "zh": ["house", "これ"],
}
AROUND = {
    "en": ("We see ", " every day."),
    "ja": ("毎日", "を見ます。"),
    "ko": ("매일 ", " 봅니다."),
    "zh": ("每天看", "很好。"),
}


def is_broken(event: Event) -> bool:
    return event.cls == "glyph" and event.language == "und"


@given(
    TEXT,
    st.sampled_from(LANGUAGES),
    TEXT,
    st.sampled_from(["none", "names", "any"]),
    st.none() | st.sampled_from(["", "a need", "手紙"]),
)
def test_events_are_in_bounds_sorted_apart_and_the_same_again(
    text: str, expected: str, prompt: str, licensed: str, original: str | None
) -> None:
    def found() -> list[Event]:
        return find_events(text, expected, prompt=prompt, licensed=licensed, original=original)  # type: ignore[arg-type]

    events = found()
    last = 0
    for event in events:
        assert last <= event.start < event.end <= len(text)
        assert text[event.start : event.end] == event.text
        assert event.why
        assert event.language
        last = event.end
    assert found() == events


@given(TEXT, st.sampled_from(LANGUAGES))
def test_what_stands_in_the_prompt_is_no_leak(text: str, expected: str) -> None:
    """Of a response that the prompt holds whole only broken characters are told; `any` lets as much pass."""
    assert all(map(is_broken, find_events(text, expected, prompt=text)))
    assert all(map(is_broken, find_events(text, expected, licensed="any")))


@given(TEXT, st.sampled_from(LANGUAGES), st.sampled_from(["names", "any"]))
def test_a_licence_adds_nothing(text: str, expected: str, licensed: str) -> None:
    places = {at for event in find_events(text, expected) for at in range(event.start, event.end)}
    for event in find_events(text, expected, licensed=licensed):  # type: ignore[arg-type]
        assert not places.isdisjoint(range(event.start, event.end))


@pytest.mark.parametrize(
    "masked",
    [
        "`{}`",
        "`x = {}`",
        "\n```\n{}\n```\n",
        "\n~~~py\nx = '{}'\n~~~\n",
        "https://example.com/{}/x",
        "https://x.org/?q={}",
        "“{}”",
        '"{}"',
        "「{}」",
        "({})",
        "$x_{{{}}}$",
    ],
)
@pytest.mark.parametrize(
    ("expected", "word"), [(code, word) for code, words in FOREIGN.items() for word in words]
)
def test_masked_words_are_no_leak_and_bare_ones_are(expected: str, word: str, masked: str) -> None:
    before, after = AROUND[expected]
    assert find_events(f"{before} {masked.format(word)} {after}", expected) == []
    assert [event.text for event in find_events(f"{before} {word} {after}", expected)] == [word]


class Counted(str):
    """A string that counts the characters that are gone through or copied at Python's level."""

    work = 0

    def rfind(self, *where: object) -> int:  # type: ignore[override]
        at = super().rfind(*where)  # type: ignore[arg-type]
        first, last = (*where[1:], 0, len(self))[:2] if len(where) < 3 else where[1:]
        Counted.work += last - max(at, first)  # type: ignore[operator, call-overload]
        return at

    def find(self, *where: object) -> int:  # type: ignore[override]
        at = super().find(*where)  # type: ignore[arg-type]
        first = where[1] if len(where) > 1 else 0
        last = where[2] if len(where) > 2 else len(self)
        Counted.work += (last if at < 0 else at) - first  # type: ignore[operator]
        return at

    def __getitem__(self, key: object) -> str:  # type: ignore[override]
        part = super().__getitem__(key)  # type: ignore[index]
        Counted.work += len(part)
        return part


@pytest.mark.parametrize("expected", ["ja", "en", "zh", "ko"])
@pytest.mark.parametrize(
    "unit",
    [
        "a ",
        "あ",
        "「a",
        "(学",
        "家house",
        "house 家 ",
        "git ",
        "한 ж ",
        "学校学校学校学校x ",
        "我们的。",
        "house\n家\n",
        "これは日本語の文章です、",
        "the best way to learn about it、",
    ],
)
def test_work_is_in_step_with_length(unit: str, expected: str) -> None:
    """Four times the text is at most five times the characters copied and searched: counted, not timed."""
    spent = []
    for size in (4_000, 16_000):
        Counted.work = 0
        find_events(Counted(unit * (size // len(unit))), expected)
        spent.append(Counted.work)
    assert spent[1] <= 5 * spent[0] + 20_000


@settings(max_examples=300)
@given(st.text(st.characters(codec=None), max_size=300), st.sampled_from(LANGUAGES), st.booleans())
def test_any_text_is_read(text: str, expected: str, translated: bool) -> None:
    assert isinstance(find_events(text, expected, original=text[::-1] if translated else None), list)
