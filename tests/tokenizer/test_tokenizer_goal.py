"""How many pieces are taken, which are left out again, and what the options of a piece do, on the real Mistral."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from small_japanese import japanese
from watari.errors import UserError
from watari.tokenizer.build import Extension, extend_tokenizer
from watari.tokenizer.extend import Choices
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.prune import prune, unreachable, usage
from watari.tokenizer.script import script_of
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text

JA = script_of("ja")
TEXTS = [
    Text(str(number), text, language, "first" if number % 2 else "second")
    for number, (language, text) in enumerate(japanese(160))
]
PLAIN = [text.text for text in TEXTS]


@pytest.fixture(scope="module")
def base() -> SpmBpe:
    opened = open_base("mistral-v1")
    assert isinstance(opened, SpmBpe)
    return opened


def extended(base: SpmBpe, goal: Goal, policy: Policy | None = None, **more: object) -> Extension:
    return extend_tokenizer(base, TEXTS, policy or Policy(JA), goal, **more)  # type: ignore[arg-type]


def per_token(made: Extension) -> float:
    return sum(map(len, PLAIN)) / sum(map(len, made.extended.encode(PLAIN)))


@pytest.mark.parametrize("align", [None, 64])
def test_size_is_what_the_table_comes_to(base: SpmBpe, align: int | None) -> None:
    made = extended(base, Goal(size=32_100, align=align))
    assert len(made.extended) == (32_100 if align is None else 32_128)


def test_a_target_is_met_and_not_overshot(base: SpmBpe) -> None:
    made = extended(base, Goal(characters_per_token=2.0), prune_unused=False)
    count = len(made.graft.pieces)
    assert per_token(made) >= 2.0
    less = extended(base, Goal(add=count - 1), prune_unused=False)
    assert per_token(less) < 2.0


def test_a_bound_on_the_gain_ends_it(base: SpmBpe) -> None:
    characters = sum(map(len, PLAIN))
    bound = 800.0
    made = extended(base, Goal(min_gain=bound), prune_unused=False)
    more = extended(base, Goal(add=len(made.graft.pieces) + 1), prune_unused=False)
    gains = [saved / 1024 / characters * 1e6 for saved in more.graft.saved]
    assert min(gains[:-1]) >= bound > gains[-1]


def test_what_is_met_already_needs_no_piece(base: SpmBpe) -> None:
    with pytest.raises(UserError, match="the goal asks for none"):
        extended(base, Goal(characters_per_token=0.1))


def test_savings_are_the_difference_that_encoding_shows(base: SpmBpe) -> None:
    made = extended(base, Goal(add=150), prune_unused=False)
    before, after = (sum(map(len, encoder.encode(PLAIN))) for encoder in (base, made.extended))
    assert sum(made.graft.saved) == (before - after) * 1024
    assert made.graft.tokens == before
    assert made.graft.characters == sum(map(len, PLAIN))


def test_unused_pieces_give_way_to_the_next_best(base: SpmBpe) -> None:
    pieces = ["猫山", "猫山犬", "犬猫", "山犬", "空の", "色は"]
    texts = ["猫山犬。" * 20, "空の色は"]
    left = prune(base, pieces, 4, texts)
    assert [pieces[place] for place in left.kept] == ["猫山", "猫山犬", "空の", "色は"]
    assert left.left_out == 2
    assert left.counts[len(base) :].tolist() == [0, 20, 1, 1]


def test_leaving_out_costs_no_token(base: SpmBpe) -> None:
    kept, whole = extended(base, Goal(add=400)), extended(base, Goal(add=400), prune_unused=False)
    assert not unreachable(base, kept.graft.pieces)
    assert kept.graft.frequency.count(0) + kept.unused >= whole.graft.frequency.count(0)
    assert per_token(kept) >= per_token(whole)


def test_a_step_that_others_need_stays(base: SpmBpe) -> None:
    # 猫山 is never put out, but 猫山犬 cannot be reached without it.
    pieces = ["猫山", "猫山犬", "犬猫"]
    left = prune(base, pieces, 3, ["猫山犬。" * 20])
    assert [pieces[place] for place in left.kept] == ["猫山", "猫山犬"]
    assert left.left_out == 1
    counts = usage(base.extended(["猫山", "猫山犬"]), ["猫山犬。" * 20])
    assert counts[len(base) :].tolist() == [0, 20]


def test_a_piece_must_occur_in_several_sources(base: SpmBpe) -> None:
    junk = [Text(f"junk {n}", "株式会社宣伝広告" * 5, "ja", "third") for n in range(20)]
    found = {}
    for sources in (1, 2):
        policy = Policy(JA, min_sources=sources)
        graft = extend_tokenizer(base, [*TEXTS, *junk], policy, Goal(add=120)).graft
        found[sources] = any("宣伝" in piece for piece in graft.pieces)
    assert found == {1: True, 2: False}


def test_weights_bring_a_source_forward(base: SpmBpe) -> None:
    rare = [Text("rare", "蝉時雨の降る里。" * 3, "ja", "rare")]

    def rank(weights: dict[str, float] | None) -> int:
        graft = extend_tokenizer(
            base, [*TEXTS, *rare], Policy(JA), Goal(add=300), weights=weights, prune_unused=False
        ).graft
        return graft.pieces.index("蝉") if "蝉" in graft.pieces else 300

    assert rank({"rare": 50.0}) < rank(None)


def test_options_of_a_piece_are_kept(base: SpmBpe) -> None:
    numbered = [Text(f"n{n}", f"昭和{n % 7}年に、3月{n % 9}日。" * 3, "ja", "years") for n in range(90)]

    def pieces(**options: object) -> list[str]:
        policy = Policy(JA, **options)  # type: ignore[arg-type]
        return extend_tokenizer(base, [*TEXTS, *numbered], policy, Goal(add=250)).graft.pieces

    usual = pieces()
    assert not any(c in piece for piece in usual for c in "0123456789")
    assert any("。" in piece and len(piece) > 1 for piece in usual)
    assert any("3月" in piece for piece in pieces(digits=True))
    letters = [piece for piece in pieces(cross_word=False) if any(c.isalpha() for c in piece)]
    assert letters
    assert not any(c in piece for piece in letters for c in "。、「」！…　")
    assert any(any("ぁ" <= c <= "ん" for c in piece) and "山" in piece for piece in usual)
    assert not any(
        any("ぁ" <= c <= "ヶ" for c in piece) and any("一" <= c <= "龠" for c in piece)
        for piece in pieces(mixed_scripts=False)
    )
    assert not any("さん" in piece for piece in pieces(forbidden=("さん",)))
    assert max(map(len, pieces(max_length=3))) == 3


def test_a_language_with_blanks_gets_pieces_that_begin_with_one() -> None:
    base = open_base("mistral-v1")
    words = [
        "고양이가",
        "창문",
        "옆에",
        "앉았다",
        "사과를",
        "세",
        "개",
        "샀습니다",
        "도서관에서",
        "책을",
        "읽는다",
    ]
    texts = [
        Text(str(n), " ".join(words[(n * 7 + k * k) % len(words)] for k in range(30)) + ".", "ko")
        for n in range(60)
    ]
    script = script_of("ko")
    made = extend_tokenizer(base, texts, Policy(script, cross_word=False), Goal(add=64))
    assert any(piece.startswith("▁") and len(piece) > 2 for piece in made.graft.pieces)
    assert not any("▁" in piece[1:] for piece in made.graft.pieces)
    crossing = extend_tokenizer(base, texts, Policy(script, cross_word=True), Goal(add=128))
    assert any("▁" in piece[1:] for piece in crossing.graft.pieces)
    english = ["The cat sat by the window. 42 times, “perhaps”…\n\tdef f(x): return x"] * 2
    for one in (made, crossing):
        assert [ids.tolist() for ids in one.extended.encode(english)] == [
            ids.tolist() for ids in base.encode(english)
        ]


def test_choices_are_checked() -> None:
    assert Choices(language="ja").goal() == Goal(add=11_008, align=64)
    assert Choices(language="ja", min_gain=2.0).goal().add is None
    assert Choices(language="ja").policy().cross_word
    assert not Choices(language="ko").policy().cross_word
    with pytest.raises(ValidationError, match="add and size exclude one another"):
        Choices(language="ja", add=10, size=40_000)
    with pytest.raises(ValidationError, match="not a regular expression"):
        Choices(language="ja", forbid=["("])
    with pytest.raises(ValidationError, match="no language pack"):
        Choices(language="xx")


def test_a_character_stays_for_the_sake_of_a_longer_piece(base: SpmBpe) -> None:
    # sentencepiece joins 鬱 and 竈 whether they are pieces or not; a tokenizer.json needs both.
    pieces = ["鬱", "竈", "鬱竈", "龠"]
    left = prune(base, pieces, 4, ["鬱竈。" * 20])
    assert [pieces[place] for place in left.kept] == ["鬱", "竈", "鬱竈"]
