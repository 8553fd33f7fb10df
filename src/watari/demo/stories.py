"""Little stories of a few facts, and questions about them with one right answer.

The groups, from easy to hard: `copy` (the answer stands in the story, and only one sentence is of the asked kind),
`yesno` (is a sentence so; half of the questions are not), `choose` (two people did the same kind of thing and one of
them is asked about), `count` (the answer must be worked out: more, fewer, together, left over).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from watari.demo.asks import Ask, Wordings, number_answer, person_answer, yes_or_no
from watari.demo.draws import Cast, Draw
from watari.demo.facts import Fact, draw_fact, vary
from watari.demo.goods import Buy, Give, Own, Put
from watari.demo.level import FULL, Level
from watari.demo.life import Do, Eat, Job, Keep
from watari.demo.words import COUNTS

_PAIR_KINDS: Final[tuple[type[Fact], ...]] = (Put, Buy, Keep, Eat, Do, Job, Own)
_TRIES: Final = 3  # draws for each question wanted: a small story has fewer questions than may be asked for
_JOINT: Final = {"en": " ", "ja": ""}


@dataclass(frozen=True)
class Story:
    """Facts in the order told, and which wording each is told in."""

    facts: tuple[Fact, ...]
    turns: tuple[int, ...]

    def sentences(self, language: str) -> tuple[str, ...]:
        """The sentences, one a fact."""
        return tuple(
            fact.said().of(language)[turn] for fact, turn in zip(self.facts, self.turns, strict=True)
        )

    def text(self, language: str) -> str:
        """The story as one paragraph."""
        return _JOINT[language].join(self.sentences(language))


@dataclass(frozen=True)
class Query:
    """A question about a story: its group and slot, the answers that are right, and one that is wrong."""

    group: str
    slot: str
    ask: Ask
    wrong: Wordings


@dataclass(frozen=True)
class Passage:
    """A story and questions about it."""

    story: Story
    queries: tuple[Query, ...]


def tell(draw: Draw, facts: list[Fact]) -> Story:
    """The facts in drawn order, each in a drawn wording."""
    order = tuple(draw.shuffled(facts))
    return Story(order, tuple(draw.below(len(fact.said().en)) for fact in order))


def narrate(draw: Draw, split: str, count: int, level: Level = FULL) -> Story:
    """A plain story of `count` facts, of different kinds as far as there are, and of no kind more than twice."""
    cast = level.cast(draw)
    kinds = level.some_kinds(
        draw, min(count, 2 * len(level.kinds))
    )  # more would spend the animals' four colours
    facts: list[Fact] = [draw_fact(cast, kind, split) for kind in kinds]
    return tell(draw, facts)


def passage(
    draw: Draw,
    split: str,
    group: str,
    questions: int = 1,
    true: bool | None = None,
    level: Level = FULL,
) -> Passage:
    """A story made for a group and up to `questions` different questions about it, the first of that group.

    Args:
        draw: the stream of draws.
        split: `train` or `test`: every fact is of this split.
        group: one of the level's `reading` groups.
        questions: how many questions at most; the later ones mix yes-or-no questions in.
        true: for `yesno`, whether the first answer is yes; drawn where None.
        level: the part of the world to tell of.
    """
    cast = level.cast(draw)
    if group == "count":
        return _counting(cast, split, questions, level)
    pair: list[Fact] = []
    if group == "choose":
        kind = draw.pick(_PAIR_KINDS)
        pair = [draw_fact(cast, kind, split)]
        fixed: dict[str, object] = {"thing": pair[0].thing} if isinstance(pair[0], Own) else {}
        pair.append(draw_fact(cast, kind, split, **fixed))
    kinds = [kind for kind in draw.shuffled(level.kinds) if not (pair and kind is type(pair[0]))]
    told = draw.between(0, level.beside) if pair else 1 + level.beside
    others: list[Fact] = [draw_fact(cast, kind, split) for kind in kinds[:told]]
    story = tell(draw, pair + others)
    queries: list[Query] = []
    for _ in range(_TRIES * questions):
        query: Query | None = None
        if group == "yesno" if not queries else "yesno" in level.reading and draw.chance(0.25):
            query = _yesno(cast, pair + others, split, None if queries else true)
            if query is None and not queries:  # nothing untrue of this split can be asked: tell another story
                return passage(draw, split, group, questions, true, level)
        if query is None:
            choose = bool(pair) and (not queries or draw.chance(0.7))
            query = _choose(draw, pair) if choose else _copy(cast, others or pair)
        if query.ask.question not in [known.ask.question for known in queries]:
            queries.append(query)
        if len(queries) == questions:
            break
    return Passage(story, tuple(queries))


def _copy(cast: Cast, facts: list[Fact]) -> Query:
    while True:
        fact = cast.draw.pick(facts)
        slot = cast.draw.pick(fact.slots)
        other = vary(cast, fact, slot)
        if other is not None:
            return Query("copy", slot, fact.ask(slot), other.ask(slot).answer)


def _choose(draw: Draw, pair: list[Fact]) -> Query:
    fact, other = draw.shuffled(pair)
    slot = "count" if isinstance(fact, Own) else draw.pick(fact.slots)
    return Query("choose", slot, fact.ask(slot), other.ask(slot).answer)


def _yesno(cast: Cast, facts: list[Fact], split: str, true: bool | None) -> Query | None:
    answer = cast.draw.chance(0.5) if true is None else true
    for fact, slot in cast.draw.shuffled((told, slot) for told in facts for slot in told.checks):
        other = vary(cast, fact, slot, split)
        if other is not None:  # asked of true questions too, or the slot would give the answer away
            question = (fact if answer else other).check(slot)
            return Query("yesno", slot, Ask(question, yes_or_no(answer)), yes_or_no(not answer))
    return None


def _counting(cast: Cast, split: str, questions: int, level: Level) -> Passage:
    draw = cast.draw
    if draw.chance(0.4):
        gift = draw_fact(cast, Give, split)
        left = Query("count", "left", gift.ask("left"), number_answer(gift.thing, gift.had))
        story = tell(draw, [gift, draw_fact(cast, draw.pick(level.kinds), split)])
        return Passage(story, (left, _copy(cast, [gift]))[:questions])
    one = draw_fact(cast, Own, split)
    two = draw_fact(cast, Own, split, thing=one.thing)
    asked = draw.shuffled(comparisons(one, two))
    return Passage(tell(draw, [one, two]), tuple(asked[:questions]))


def comparisons(one: Own, two: Own) -> list[Query]:
    """Every question about two people who have different numbers of the same thing."""
    return [_more(one, two), _fewer(one, two), *_together(one, two)]


def _more(one: Own, two: Own) -> Query:
    high, low = sorted((one, two), key=lambda own: -own.count)
    thing = one.thing
    question = Wordings(
        (f"Who has more {thing.plural}?",), (f"持っている{thing.ja}が多いのはどちらですか。",)
    )
    return Query("count", "more", Ask(question, person_answer(high.person)), person_answer(low.person))


def _fewer(one: Own, two: Own) -> Query:
    low, high = sorted((one, two), key=lambda own: own.count)
    thing = one.thing
    question = Wordings(
        (f"Who has fewer {thing.plural}?",), (f"持っている{thing.ja}が少ないのはどちらですか。",)
    )
    return Query("count", "fewer", Ask(question, person_answer(low.person)), person_answer(high.person))


def _together(one: Own, two: Own) -> list[Query]:
    total, thing = one.count + two.count, one.thing
    if total not in COUNTS:
        return []
    question = Wordings(
        (f"How many {thing.plural} do {one.person.en} and {two.person.en} have together?",),
        (f"{one.person.san}と{two.person.san}の{thing.ja}は、全部で何{thing.counter}ですか。",),
    )
    answer = number_answer(thing, total)
    return [Query("count", "together", Ask(question, answer), number_answer(thing, one.count))]
