"""Rows as pairs: both sides are cut alike or not at all, and replies that leak are marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.generate.masking import Encoded
from watari.generate.templates import PRESETS
from watari.pretrained import load_tokenizer
from watari.train.examples import TOO_LONG, Unusable
from watari.train.pairs import SAME_CUT, fitted, read_preferences

BOS, END = 1, 2


def side(prompt: int, reply: int, first: int) -> Encoded:
    """Return BOS and a prompt, then a reply of so many tokens, the last of which ends the turn."""
    ids = [BOS, *range(100, 99 + prompt), *range(first, first + reply - 1), END]
    return Encoded(ids, [False] * prompt + [True] * reply)


def test_what_fits_is_left_alone() -> None:
    one, two = side(10, 6, 1000), side(10, 3, 2000)
    for too_long in ("drop", "cut"):
        fit = fitted(one, two, sequence=16, too_long=too_long, bos=BOS)  # type: ignore[arg-type]
        assert (fit.chosen, fit.rejected, fit.prompt_cut, fit.replies_cut) == (one, two, False, False)


def test_a_longer_pair_is_dropped() -> None:
    with pytest.raises(Unusable, match=TOO_LONG):
        fitted(side(10, 7, 1000), side(10, 3, 2000), sequence=16, too_long="drop", bos=BOS)


def test_the_prompt_gives_way_first_and_keeps_bos() -> None:
    one, two = side(10, 7, 1000), side(10, 3, 2000)
    fit = fitted(one, two, sequence=14, too_long="cut", bos=BOS)
    assert (fit.prompt_cut, fit.replies_cut) == (True, False)
    kept = [BOS, *one.ids[4:10]]
    assert fit.chosen.ids == kept + one.ids[10:]
    assert fit.rejected.ids == kept + two.ids[10:]
    assert fit.chosen.assistant_mask == [False] * 7 + [True] * 7
    bare = fitted(one, two, sequence=14, too_long="cut", bos=None)
    assert bare.chosen.ids[:7] == one.ids[3:10]


def test_replies_are_cut_to_one_length_and_neither_keeps_its_end() -> None:
    one, two = side(10, 20, 1000), side(10, 6, 2000)
    fit = fitted(one, two, sequence=16, too_long="cut", bos=BOS)
    assert fit.replies_cut
    assert fit.prompt_cut
    # Half of the sequence stays prompt; the shorter reply has 5 tokens without its end.
    assert fit.chosen.ids == [BOS, *one.ids[3:10], *range(1000, 1005)]
    assert fit.rejected.ids == [BOS, *two.ids[3:10], *range(2000, 2005)]
    assert END not in fit.chosen.ids + fit.rejected.ids


def test_a_pair_that_cutting_makes_equal_is_dropped() -> None:
    one, two = side(4, 30, 1000), side(4, 28, 1000)
    with pytest.raises(Unusable, match=SAME_CUT):
        fitted(one, two, sequence=16, too_long="cut", bos=BOS)
    with pytest.raises(Unusable, match=SAME_CUT):
        fitted(side(4, 30, 1000), side(4, 1, 3000), sequence=16, too_long="cut", bos=BOS)


def test_sides_without_a_common_prompt_are_not_cut() -> None:
    other = side(10, 20, 2000)
    strange = Encoded([BOS, 7, *other.ids[2:]], other.assistant_mask)
    with pytest.raises(Unusable, match=TOO_LONG):
        fitted(side(10, 20, 1000), strange, sequence=16, too_long="cut", bos=BOS)


@settings(max_examples=200, deadline=None)
@given(
    prompt=st.integers(1, 60),
    chosen=st.integers(1, 60),
    rejected=st.integers(1, 60),
    sequence=st.integers(8, 60),
)
def test_cutting_does_not_ask_which_side_is_which(
    prompt: int, chosen: int, rejected: int, sequence: int
) -> None:
    one, two = side(prompt, chosen, 1000), side(prompt, rejected, 2000)

    def cut(a: Encoded, b: Encoded) -> Any:
        try:
            return fitted(a, b, sequence=sequence, too_long="cut", bos=BOS)
        except Unusable as error:
            return error.reason

    fit, mirrored = cut(one, two), cut(two, one)
    if isinstance(fit, str):
        assert mirrored == fit
        return
    assert (fit.chosen, fit.rejected) == (mirrored.rejected, mirrored.chosen)
    assert (fit.prompt_cut, fit.replies_cut) == (mirrored.prompt_cut, mirrored.replies_cut)
    sides = (fit.chosen, fit.rejected)
    assert all(len(each.ids) <= sequence and each.ids[0] == BOS for each in sides)
    replies = [sum(each.assistant_mask) for each in sides]
    ends = [each.ids[-1] == END for each in sides]
    if fit.replies_cut:
        # Never a whole reply beside a cut one, nor a longer one beside a shorter.
        assert replies[0] == replies[1] > 0
        assert ends == [False, False]
    else:
        assert replies == [chosen, rejected]
        assert ends == [True, True]


def test_cut_pairs_are_counted(
    tiny: InputArtifact, rows_of: Callable[..., InputArtifact], choices: list[dict[str, Any]]
) -> None:
    long = {
        "id": "l",
        "prompt": [{"role": "user", "content": "Hi"}],
        "chosen": "a " * 90,
        "rejected": "b " * 80,
    }
    asked = {**choices[0], "id": "q", "prompt": [{"role": "user", "content": "Once upon a time? " * 20}]}
    data = rows_of("d", Kind.PREFERENCES, [*choices[:3], long, asked])
    tokenizer = load_tokenizer(tiny.path)

    def read(too_long: Any) -> Any:
        return read_preferences(
            [data], tokenizer, PRESETS["swallow"], sequence=96, too_long=too_long, seed=0, stage="s"
        )

    cut, dropped = read("cut"), read("drop")
    assert (len(cut.pairs), cut.cut_prompts, cut.cut_replies, cut.ledger.dropped) == (5, 1, 1, 0)
    assert (len(dropped.pairs), dropped.cut_prompts, dropped.cut_replies) == (3, 0, 0)
    assert dropped.ledger.reasons == {TOO_LONG: 2}
    assert [pair.key for pair in cut.pairs[:3]] == [pair.key for pair in dropped.pairs]
    lengths = {pair.id: (len(pair.chosen), len(pair.rejected), pair.replies) for pair in cut.pairs}
    assert lengths["l"][0] == lengths["l"][1] == 96
    assert lengths["l"][2][0] == lengths["l"][2][1]
    assert max(lengths["q"][:2]) == 96


def test_leaks_are_marked_by_the_rows_language(
    tiny: InputArtifact, rows_of: Callable[..., InputArtifact]
) -> None:
    asked = [{"role": "user", "content": "赤いボール?"}]
    rows = [
        {"id": "a", "prompt": asked, "chosen": "赤い", "rejected": "赤い ball", "language": "ja"},
        {"id": "b", "prompt": asked, "chosen": "赤い", "rejected": "赤い ball", "language": None},
        {"id": "c", "prompt": asked, "chosen": "赤い", "rejected": "赤い ball", "language": "und"},
        {"id": "d", "prompt": asked, "chosen": "赤い 한국", "rejected": "赤いボール NASA", "language": "ja"},
        {
            "id": "e",
            "prompt": asked,
            "chosen": "A red one.",
            "rejected": "A red 色 or 赤いボール?",
            "language": "en",
        },
    ]
    found = read_preferences(
        [rows_of("d", Kind.PREFERENCES, rows)],
        load_tokenizer(tiny.path),
        PRESETS["swallow"],
        sequence=256,
        seed=0,
        stage="s",
    )
    assert [pair.leaks for pair in found.pairs] == [(False, True), None, None, (True, False), (False, True)]
