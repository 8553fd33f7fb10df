"""Tokens that would leak: by their letters, and by the bytes that begin some."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_llama import make_tokenizer
from watari.generate import wrong_tokens as vocabulary
from watari.generate.wrong_tokens import SCRIPTS, scripts_in, wrong_tokens
from watari.pretrained import load_tokenizer


@cache
def tokenizer() -> Any:
    folder = Path(mkdtemp())
    make_tokenizer(folder)
    return load_tokenizer(folder)


def found(language: str, **given: Any) -> dict[str, str]:
    wrong = wrong_tokens(tokenizer(), language, **given)
    return {wrong.text[i]: SCRIPTS[s] for i, s in enumerate(wrong.script) if s >= 0}


def test_english_has_no_japanese_and_japanese_no_cyrillic() -> None:
    english = found("en")
    assert english["いました。"] == "kana"
    assert english["女"] == "han"
    assert english["⟨D0⟩"] == "cyrillic"
    assert english["⟨EA⟩"] == "hangul"
    assert not {text for text in english if text.isascii()}
    japanese = found("ja")
    assert set(japanese.values()) == {"cyrillic", "hebrew", "arabic", "hangul", "other"}
    assert "⟨E3⟩" not in japanese
    assert "⟨E9⟩" not in japanese
    assert found("zh")["の"] == "kana"
    assert "女" not in found("zh")


def test_symbols_and_accents_are_no_leak() -> None:
    for language in ("en", "ja", "ru"):
        # Emoji, dashes and quotes, accents and Greek letters, variation selectors, continuations of anything.
        for byte in ("⟨F0⟩", "⟨E2⟩", "⟨C3⟩", "⟨CE⟩", "⟨EF⟩", "⟨81⟩"):
            assert byte not in found(language), (language, byte)


def test_latin_letters_count_only_where_asked_for() -> None:
    assert "▁the".replace("▁", " ") not in found("ja")
    assert found("ja", latin=True)[" the"] == "latin"
    assert " the" not in found("en", latin=True)


def test_control_tokens_never_leak() -> None:
    wrong = wrong_tokens(tokenizer(), "en")
    assert not wrong.mask[tokenizer().all_special_ids].any()
    assert len(wrong.script) == len(wrong.text) == len(tokenizer())
    assert (wrong.of_scripts().sum(1) == wrong.mask).all()


@settings(max_examples=300, deadline=None)
@given(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), st.integers(1, 3))
def test_what_begins_a_character_is_bounded_by_all_that_it_can_become(char: str, size: int) -> None:
    data = char.encode()
    if size >= len(data):
        return
    low, high = vocabulary._open_end(b"x" + data[:size]) or (0, 0)
    assert low <= ord(char) <= high
    # No character outside of the bounds begins so.
    for other in (low - 1, high + 1):
        if 0x80 <= other <= 0x10FFFF and not 0xD800 <= other <= 0xDFFF:
            assert not chr(other).encode().startswith(data[:size])


@pytest.mark.parametrize(
    ("text", "scripts"), [("Тестtest", {"cyrillic", "latin"}), ("高の", {"han", "kana"}), ("12 !", set())]
)
def test_scripts_of_a_text(text: str, scripts: set[str]) -> None:
    assert scripts_in(text) == scripts
