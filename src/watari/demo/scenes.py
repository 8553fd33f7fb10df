"""Facts about what goes on around people: weather and crowds.

`watari.demo.goods` says what every fact can do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from watari.demo.asks import (
    Ask,
    Pools,
    Wordings,
    moment_answer,
    number_answer,
    opening,
    place_answer,
    word_answer,
)
from watari.demo.words import (
    CITIES,
    COUNTS,
    CROWDS,
    DAYS,
    GROUNDS,
    TIMES,
    WEATHERS,
    Label,
    Moment,
    Noun,
    Place,
)


@dataclass(frozen=True)
class Weather:
    """It was rainy in Paris on Monday morning."""

    weather: Label
    city: Place
    day: Moment
    time: Moment

    kind: ClassVar[str] = "weather"
    slots: ClassVar[tuple[str, ...]] = ("weather", "city")
    checks: ClassVar[tuple[str, ...]] = ("weather",)
    pools: ClassVar[Pools] = {"weather": WEATHERS, "city": CITIES, "day": DAYS, "time": TIMES}

    def _when(self) -> tuple[str, str]:
        return f"{self.day.en} {self.time.word}", f"{self.day.ja}の{self.time.ja}"

    def said(self) -> Wordings:
        """The fact in every wording."""
        en, ja = self._when()
        it = f"it was {self.weather.en} {self.city.en}"
        return Wordings(
            (f"{opening(it)} {en}.", f"{opening(en)}, {it}."),
            (
                f"{self.city.ja}は{ja}、{self.weather.ja}でした。",
                f"{ja}、{self.city.ja}の天気は{self.weather.ja}でした。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        en, ja = self._when()
        if slot == "city":
            question = Wordings(
                (f"Where was it {self.weather.en} {en}?",),
                (f"{ja}、{self.weather.ja}だったのはどこですか。",),
            )
            return Ask(question, place_answer(self.city))
        question = Wordings(
            (f"How was the weather {self.city.en} {en}?",), (f"{ja}、{self.city.ja}の天気はどうでしたか。",)
        )
        answer = word_answer(self.weather.en, self.weather.ja, ja_end="でした。")
        return Ask(question, Wordings((f"It was {self.weather.en}.", *answer.en), answer.ja))

    def check(self, slot: str) -> Wordings:
        """The question whether the weather is as this fact says."""
        return Wordings(
            (f"Was it {self.weather.en} {self.city.en}?",),
            (f"{self.city.ja}の天気は{self.weather.ja}でしたか。",),
        )


@dataclass(frozen=True)
class Crowd:
    """There were seven children in the park on Monday."""

    count: int
    who: Noun
    place: Place
    day: Moment

    kind: ClassVar[str] = "crowd"
    slots: ClassVar[tuple[str, ...]] = ("count", "place", "day")
    checks: ClassVar[tuple[str, ...]] = ("place", "day")
    pools: ClassVar[Pools] = {"count": COUNTS, "who": CROWDS, "place": GROUNDS, "day": DAYS}

    def said(self) -> Wordings:
        """The fact in every wording."""
        w, n = self.who, self.count
        there = f"there {'was' if n == 1 else 'were'} {w.many(n)} {self.place.en}"
        return Wordings(
            (f"{opening(there)} {self.day.en}.", f"{opening(self.day.en)}, {there}."),
            (
                f"{self.place.ja}には{self.day.ja}に{w.ja}が{w.counted(n)}いました。",
                f"{self.day.ja}、{self.place.ja}に{w.ja}が{w.counted(n)}いました。",
            ),
        )

    def ask(self, slot: str) -> Ask:
        """The question after one part."""
        w, n = self.who, self.count
        be = "was" if n == 1 else "were"
        match slot:
            case "count":
                question = Wordings(
                    (f"How many {w.plural} were {self.place.en}?",),
                    (f"{self.place.ja}に{w.ja}は何{w.counter}いましたか。",),
                )
                return Ask(question, number_answer(w, n))
            case "place":
                question = Wordings((f"Where {be} {w.the(n)}?",), (f"{w.ja}はどこにいましたか。",))
                return Ask(question, place_answer(self.place, f"{self.place.ja}にいました"))
            case _:
                question = Wordings(
                    (f"When {be} {w.the(n)} {self.place.en}?",),
                    (f"{w.ja}が{self.place.ja}にいたのはいつですか。",),
                )
                return Ask(question, moment_answer(self.day))

    def check(self, slot: str) -> Wordings:
        """The question whether one part is as this fact says."""
        w, n = self.who, self.count
        be = "Was" if n == 1 else "Were"
        if slot == "place":
            return Wordings(
                (f"{be} {w.the(n)} {self.place.en}?",), (f"{w.ja}は{self.place.ja}にいましたか。",)
            )
        return Wordings(
            (f"{be} {w.the(n)} {self.place.en} {self.day.en}?",),
            (f"{w.ja}は{self.day.ja}に{self.place.ja}にいましたか。",),
        )
