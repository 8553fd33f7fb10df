"""A text from outside is shown with nothing unseen in it, and cut to fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.pages.visible import columns, first_lines, fitted, head, shortened, visible


@given(st.text(), st.integers(1, 60))
def test_shown_texts_hold_nothing_unseen(text: str, room: int) -> None:
    shown = visible(text, lines=False)
    assert "\n" not in shown
    assert all(
        character.isprintable() or character in "\u200c\u200d" or character.isspace() for character in shown
    )
    shown.encode("utf-8")
    assert len(head(text, room)) <= room
    assert columns(fitted(shown, room)) <= room


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\u202eevil\u202c \x07\x00\x7f", "⟨U+202E⟩evil⟨U+202C⟩ ␇␀␡"),
        ("a\n\tb", "a\n\tb"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud800", "⟨U+D800⟩"),
        ("日本\u3000語", "日本\u3000語"),
    ],
)
def test_what_cannot_be_seen_is_a_sign(text: str, said: str) -> None:
    assert visible(text) == said


def test_lines_are_one_where_asked() -> None:
    assert visible("a\n\tb", lines=False) == "a↵ b"


def test_a_beginning_says_that_there_is_more() -> None:
    assert head("あいうえお", 3) == "あい…"
    assert head("あいう", 3) == "あいう"
    assert shortened("ab  cd", 5) == "ab…"
    assert first_lines("a\nb\nc", 2) == "a\nb\n…"
    assert first_lines("a\nb", 2) == "a\nb"


def test_names_are_cut_to_columns() -> None:
    assert fitted("tokenizer", 20) == "tokenizer"
    assert fitted("a_very_long_stage_name", 10) == "a_very_lo…"
    assert fitted("日本語の事前学習コーパス", 10) == "日本語の…"
    assert columns("か\u3099") == 2
