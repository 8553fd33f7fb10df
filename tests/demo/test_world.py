"""The words and facts: counters, the split rule, and Japanese that holds together."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.demo.draws import Cast, Draw
from watari.demo.facts import KINDS, SPLITS, Fact, draw_fact, key_of, split_of, vary
from watari.demo.goods import Buy, Give, Put
from watari.demo.level import FULL, LEVELS
from watari.demo.stories import narrate, passage
from watari.demo.words import (
    ACTIVITIES,
    ANIMALS,
    COLOURS,
    CROWDS,
    DAYS,
    DRINKS,
    FOODS,
    GOODS,
    GROUNDS,
    MEALS,
    PEOPLE,
    SPOTS,
    THINGS,
    TIMES,
    Colour,
    Noun,
    Person,
    Place,
)

LATIN = re.compile(r"[A-Za-z]")
JAPANESE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
# はは would also be 母, which the world writes お母さん; でで, にに and the like never are right.
DOUBLED = re.compile(
    r"をを|はは|がが|にに|でで|のの|、、|。。|はを|をは|がを|をが|はが|にを|をに|ですです|さんさん"
)


def said_in(fact: Fact, language: str) -> list[str]:
    """Everything that a fact can say or be asked in one language."""
    texts = list(fact.said().of(language))
    for slot in fact.slots:
        texts += fact.ask(slot).question.of(language)
        texts.append(fact.ask(slot).answer.of(language)[0])
    for slot in fact.checks:
        texts += fact.check(slot).of(language)
    return texts


def test_the_world_is_large_enough() -> None:
    assert len(PEOPLE) >= 40
    assert len(GOODS) >= 60
    assert len(SPOTS) + len(GROUNDS) >= 20
    assert len(COLOURS) >= 10
    assert len(ANIMALS) >= 12
    assert len(ACTIVITIES) >= 15
    assert len(DAYS) == 7


@pytest.mark.parametrize(
    "pool", [PEOPLE, GOODS + DRINKS, MEALS, ANIMALS, CROWDS, COLOURS, SPOTS, GROUNDS, ACTIVITIES]
)
def test_words_of_a_pool_differ_in_both_languages(pool: tuple[Person | Noun | Colour | Place, ...]) -> None:
    assert len({word.en for word in pool}) == len(pool)
    assert len({word.ja for word in pool}) == len(pool)


@pytest.mark.parametrize(
    ("word", "counted"),
    [
        ("pen", "三本"),
        ("umbrella", "三本"),
        ("book", "三冊"),
        ("dictionary", "三冊"),
        ("plate", "三枚"),
        ("shirt", "三枚"),
        ("stamp", "三枚"),
        ("box", "三個"),
        ("apple", "三個"),
        ("computer", "三台"),
        ("bicycle", "三台"),
        ("cat", "三匹"),
        ("duck", "三羽"),
        ("horse", "三頭"),
        ("cup of coffee", "三杯"),
        ("glass of water", "三杯"),
        ("child", "三人"),
        ("banana", "三本"),
        ("pizza", "三枚"),
    ],
)
def test_counters(word: str, counted: str) -> None:
    nouns = {noun.en: noun for noun in (*GOODS, *MEALS, *ANIMALS, *CROWDS)}
    assert nouns[word].counted(3) == counted


def test_living_things_are_never_counted_as_things() -> None:
    assert {noun.counter for noun in ANIMALS} == {"匹", "羽", "頭"}
    assert {noun.counter for noun in CROWDS} == {"人"}
    assert {noun.counter for noun in THINGS} <= {"本", "冊", "枚", "個", "台"}
    assert {noun.counter for noun in FOODS} <= {"本", "枚", "個"}
    assert {noun.counter for noun in DRINKS} == {"杯"}


def test_one_fact_in_full() -> None:
    nouns = {noun.en: noun for noun in GOODS}
    people = {person.en: person for person in PEOPLE}
    red = next(colour for colour in COLOURS if colour.en == "red")
    green = next(colour for colour in COLOURS if colour.en == "green")
    kitchen = next(place for place in SPOTS if place.ja == "台所")
    fact = Put(people["Ken"], 3, red, nouns["pen"], kitchen)
    assert fact.said().en[0] == "Ken put three red pens in the kitchen."
    assert fact.said().ja[0] == "ケンさんは台所に赤いペンを三本置きました。"
    assert fact.ask("count").question.ja[1] == "台所に赤いペンは何本ありますか。"
    assert fact.ask("count").answer.ja[0] == "三本です。"
    assert "3本" in fact.ask("count").answer.ja
    one = Put(people["Ken"], 1, green, nouns["pen"], kitchen)
    assert one.said().en[0] == "Ken put one green pen in the kitchen."
    assert one.check("colour").ja == ("ケンさんのペンは緑ですか。",)
    assert one.check("colour").en == ("Is Ken's pen green?",)
    market = next(place for place in Buy.pools["place"] if isinstance(place, Place) and place.ja == "市場")
    bought = Buy(people["Anna"], 2, nouns["lemon"], market, DAYS[0])
    assert bought.said().ja[0] == "アンナさんは月曜日に市場でレモンを二個買いました。"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_kind_speaks_clean_english_and_japanese(kind: type[Fact], split: str) -> None:
    for seed in range(150):
        fact = draw_fact(Cast(Draw("words", kind.kind, seed)), kind, split)
        assert split_of(fact) == split
        assert len(fact.said().en) == len(fact.said().ja) >= 2
        for text in said_in(fact, "en"):
            assert not JAPANESE.search(text)
            assert text[0].isupper()
            assert text[-1] in ".?"
            assert "  " not in text
            assert not re.search(r"\b(\w+) \1\b|\ba [aeiou]|\ban [^aeiou]", text)
        for text in said_in(fact, "ja"):
            assert not LATIN.search(text)
            assert not DOUBLED.search(text)
            assert text.endswith("。")
            assert " " not in text


def test_the_split_looks_at_the_whole_combination() -> None:
    keys = {"train": set[str](), "test": set[str]()}
    for kind in KINDS:
        for seed in range(200):
            draw = Draw("split", kind.kind, seed)
            fact = kind(**{slot: draw.pick(pool) for slot, pool in kind.pools.items()})
            assert len(key_of(fact).split("|")) == 1 + len(fields(fact)) == 1 + len(kind.pools)
            keys[split_of(fact)].add(key_of(fact))
    assert not keys["train"] & keys["test"]
    assert 0.15 < len(keys["test"]) / (len(keys["test"]) + len(keys["train"])) < 0.25


def test_gifts_add_up() -> None:
    for seed in range(50):
        gift = draw_fact(Cast(Draw("gift", seed)), Give, "train")
        assert gift.had == gift.left + gift.given <= 12
        assert gift.person != gift.receiver


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), group=st.sampled_from(FULL.reading), split=st.sampled_from(SPLITS))
def test_a_story_never_says_a_word_twice_and_stays_in_its_split(seed: int, group: str, split: str) -> None:
    part = passage(Draw(seed), split, group, 3)
    assert 1 <= len(part.story.facts) <= 4
    assert {split_of(fact) for fact in part.story.facts} == {split}
    people = [fact.person for fact in part.story.facts if not isinstance(fact, (KINDS[8], KINDS[9]))]  # type: ignore[union-attr]
    assert len(set(people)) == len(people)
    for query in part.queries:
        assert query.group in FULL.reading
        assert set(query.ask.answer.en).isdisjoint(query.wrong.en[:1])
        assert set(query.ask.answer.ja).isdisjoint(query.wrong.ja[:1])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 8), split=st.sampled_from(SPLITS))
def test_the_easy_level_never_runs_out_of_words(seed: int, count: int, split: str) -> None:
    story = narrate(Draw(seed), split, count, LEVELS["easy"])
    assert 1 <= len(story.facts) <= 4
    assert {fact.kind for fact in story.facts} <= {kind.kind for kind in LEVELS["easy"].kinds}
    for group in LEVELS["easy"].reading:
        assert passage(Draw(seed), split, group, 4, level=LEVELS["easy"]).queries


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 8))
def test_narration_tells_different_kinds(seed: int, count: int) -> None:
    story = narrate(Draw(seed), "train", count)
    assert len({fact.kind for fact in story.facts}) == count
    assert len(story.sentences("ja")) == len(story.sentences("en")) == count


def test_a_changed_fact_differs_in_one_part_only() -> None:
    cast = Cast(Draw("vary"))
    fact = draw_fact(cast, Put, "train")
    other = vary(cast, fact, "colour", "train")
    assert other is not None
    assert other.colour != fact.colour
    assert (other.person, other.count, other.thing, other.place) == (
        fact.person,
        fact.count,
        fact.thing,
        fact.place,
    )
    assert vary(Cast(Draw("none"), TIMES), draw_fact(Cast(Draw("e")), KINDS[5], "train"), "time") is None


def test_a_spent_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="every word"):
        Cast(Draw("spent"), TIMES).pick(TIMES)
