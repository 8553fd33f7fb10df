"""Facts about what somebody does with things: puts, buys, owns, gives away.

A fact says itself in both languages (`said`), asks after one of its parts (`ask`), and asks whether a part is as it
says (`check`; an untrue question comes from the fact with that part changed). Its `pools` name its parts and the words
that each part is drawn from; a sentence always holds every part, so that the parts together decide train or test.
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
)
from watari.demo.words import (
    COLOURS,
    COUNTS,
    DAYS,
    GOODS,
    PEOPLE,
    SHOPS,
    SMALL_GOODS,
    SPOTS,
    THINGS,
    Colour,
    Moment,
    Noun,
    Person,
    Place,
)


@dataclass(frozen=True)
class Put:
    """Ken put three red pens in the kitchen."""

    person: Person
    count: int
    colour: Colour
    thing: Noun
    place: Place

    kind: ClassVar[str] = "put"
    slots: ClassVar[tuple[str, ...]] = ("person", "count", "colour", "thing", "place")
    checks: ClassVar[tuple[str, ...]] = ("colour", "place")
    pools: ClassVar[Pools] = {
        "person": PEOPLE,
        "count": COUNTS,
        "colour": COLOURS,
        "thing": THINGS,
        "place": SPOTS,
    }

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, t, n = self.person, self.thing, self.count
        things, counted = t.many(n, self.colour.en), t.counted(n)
        return Wordings(
            (f"{p.en} put {things} {self.place.en}.", f"{p.en} has put {things} {self.place.en}."),
            (
                f"{p.san}は{self.place.ja}に{self.colour.ja}{t.ja}を{counted}置きました。",
                f"{p.san}は{self.colour.ja}{t.ja}を{counted}、{self.place.ja}に置きました。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, t, n, place = self.person, self.thing, self.count, self.place
        be = "is" if n == 1 else "are"
        these, coloured, counted = t.these(n, self.colour.en), f"{self.colour.ja}{t.ja}", t.counted(n)
        match slot:
            case "person":
                question = Wordings(
                    (f"Who put {t.the(n)} {place.en}?", f"Who put {these} {place.en}?"),
                    (
                        f"{place.ja}に{t.ja}を置いたのは誰ですか。",
                        f"{place.ja}に{coloured}を{counted}置いたのは誰ですか。",
                    ),
                )
                return Ask(question, person_answer(p))
            case "count":
                question = Wordings(
                    (
                        f"How many {t.plural} did {p.en} put {place.en}?",
                        f"How many {self.colour.en} {t.plural} are {place.en}?",
                    ),
                    (
                        f"{p.san}は{place.ja}に{t.ja}を何{t.counter}置きましたか。",
                        f"{place.ja}に{coloured}は何{t.counter}ありますか。",
                    ),
                )
                return Ask(question, number_answer(t, n))
            case "colour":
                question = Wordings(
                    (f"What color {be} {p.en}'s {t.form(n)}?", f"What color {be} {t.these(n)} {place.en}?"),
                    (f"{p.san}の{t.ja}は何色ですか。", f"{place.ja}の{counted}の{t.ja}は何色ですか。"),
                )
                return Ask(question, colour_answer(self.colour, n))
            case "thing":
                question = Wordings(
                    (f"What did {p.en} put {place.en}?",), (f"{p.san}は{place.ja}に何を置きましたか。",)
                )
                full = t.many(n, self.colour.en)
                return Ask(question, thing_answer(t, n, full, opening(full)))
            case _:
                question = Wordings(
                    (f"Where did {p.en} put {these}?", f"Where {be} {p.en}'s {t.form(n)}?"),
                    (
                        f"{p.san}はどこに{coloured}を{counted}置きましたか。",
                        f"{p.san}の{t.ja}はどこにありますか。",
                    ),
                )
                return Ask(question, place_answer(place, f"{place.ja}にあります", f"{place.ja}に置きました"))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        p, t, n = self.person, self.thing, self.count
        if slot == "colour":
            be = "Is" if n == 1 else "Are"
            return Wordings(
                (f"{be} {p.en}'s {t.form(n)} {self.colour.en}?",),
                (f"{p.san}の{t.ja}は{self.colour.predicate}ですか。",),
            )
        return Wordings(
            (f"Did {p.en} put {t.the(n)} {self.place.en}?",),
            (f"{p.san}は{t.ja}を{self.place.ja}に置きましたか。",),
        )


@dataclass(frozen=True)
class Buy:
    """Mary bought three lemons at the market on Monday."""

    person: Person
    count: int
    thing: Noun
    place: Place
    day: Moment

    kind: ClassVar[str] = "buy"
    slots: ClassVar[tuple[str, ...]] = ("person", "count", "thing", "place", "day")
    checks: ClassVar[tuple[str, ...]] = ("place", "day")
    pools: ClassVar[Pools] = {"person": PEOPLE, "count": COUNTS, "thing": GOODS, "place": SHOPS, "day": DAYS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, t, n = self.person, self.thing, self.count
        bought, counted = f"{p.en} bought {t.many(n)} {self.place.en}", t.counted(n)
        return Wordings(
            (f"{bought} {self.day.en}.", f"{opening(self.day.en)}, {bought}."),
            (
                f"{p.san}は{self.day.ja}に{self.place.ja}で{t.ja}を{counted}買いました。",
                f"{self.day.ja}、{p.san}は{self.place.ja}で{t.ja}を{counted}買いました。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, t, n = self.person, self.thing, self.count
        match slot:
            case "person":
                question = Wordings(
                    (f"Who bought {t.the(n)}?", f"Who bought {t.these(n)}?"),
                    (f"{t.ja}を買ったのは誰ですか。", f"{t.ja}を{t.counted(n)}買ったのは誰ですか。"),
                )
                return Ask(question, person_answer(p))
            case "count":
                question = Wordings(
                    (f"How many {t.plural} did {p.en} buy?",),
                    (f"{p.san}は{t.ja}を何{t.counter}買いましたか。",),
                )
                return Ask(question, number_answer(t, n))
            case "thing":
                question = Wordings(
                    (f"What did {p.en} buy {self.place.en}?",),
                    (f"{p.san}は{self.place.ja}で何を買いましたか。",),
                )
                return Ask(question, thing_answer(t, n))
            case "place":
                question = Wordings(
                    (f"Where did {p.en} buy {t.the(n)}?",), (f"{p.san}はどこで{t.ja}を買いましたか。",)
                )
                return Ask(question, place_answer(self.place, f"{self.place.ja}で買いました"))
            case _:
                question = Wordings(
                    (f"When did {p.en} buy {t.the(n)}?", f"When did {p.en} buy {t.these(n)}?"),
                    (
                        f"{p.san}はいつ{t.ja}を買いましたか。",
                        f"{p.san}はいつ{t.ja}を{t.counted(n)}買いましたか。",
                    ),
                )
                return Ask(question, moment_answer(self.day))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        p, t, n = self.person, self.thing, self.count
        if slot == "place":
            return Wordings(
                (f"Did {p.en} buy {t.the(n)} {self.place.en}?",),
                (f"{p.san}は{self.place.ja}で{t.ja}を買いましたか。",),
            )
        return Wordings(
            (f"Did {p.en} buy {t.the(n)} {self.day.en}?",),
            (f"{p.san}は{self.day.ja}に{t.ja}を買いましたか。",),
        )


@dataclass(frozen=True)
class Own:
    """Ken has three apples: what is compared and added up."""

    person: Person
    count: int
    thing: Noun

    kind: ClassVar[str] = "own"
    slots: ClassVar[tuple[str, ...]] = ("count", "thing")
    checks: ClassVar[tuple[str, ...]] = ("thing",)
    pools: ClassVar[Pools] = {"person": PEOPLE, "count": COUNTS, "thing": SMALL_GOODS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        p, t, n = self.person, self.thing, self.count
        return Wordings(
            (f"{p.en} has {t.many(n)}.", f"Right now, {p.en} has {t.many(n)}."),
            (
                f"{p.san}は{t.ja}を{t.counted(n)}持っています。",
                f"今、{p.san}は{t.ja}を{t.counted(n)}持っています。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        p, t, n = self.person, self.thing, self.count
        if slot == "count":
            question = Wordings(
                (f"How many {t.plural} does {p.en} have?",),
                (f"{p.san}は{t.ja}を何{t.counter}持っていますか。",),
            )
            return Ask(question, number_answer(t, n))
        return Ask(
            Wordings((f"What does {p.en} have?",), (f"{p.san}は何を持っていますか。",)), thing_answer(t, n)
        )

    def check(self, slot: str) -> Wordings:
        """The question whether the thing is as this fact says."""
        p, t = self.person, self.thing
        return Wordings((f"Does {p.en} have any {t.plural}?",), (f"{p.san}は{t.ja}を持っていますか。",))


@dataclass(frozen=True)
class Give:
    """Ken had five apples and gave two to Anna: `left` is three."""

    person: Person
    receiver: Person
    thing: Noun
    left: int
    given: int

    kind: ClassVar[str] = "give"
    slots: ClassVar[tuple[str, ...]] = ("receiver", "thing")
    checks: ClassVar[tuple[str, ...]] = ("receiver",)
    pools: ClassVar[Pools] = {
        "person": PEOPLE,
        "receiver": PEOPLE,
        "thing": SMALL_GOODS,
        "left": COUNTS[:6],
        "given": COUNTS[:6],
    }

    @property
    def had(self) -> int:
        """How many there were before."""
        return self.left + self.given

    def said(self) -> Wordings:
        """The fact in every wording; the second is two sentences."""
        p, r, t = self.person, self.receiver, self.thing
        had, given = t.counted(self.had), t.counted(self.given)
        return Wordings(
            (
                f"{p.en} had {t.many(self.had)} and gave {t.many(self.given)} to {r.en}.",
                f"{p.en} had {t.many(self.had)}. {p.en} gave {t.many(self.given)} to {r.en}.",
            ),
            (
                f"{p.san}は{t.ja}を{had}持っていましたが、{r.san}に{given}あげました。",
                f"{p.san}は{t.ja}を{had}持っていました。そのうち{given}を{r.san}にあげました。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part; `left` is the one that must be worked out."""
        p, r, t = self.person, self.receiver, self.thing
        match slot:
            case "left":
                question = Wordings(
                    (f"How many {t.plural} does {p.en} have now?",),
                    (f"{p.san}は今、{t.ja}を何{t.counter}持っていますか。",),
                )
                return Ask(question, number_answer(t, self.left))
            case "receiver":
                things = t.form(self.given) if self.given > 1 else t.the(1)
                question = Wordings(
                    (f"Who did {p.en} give {things} to?",), (f"{p.san}は誰に{t.ja}をあげましたか。",)
                )
                return Ask(question, person_answer(r))
            case _:
                question = Wordings(
                    (f"What did {p.en} give to {r.en}?",), (f"{p.san}は{r.san}に何をあげましたか。",)
                )
                return Ask(question, thing_answer(t, self.given))

    def check(self, slot: str) -> Wordings:
        """The question whether the receiver is as this fact says."""
        p, r, t = self.person, self.receiver, self.thing
        return Wordings(
            (f"Did {p.en} give {t.the(self.given)} to {r.en}?",),
            (f"{p.san}は{r.san}に{t.ja}をあげましたか。",),
        )
