"""Both languages are complete."""

from __future__ import annotations

import re
import string
from importlib import resources

import pytest

from watari.report.words import STATES, WORDS

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
    used = set(re.findall(r'\b(?:t|aria)\("(\w+)"|\bknown\["(\w+)"', template))
    used = {one or other for one, other in used}
    assert len(used) > 30
    for key in used:
        assert key in WORDS or (key.endswith("_") and any(word.startswith(key) for word in WORDS)), key
