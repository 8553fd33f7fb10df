"""Questions about one fact, in both languages, with every answer that counts as right."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from watari.demo.words import Colour, Moment, Noun, Person, Place, article, number_en, number_ja

Pools = Mapping[str, Sequence[Hashable]]


def opening(phrase: str) -> str:
    """The phrase with its first letter raised: `On Monday`."""
    return phrase[0].upper() + phrase[1:]


@dataclass(frozen=True)
class Wordings:
    """Ways to say one thing. A fact's own wordings are aligned: wording i is the same turn of phrase in both languages."""

    en: tuple[str, ...]
    ja: tuple[str, ...]

    def of(self, language: str) -> tuple[str, ...]:
        """The wordings in one language.

        Raises:
            ValueError: the language is neither `en` nor `ja`.
        """
        if language not in ("en", "ja"):
            raise ValueError(f"language {language!r} is not one of en, ja")
        return self.en if language == "en" else self.ja


@dataclass(frozen=True)
class Ask:
    """A question in several wordings and its accepted answers, of which the first is the one that training shows."""

    question: Wordings
    answer: Wordings


def number_answer(noun: Noun, count: int) -> Wordings:
    """`Exactly three.` / `三本です。` The number stands in the answer as in the story, not as `Three`."""
    word, counted = number_en(count), noun.counted(count)
    many, digits = noun.many(count), f"{count}{noun.counter}"
    return Wordings(
        (f"Exactly {word}.", word, opening(word), str(count), many, opening(many)),
        (f"{counted}です。", counted, f"{digits}です", digits, number_ja(count), str(count)),
    )


def thing_answer(noun: Noun, count: int, *fuller: str) -> Wordings:
    """`Some pens.` / `ペンです。`; `fuller` are longer English forms that are right as well."""
    bare, many = noun.topic or noun.form(count), noun.many(count)
    some = f"{'some' if count > 1 or noun.topic else article(bare)} {bare}"
    english = (f"{opening(some)}.", some, bare, opening(bare), many, opening(many), noun.the(count), *fuller)
    return Wordings(english, (f"{noun.ja}です。", noun.ja))


def person_answer(person: Person) -> Wordings:
    """`Ken.` / `ケンさんです。`"""
    return Wordings(
        (f"{person.en}.", person.en), (f"{person.san}です。", person.san, person.ja, f"{person.ja}です")
    )


def place_answer(place: Place, *fuller: str) -> Wordings:
    """`In the kitchen.` / `台所です。`; `fuller` are longer Japanese forms that are right as well."""
    bare = place.en.split(" ", 1)[1]
    english = (f"{opening(place.en)}.", place.en, bare, bare.removeprefix("the "))
    return Wordings(english, (f"{place.ja}です。", place.ja, *fuller))


def moment_answer(moment: Moment) -> Wordings:
    """`On Monday.` / `月曜日です。`"""
    return Wordings((f"{opening(moment.en)}.", moment.en, moment.word), (f"{moment.ja}です。", moment.ja))


def colour_answer(colour: Colour, count: int) -> Wordings:
    """`They are red.` / `赤です。`"""
    en = colour.en
    english = (
        f"{'It is' if count == 1 else 'They are'} {en}.",
        f"It is {en}",
        f"They are {en}",
        en,
        opening(en),
    )
    return Wordings(english, (f"{colour.noun}です。", colour.noun, f"{colour.predicate}です"))


def word_answer(en: str, ja: str, *, ja_end: str = "です。") -> Wordings:
    """`A doctor.` / `医者です。`; `ja_end` is the Japanese ending that the question calls for."""
    english = (f"{opening(en)}.", en)
    return Wordings(english, (f"{ja}{ja_end}", ja, f"{ja}です"))


def yes_or_no(true: bool) -> Wordings:
    """`Yes.` / `はい。` or `No.` / `いいえ。`"""
    if true:
        return Wordings(("Yes.", "yes"), ("はい。", "はい、そうです"))
    return Wordings(("No.", "no"), ("いいえ。", "いいえ、違います"))
