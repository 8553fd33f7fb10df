"""Both languages are complete, and the colours can be read."""

from __future__ import annotations

import re
import string
from importlib import resources

import pytest

from watari.report.words import STATES, WORDS, aria, language_name, t

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
SAME_IN_BOTH = {"hash"}


def fields(text: str) -> set[str]:
    """Return the names of the values that a label is filled with."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", [*WORDS])
def test_every_label_has_both_languages(key: str) -> None:
    english, japanese = WORDS[key]
    assert english.strip()
    assert japanese.strip()
    assert fields(english) == fields(japanese)
    assert not JAPANESE.search(english)
    bare = re.sub(r"\{\w+\}", "", japanese)
    assert key in SAME_IN_BOTH or JAPANESE.search(bare) or not re.search("[A-Za-z]", bare)


@pytest.mark.parametrize("name", [*STATES])
def test_every_state_has_both_languages(name: str) -> None:
    english, japanese = STATES[name]
    assert english
    assert JAPANESE.search(japanese)


def test_every_label_used_exists() -> None:
    template = resources.files("watari.report").joinpath("templates", "page.html").read_text("utf-8")
    used = set(re.findall(r'\b(?:t|aria)\("(\w+)"', template)) | set(
        re.findall(r'title_of\("(\w+)"\)', template)
    )
    assert len(used) > 30
    for key in used:
        assert key in WORDS or (key.endswith("_") and any(word.startswith(key) for word in WORDS)), key


def test_values_are_escaped() -> None:
    assert "<b>" not in t("curves_sft", name="<b>")
    assert 'data-ja="言語"' in aria("language")
    assert language_name("<x>") == "&lt;x&gt;"


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_read() -> None:
    css = resources.files("watari.report").joinpath("templates", "report.css").read_text("utf-8")
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r"\{([^{}]*--paper[^{}]*)\}", css)
    ]
    screens = [theme for theme in themes if "data" in theme]
    assert len(screens) == 3
    assert screens[1] == screens[2], "the two dark themes must be one"
    for theme in screens:
        for ground in ("paper", "card"):
            for text in ("ink", "soft", "accent", "good", "bad"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
            for mark in (
                "data",
                "tokenizer",
                "model",
                "train",
                "eval",
                "other",
                *(f"c{i}" for i in range(8)),
            ):
                assert contrast(theme[mark], theme[ground]) >= 3, (mark, ground)
