"""Facts about how people live: their animals, their meals, what they did, their families' work.

`watari.demo.goods` says what every fact can do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from watari.demo.asks import (
    Ask,
    Pools,
    Wordings,
    colour_answer,
    moment_answer,
    number_answer,
    opening,
    person_answer,
    place_answer,
    thing_answer,
    word_answer,
)
from watari.demo.words import (
    ACTIVITIES,
    ANIMALS,
    COATS,
    COUNTS,
    DAYS,
    GROUNDS,
    JOBS,
    MEALS,
    PEOPLE,
    RELATIONS,
    TIMES,
    Activity,
    Colour,
    Food,
    Label,
    Moment,
    Noun,
    Person,
    Place,
)


@dataclass(frozen=True)
class Keep:
    """Anna has two black cats."""

    person: Person
    count: int
    colour: Colour
    animal: Noun

    kind: ClassVar[str] = "keep"
    slots: ClassVar[tuple[str, ...]] = ("person", "count", "colour", "animal")
    checks: ClassVar[tuple[str, ...]] = ("colour", "animal")
    pools: ClassVar[Pools] = {"person": PEOPLE, "count": COUNTS, "colour": COATS, "animal": ANIMALS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, a, n = self.person, self.animal, self.count
        animals, counted = a.many(n, self.colour.en), a.counted(n)
        return Wordings(
            (f"{p.en} has {animals}.", f"{p.en} keeps {animals} at home."),
            (
                f"{p.san}は{self.colour.ja}{a.ja}を{counted}飼っています。",
                f"{p.san}は家で{self.colour.ja}{a.ja}を{counted}飼っています。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, a, n = self.person, self.animal, self.count
        coloured = f"{self.colour.ja}{a.ja}"
        match slot:
            case "person":
                question = Wordings(
                    (f"Who has {a.the(n)}?", f"Who has {a.many(n, self.colour.en)}?"),
                    (
                        f"{a.ja}を飼っているのは誰ですか。",
                        f"{coloured}を{a.counted(n)}飼っているのは誰ですか。",
                    ),
                )
                return Ask(question, person_answer(p))
            case "count":
                question = Wordings(
                    (
                        f"How many {a.plural} does {p.en} have?",
                        f"How many {self.colour.en} {a.plural} does {p.en} have?",
                    ),
                    (
                        f"{p.san}は{a.ja}を何{a.counter}飼っていますか。",
                        f"{p.san}は{coloured}を何{a.counter}飼っていますか。",
                    ),
                )
                return Ask(question, number_answer(a, n))
            case "colour":
                be = "is" if n == 1 else "are"
                question = Wordings(
                    (
                        f"What color {be} {p.en}'s {a.form(n)}?",
                        f"What color {be} {p.en}'s {a.many(n) if n > 1 else a.en}?",
                    ),
                    (
                        f"{p.san}の{a.ja}は何色ですか。",
                        f"{p.san}の{a.counted(n) + 'の' if n > 1 else ''}{a.ja}は何色ですか。",
                    ),
                )
                return Ask(question, colour_answer(self.colour, n))
            case _:
                question = Wordings((f"What animals does {p.en} have?",), (f"{p.san}は何を飼っていますか。",))
                full = a.many(n, self.colour.en)
                return Ask(question, thing_answer(a, n, full, opening(full)))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        p, a, n = self.person, self.animal, self.count
        if slot == "colour":
            be = "Is" if n == 1 else "Are"
            return Wordings(
                (f"{be} {p.en}'s {a.form(n)} {self.colour.en}?",),
                (f"{p.san}の{a.ja}は{self.colour.predicate}ですか。",),
            )
        return Wordings((f"Does {p.en} have any {a.plural}?",), (f"{p.san}は{a.ja}を飼っていますか。",))


@dataclass(frozen=True)
class Eat:
    """Tom ate three eggs in the morning; also what is drunk."""

    person: Person
    count: int
    food: Food
    time: Moment

    kind: ClassVar[str] = "eat"
    slots: ClassVar[tuple[str, ...]] = ("person", "count", "food", "time")
    checks: ClassVar[tuple[str, ...]] = ("food", "time")
    pools: ClassVar[Pools] = {"person": PEOPLE, "count": COUNTS, "food": MEALS, "time": TIMES}

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, f, n = self.person, self.food, self.count
        ate, counted = f"{p.en} {f.past} {f.many(n)}", f.counted(n)
        return Wordings(
            (f"{ate} {self.time.en}.", f"{opening(self.time.en)}, {ate}."),
            (
                f"{p.san}は{self.time.ja}、{f.ja}を{counted}{f.ja_past}。",
                f"{self.time.ja}、{p.san}は{f.ja}を{counted}{f.ja_past}。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, f, n = self.person, self.food, self.count
        match slot:
            case "person":
                question = Wordings(
                    (f"Who {f.past} {f.the(n)}?", f"Who {f.past} {f.these(n)}?"),
                    (
                        f"{f.ja}を{f.ja_plain}のは誰ですか。",
                        f"{f.ja}を{f.counted(n)}{f.ja_plain}のは誰ですか。",
                    ),
                )
                return Ask(question, person_answer(p))
            case "count":
                question = Wordings(
                    (f"How many {f.plural} did {p.en} {f.base}?",),
                    (f"{p.san}は{f.ja}を何{f.counter}{f.ja_past}か。",),
                )
                return Ask(question, number_answer(f, n))
            case "food":
                question = Wordings(
                    (f"What did {p.en} {f.base} {self.time.en}?",),
                    (f"{p.san}は{self.time.ja}、何を{f.ja_past}か。",),
                )
                return Ask(question, thing_answer(f, n))
            case _:
                question = Wordings(
                    (f"When did {p.en} {f.base} {f.the(n)}?", f"When did {p.en} {f.base} {f.these(n)}?"),
                    (
                        f"{p.san}はいつ{f.ja}を{f.ja_past}か。",
                        f"{p.san}はいつ{f.ja}を{f.counted(n)}{f.ja_past}か。",
                    ),
                )
                return Ask(question, moment_answer(self.time))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        p, f, n = self.person, self.food, self.count
        if slot == "food":
            return Wordings(
                (f"Did {p.en} {f.base} any {f.topic or f.plural}?",), (f"{p.san}は{f.ja}を{f.ja_past}か。",)
            )
        return Wordings(
            (f"Did {p.en} {f.base} {f.the(n)} {self.time.en}?",),
            (f"{p.san}は{self.time.ja}、{f.ja}を{f.ja_past}か。",),
        )


@dataclass(frozen=True)
class Do:
    """Sarah sang in the park on Friday."""

    person: Person
    activity: Activity
    place: Place
    day: Moment

    kind: ClassVar[str] = "do"
    slots: ClassVar[tuple[str, ...]] = ("person", "activity", "place", "day")
    checks: ClassVar[tuple[str, ...]] = ("place", "day")
    pools: ClassVar[Pools] = {"person": PEOPLE, "activity": ACTIVITIES, "place": GROUNDS, "day": DAYS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, a = self.person, self.activity
        did = f"{p.en} {a.en} {self.place.en}"
        return Wordings(
            (f"{did} {self.day.en}.", f"{opening(self.day.en)}, {did}."),
            (
                f"{p.san}は{self.day.ja}に{self.place.ja}で{a.ja}。",
                f"{self.day.ja}、{p.san}は{self.place.ja}で{a.ja}。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, a, place, day = self.person, self.activity, self.place, self.day
        match slot:
            case "person":
                question = Wordings((f"Who {a.en} {place.en}?",), (f"{place.ja}で{a.plain}のは誰ですか。",))
                return Ask(question, person_answer(p))
            case "activity":
                question = Wordings(
                    (f"What did {p.en} do {day.en}?",), (f"{p.san}は{day.ja}に何をしましたか。",)
                )
                english = (f"{p.en} {a.en}.", a.en, opening(a.en), f"{p.en} {a.en} {place.en}")
                japanese = (
                    f"{a.ja}。",
                    f"{p.san}は{a.ja}",
                    f"{place.ja}で{a.ja}",
                    f"{p.san}は{place.ja}で{a.ja}",
                )
                return Ask(question, Wordings(english, japanese))
            case "place":
                question = Wordings((f"Where did {p.en} {a.base}?",), (f"{p.san}はどこで{a.ja}か。",))
                return Ask(question, place_answer(place))
            case _:
                question = Wordings((f"When did {p.en} {a.base}?",), (f"{p.san}はいつ{a.ja}か。",))
                return Ask(question, moment_answer(day))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        p, a = self.person, self.activity
        if slot == "place":
            return Wordings(
                (f"Did {p.en} {a.base} {self.place.en}?",), (f"{p.san}は{self.place.ja}で{a.ja}か。",)
            )
        return Wordings((f"Did {p.en} {a.base} {self.day.en}?",), (f"{p.san}は{self.day.ja}に{a.ja}か。",))


@dataclass(frozen=True)
class Job:
    """Ken's mother is a doctor."""

    person: Person
    relation: Label
    job: Label

    kind: ClassVar[str] = "job"
    slots: ClassVar[tuple[str, ...]] = ("person", "job")
    checks: ClassVar[tuple[str, ...]] = ("job",)
    pools: ClassVar[Pools] = {"person": PEOPLE, "relation": RELATIONS, "job": JOBS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        en, ja = f"{self.person.en}'s {self.relation.en}", f"{self.person.san}の{self.relation.ja}"
        return Wordings(
            (f"{en} is {self.job.a}.", f"{en} works as {self.job.a}."),
            (f"{ja}は{self.job.ja}です。", f"{ja}の仕事は{self.job.ja}です。"),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        en, ja = f"{self.person.en}'s {self.relation.en}", f"{self.person.san}の{self.relation.ja}"
        if slot == "person":
            question = Wordings((f"Who is {self.job.a}?",), (f"{self.job.ja}は誰ですか。",))
            return Ask(question, word_answer(en, ja))
        question = Wordings((f"What is the job of {en}?",), (f"{ja}の仕事は何ですか。",))
        answer = word_answer(self.job.a, self.job.ja)
        return Ask(question, Wordings((*answer.en, self.job.en, opening(self.job.en)), answer.ja))

    def check(self, slot: str) -> Wordings:
        """The question whether the job is as this fact says."""
        en, ja = f"{self.person.en}'s {self.relation.en}", f"{self.person.san}の{self.relation.ja}"
        return Wordings((f"Is {en} {self.job.a}?",), (f"{ja}は{self.job.ja}ですか。",))
