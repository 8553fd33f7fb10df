"""Documents of the little world: stories and reading passages, in one language or with their translation beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from watari.demo.draws import Draw
from watari.demo.facts import LANGUAGES, SPLITS, Fact, key_of
from watari.demo.level import LEVELS
from watari.demo.stories import Passage, Query, Story, narrate, passage

Row = dict[str, Any]
SOURCE: Final = "watari-demo"
LICENSE: Final = "Apache-2.0"
QUESTION: Final = {"en": "Question: ", "ja": "質問："}
ANSWER: Final = {"en": "Answer:", "ja": "答え："}
_GAP: Final = {"en": " ", "ja": ""}  # between `Answer:` and the answer
TRANSLATE: Final = {"en": "What is this in English?", "ja": "これは日本語で何と言いますか。"}


def allowed(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError, naming the parameter and the choices, unless the value is one of them."""
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}")


def keys(facts: tuple[Fact, ...]) -> list[str]:
    """The facts' combinations, as written into `meta`."""
    return [key_of(fact) for fact in facts]


def asked(question: str, language: str) -> str:
    """`Question: ...` and an open `Answer:`, each on its line."""
    return f"{QUESTION[language]}{question}\n{ANSWER[language]}"


def answered(question: str, answer: str, language: str) -> str:
    """`Question: ...` and `Answer: ...`, each on its line."""
    return f"{asked(question, language)}{_GAP[language]}{answer}"


def query_lines(draw: Draw, query: Query, language: str) -> str:
    """One question in a drawn wording, with its answer."""
    return answered(draw.pick(query.ask.question.of(language)), query.ask.answer.of(language)[0], language)


def reading(draw: Draw, part: Passage, language: str) -> str:
    """The story, then its questions and answers, a line each."""
    return "\n".join(
        [part.story.text(language), *(query_lines(draw, query, language) for query in part.queries)]
    )


def document(number: int, text: str, language: str, split: str, name: str, meta: Row) -> Row:
    """A row of the `documents` schema."""
    return {
        "id": f"demo-{name}-{split}-{number:06d}",
        "text": text,
        "source": SOURCE,
        "language": language,
        "license": LICENSE,
        "url": None,
        "date": None,
        "meta": json.dumps(meta, ensure_ascii=False),
    }


def documents(
    *, seed: int, count: int, language: str, split: str = "train", level: str = "full"
) -> Iterator[Row]:
    """Documents in one language: a quarter short (one passage), the others of three to five.

    Args:
        seed: the same seed gives the same rows; row i does not depend on `count`.
        count: how many rows.
        language: `en` or `ja`.
        split: `train` or `test`; the two never share a fact.
        level: a name in `LEVELS`: how much of the world is told of.

    Yields:
        Rows of the `documents` schema; `meta` holds the facts told.

    Raises:
        ValueError: an unknown language, split or level.
    """
    allowed("language", language, LANGUAGES)
    allowed("split", split, SPLITS)
    allowed("level", level, tuple(LEVELS))
    part_of_world = LEVELS[level]
    for number in range(1, count + 1):
        draw = Draw(seed, "documents", language, split, number)
        texts: list[str] = []
        facts: list[str] = []
        for _ in range(1 if draw.chance(0.25) else draw.between(3, 5)):
            if draw.chance(0.1):
                story = narrate(draw, split, draw.between(3, 6), part_of_world)
                texts.append(story.text(language))
            else:
                group = draw.pick(part_of_world.reading)
                part = passage(draw, split, group, draw.between(3, 6), level=part_of_world)
                story = part.story
                texts.append(reading(draw, part, language))
            facts += keys(story.facts)
        yield document(number, "\n\n".join(texts), language, split, f"doc-{language}", {"facts": facts})


def parallel(*, seed: int, count: int, split: str = "train", level: str = "full") -> Iterator[Row]:
    """Documents in which English and Japanese say the same: story under story, line under line, or as a question.

    Args:
        seed: the same seed gives the same rows; row i does not depend on `count`.
        count: how many rows.
        split: `train` or `test`; the two never share a fact.
        level: a name in `LEVELS`: how much of the world is told of.

    Yields:
        Rows of the `documents` schema with `language` ja; `meta` says `parallel` and holds the facts told.

    Raises:
        ValueError: an unknown split or level.
    """
    allowed("split", split, SPLITS)
    allowed("level", level, tuple(LEVELS))
    for number in range(1, count + 1):
        draw = Draw(seed, "parallel", split, number)
        texts: list[str] = []
        facts: list[str] = []
        for _ in range(draw.between(2, 4)):
            story = narrate(draw, split, draw.between(2, 4), LEVELS[level])
            texts.append(_side_by_side(draw, story))
            facts += keys(story.facts)
        yield document(number, "\n\n".join(texts), "ja", split, "par", {"parallel": True, "facts": facts})


def _side_by_side(draw: Draw, story: Story) -> str:
    first, second = draw.shuffled(LANGUAGES)
    layout = draw.pick(("story", "lines", "question"))
    if layout == "story":
        return f"{story.text(first)}\n{story.text(second)}"
    pairs = zip(story.sentences(first), story.sentences(second), strict=True)
    if layout == "lines":
        return "\n".join(f"{one}\n{two}" for one, two in pairs)
    return "\n".join(f"{one}\n{answered(TRANSLATE[second], two, second)}" for one, two in pairs)
