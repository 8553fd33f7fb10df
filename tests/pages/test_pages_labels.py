"""Labels hold both languages, and what is put into them is escaped."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from watari.pages.labels import FRAME, LANGUAGES, Labels, both, both_svg, language_name, language_svg

LABELS = Labels(
    {"rows": ("<b>{n}</b> rows of {name}", "{name} の <b>{n}</b> 行"), "plain": ("A & B", "甲と乙")}
)


def test_values_are_escaped_and_labels_may_hold_markup() -> None:
    assert LABELS.t("rows", n=3, name="<i>") == (
        '<span class="w" lang="en"><b>3</b> rows of &lt;i&gt;</span>'
        '<span class="w" lang="ja">&lt;i&gt; の <b>3</b> 行</span>'
    )
    assert LABELS.t_svg("rows", n=3, name=Markup("<tspan/>")).count("<tspan/>") == 2
    assert LABELS.t_svg("rows", n=3, name="x").startswith('<tspan class="w" lang="en">')


def test_a_label_or_a_value_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        LABELS.t("nothing")
    with pytest.raises(KeyError):
        LABELS.t("rows", n=3)


def test_a_name_for_those_who_do_not_see_is_in_both_languages() -> None:
    assert LABELS.aria("plain") == 'aria-label="A &amp; B" data-en="A &amp; B" data-ja="甲と乙"'


def test_texts_in_both_languages_are_escaped() -> None:
    assert (
        both("<", Markup("<br>"))
        == '<span class="w" lang="en">&lt;</span><span class="w" lang="ja"><br></span>'
    )
    assert both_svg("a", "<").endswith('<tspan class="w" lang="ja">&lt;</tspan>')


def test_names_of_languages() -> None:
    assert language_name("ja") == both("Japanese", "日本語")
    assert language_svg("ko") == both_svg("Korean", "韓国語")
    assert language_name("<x>") == language_svg("<x>") == "&lt;x&gt;"


@pytest.mark.parametrize("pair", [*FRAME.values(), *LANGUAGES.values()])
def test_what_all_pages_say_is_in_both_languages(pair: tuple[str, str]) -> None:
    english, japanese = pair
    assert re.fullmatch("[A-Za-z ]+", english)
    assert re.fullmatch("[\u3040-\u30ff\u4e00-\u9fff]+", japanese)
