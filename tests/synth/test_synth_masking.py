from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.synth.masking import Masks, faults, mask, tokens, translatable, unmask
from watari.synth.segments import read_answer, segmented, written


def masked(text: str, **more: str) -> tuple[str, list[str]]:
    masks = Masks()
    found = mask(text, masks, **more)  # type: ignore[arg-type]
    assert unmask(found, masks) == text
    return found, masks.texts


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("Use `pip install x` now.", ["`pip install x`"]),
        ("See https://example.com/a?b=1. Then go.", ["https://example.com/a?b=1"]),
        ("Mail ann@example.org, please.", ["ann@example.org"]),
        ("[here](../guide.md#top) and ![it](/a.png)", ["../guide.md#top", "/a.png"]),
        (
            "Hello {name}, {{count}} left, %s of %(all)d, ${HOME}.",
            ["{name}", "{{count}}", "%s", "%(all)d", "${HOME}"],
        ),
        ("<b>bold</b> and <img alt='x' src=\"y\"/>", ["<b>", "</b>", "<img alt='x' src=\"y\"/>"]),
        ("Let $x_1 + y$ and $$\\int f$$ be.", ["$x_1 + y$", "$$\\int f$$"]),
        (
            "\\(a\\) or \\[b\\] or \\begin{align}c\\end{align}",
            ["\\(a\\)", "\\[b\\]", "\\begin{align}c\\end{align}"],
        ),
        ("It costs $5 or $10, 100% sure, 3 < 4 > 2.", []),
        ("Say [[1]] and ⟦7⟧ as they are.", ["[[1]]", "⟦7⟧"]),
        ("a_b, it's *fine*: {not a placeholder, really}", []),
    ],
)
def test_what_must_not_change_becomes_a_token(text: str, taken: list[str]) -> None:
    assert masked(text)[1] == taken


def test_a_code_block_is_one_token_and_a_prompt_in_a_fence_is_none() -> None:
    code = "Run:\n\n```python\n# say hello\nprint('hello')\n```\n\nDone."
    assert masked(code) == ("Run:\n\n⟦1⟧\n\nDone.", ["```python\n# say hello\nprint('hello')\n```"])
    assert masked(code, code="translate")[0] == code
    prompt = "Ask:\n\n```\nPlease write a short letter to my friend Ann.\nTell her that I will come on Sunday.\n```"
    assert masked(prompt)[0] == prompt
    assert masked("~~~\nx = 1\n~~~\nunclosed ```js\nlet a = 1")[1][0].startswith("~~~")


def test_lost_doubled_strange_and_broken_tokens_are_told() -> None:
    masks = Masks(["`a`", "`b`", "`c`"])
    assert faults("⟦1⟧ ⟦2⟧", "⟦2⟧と〚１〛", masks) == []
    assert faults("⟦1⟧ ⟦2⟧", "⟦2⟧ ⟦2⟧", masks) == [
        "the token ⟦1⟧ (`a`) is missing",
        "the token ⟦2⟧ (`b`) stands 2 times instead of 1",
    ]
    assert faults("x", "⟦3⟧", masks) == ["the token ⟦3⟧ (`c`) does not belong to this segment"]
    assert faults("x", "⟦9⟧", masks) == ["the token ⟦9⟧ was not in the source"]
    assert faults("⟦1⟧", "⟦1⟧ ⟦", masks) == ["a broken ⟦ or ⟧ is left over"]


def test_a_text_of_tokens_and_digits_has_nothing_to_translate() -> None:
    assert not translatable("⟦1⟧ 42, ⟦2⟧")
    assert translatable("⟦1⟧ a")
    assert tokens("⟦1⟧ ⟦1⟧") == {1: 2}


@given(st.text(alphabet="ab `$\\{}%@/:.<>=\"'~\n[]()⟦⟧1", max_size=200))
def test_whatever_the_text_nothing_is_lost(text: str) -> None:
    masked(text)
    masked(text, code="translate")


def test_real_conversations_come_back_letter_by_letter(test_data: Path) -> None:
    sent = whole = 0
    with gzip.open(test_data / "en-ja-pairs" / "pairs-good.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            taken = segmented(row["src"], size=400)
            found = read_answer(written(taken.segments), taken.segments) if taken.segments else {}
            assert isinstance(found, dict)
            assert taken.mask_faults(found) == []
            assert [one["content"] for one in taken.joined(found)] == [one["content"] for one in row["src"]]
            whole += sum(len(one["content"]) for one in row["src"])
            sent += taken.characters
    assert 0.6 < sent / whole < 0.85
