"""What a piece may be: judged by its halves as by its whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.tokenizer.policy import BLANK_FIRST, BLANK_INSIDE, DIGIT, HAN, KANA, MARK, STRICT, Policy
from watari.tokenizer.script import script_of

JAPANESE, RUSSIAN = Policy(script_of("ja")), Policy(script_of("ru"))
TEXT = st.text(st.sampled_from("あー、鬱𠮷一。…1Aaм ё한🙂"), min_size=1, max_size=6)


@given(TEXT, TEXT)
def test_bits_of_a_whole_follow_from_its_halves(left: str, right: str) -> None:
    for policy in (JAPANESE, RUSSIAN):
        whole = policy.joined(policy.bits(left), policy.bits(right))
        assert whole == policy.bits(left + right)
        assert bool(whole & STRICT) == policy.script.has_strict(left + right)


@given(TEXT, TEXT, st.booleans(), st.booleans())
def test_what_clashes_goes_on_to_clash(left: str, right: str, cross_word: bool, mixed: bool) -> None:
    policy = replace(RUSSIAN, cross_word=cross_word, mixed_scripts=mixed)
    bits = policy.bits(left)
    if policy.clashes(bits):
        assert policy.clashes(policy.joined(bits, policy.bits(right)))


@given(TEXT, TEXT, st.booleans())
def test_two_usable_texts_make_a_usable_or_a_clashing_one(left: str, right: str, cross_word: bool) -> None:
    for plain in (JAPANESE, RUSSIAN):
        policy = replace(plain, cross_word=cross_word)
        if policy.usable(left) and policy.usable(right):
            assert policy.usable(left + right) or policy.clashes(policy.bits(left + right))


@pytest.mark.parametrize(
    ("text", "usable"),
    [("あ、鬱", True), ("…", True), ("", False), (" あ", False), ("1年", False), ("aあ", False)],
)
def test_usable_of_japanese(text: str, usable: bool) -> None:
    assert JAPANESE.usable(text) is usable
    assert replace(JAPANESE, digits=True).usable("1年")


@pytest.mark.parametrize(
    ("text", "usable"),
    [("мы", True), (" мы", True), (" ", True), ("мы б", True), ("мы\n", False), ("12", False)],
)
def test_usable_of_a_language_with_blanks(text: str, usable: bool) -> None:
    assert RUSSIAN.usable(text) is usable
    assert not replace(RUSSIAN, cross_word=False).usable("мы б")


def test_bits_by_hand() -> None:
    bits = replace(JAPANESE, digits=True).bits
    assert bits("鬱") & (STRICT | HAN) == STRICT | HAN
    assert bits("ー") & (KANA | MARK) == KANA
    assert bits("、") & (HAN | KANA | MARK | STRICT) == MARK | STRICT
    assert bits("…") & (MARK | STRICT) == MARK
    assert bits("1") == DIGIT
    assert bits(" м ё") & (BLANK_FIRST | BLANK_INSIDE) == BLANK_FIRST | BLANK_INSIDE
    assert not bits(" м") & BLANK_INSIDE


def test_refusal_and_scripts() -> None:
    assert replace(JAPANESE, forbidden=("^の", "する$")).refuses("のこと")
    assert not replace(JAPANESE, forbidden=("^の", "する$")).refuses("そのする人")
    assert not JAPANESE.clashes(JAPANESE.bits("読む、"))
    assert replace(JAPANESE, mixed_scripts=False).clashes(JAPANESE.bits("読む"))
    assert replace(JAPANESE, cross_word=False).clashes(JAPANESE.bits("む、"))
    assert not replace(JAPANESE, cross_word=False).clashes(JAPANESE.bits("。、"))
