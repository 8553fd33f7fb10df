"""Every label is there in both languages, says the same, and is shown somewhere."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

import watari.evals
from watari.evals.page.words import WORDS, name_pair
from watari.pages.labels import FRAME

_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_SAME = {"n"}


@pytest.mark.parametrize("key", sorted(set(WORDS) - set(FRAME)))
def test_a_label_is_in_both_languages_with_the_same_values(key: str) -> None:
    english, japanese = WORDS[key]
    values = [sorted(re.findall(r"\{(\w+?)(?:_en|_ja)?\}", text)) for text in (english, japanese)]
    assert values[0] == values[1]
    if key not in _SAME:
        assert _JAPANESE.search(japanese)
        assert not _JAPANESE.search(english)


def test_every_label_is_shown_somewhere() -> None:
    package = resources.files("watari.evals.page")
    root = Path(str(package))
    sources = [
        *root.glob("*.py"),
        *root.glob("templates/*"),
        *Path(watari.evals.__path__[0]).glob("plots*.py"),
    ]
    text = "".join(path.read_text("utf-8") for path in sources if path.name != "words.py")
    built = {"order_file", "order_lowest", "order_difference", "order_invalid"}
    by_attribute = {"nobody", "all_categories"}
    unused = [
        key
        for key in set(WORDS) - set(FRAME) - built - by_attribute
        if f'"{key}"' not in text and key not in ("report", "footer")
    ]
    assert unused == []
    assert all(f"words.{key}" in text for key in by_attribute)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("writing", ("Writing", "文章作成")),
        ("writing turn 2", ("Writing, second turn", "文章作成・2ターン目")),
        ("jamp_exact_match", ("jamp_exact_match", "jamp_exact_match")),
    ],
)
def test_figures_are_named_for_people(name: str, pair: tuple[str, str]) -> None:
    assert name_pair(name) == pair
