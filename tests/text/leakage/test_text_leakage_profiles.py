"""Leakage profiles: data that must load, and the word list."""

from __future__ import annotations

import pytest

from watari.languages.leakage import LeakageProfile, common_words, leakage_languages, leakage_profile
from watari.text.leakage import find_events
from watari.text.leakage.lexicon import all_stop_words, is_common


@pytest.mark.parametrize("code", leakage_languages())
def test_every_profile_loads_and_is_named(code: str) -> None:
    profile = leakage_profile(code)
    assert profile.code == code
    assert profile.names


def test_names_of_languages_are_not_shared() -> None:
    names = [name.casefold() for code in leakage_languages() for name in leakage_profile(code).names]
    assert len(names) == len(set(names))


def test_a_language_without_a_profile_is_judged_by_its_script() -> None:
    assert leakage_profile("xx") == LeakageProfile(code="xx")
    assert common_words("xx") == frozenset()
    assert [event.text for event in find_events("Mae'r ysgol 学校 yn agos.", "cy")] == ["学校"]


def test_a_pattern_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        LeakageProfile(code="xx", cues=["("])


@pytest.mark.parametrize(
    "word", ["house", "houses", "walking", "stopped", "studies", "feelings", "quickly", "american"]
)
def test_common_words_with_their_endings(word: str) -> None:
    assert is_common(word, "en")


@pytest.mark.parametrize("word", ["eggman", "docomo", "xqzt", "arigatou", "github", "html"])
def test_what_is_no_common_word(word: str) -> None:
    assert not is_common(word, "en")


def test_chinese_words_of_the_japanese_profile_are_found_where_they_stand_alone() -> None:
    for word in leakage_profile("ja").foreign["zh"].split():
        assert find_events(f"これは{word}です", "ja"), word


def test_words_of_grammar_are_known_of_languages_in_latin_letters_only() -> None:
    assert {"en", "es", "fr", "de"} <= set(all_stop_words())
    assert "ru" not in all_stop_words()
