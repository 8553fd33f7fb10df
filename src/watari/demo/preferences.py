"""Pairs of a good and a bad answer, each bad one with a named fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from watari.demo.dialogue import said
from watari.demo.documents import LICENSE, SOURCE, Row, allowed, keys
from watari.demo.draws import Draw
from watari.demo.facts import LANGUAGES
from watari.demo.level import LEVELS
from watari.demo.stories import Query, passage

FAULTS: Final = (("wrong", 5), ("language", 3), ("impolite", 1), ("rambling", 1))
_OTHER: Final = {"en": "ja", "ja": "en"}
_RAMBLING: Final = {
    "en": "Well, that is a good question, and there is a lot that one could say about it. {answer} But one never knows.",
    "ja": "ええと、それはいい質問ですね。いろいろな考え方があります。{answer}でも、はっきりとは言えません。",
}
_IMPOLITE: Final = {
    "en": "{answer} Can't you read it yourself?",
    "ja": "{answer}だよ。自分で読めば分かるだろ。",
}


def _rejected(fault: str, query: Query, language: str) -> str:
    right = query.ask.answer.of(language)
    match fault:
        case "wrong":
            return query.wrong.of(language)[0]
        case "language":
            return query.ask.answer.of(_OTHER[language])[0]
        case "impolite":
            short = right[0] if language == "en" else right[0].removesuffix("。").removesuffix("です")
            return _IMPOLITE[language].format(answer=short)
        case _:
            return _RAMBLING[language].format(answer=right[0])


def preferences(*, seed: int, count: int, language: str, level: str = "full") -> Iterator[dict[str, Any]]:
    """Preferences over answers to reading questions about training facts.

    `meta` holds the `group`, the facts, and the `fault` of the rejected answer: `wrong` (another part of the story, or
    what the story does not say), `language` (right, but in the other language), `impolite`, `rambling`.

    Args:
        seed: the same seed gives the same rows; row i does not depend on `count`.
        count: how many rows.
        language: the language of prompt and chosen answer, `en` or `ja`.
        level: a name in `LEVELS`: how much of the world is told of.

    Yields:
        Rows of the `preferences` schema; `chosen` is the first accepted answer of `questions`, to the letter.

    Raises:
        ValueError: an unknown language or level.
    """
    allowed("language", language, LANGUAGES)
    allowed("level", level, tuple(LEVELS))
    for number in range(1, count + 1):
        draw = Draw(seed, "preferences", language, number)
        group = draw.pick(LEVELS[level].reading)
        part = passage(draw, "train", group, level=LEVELS[level])
        query = part.queries[0]
        fault = draw.weighted(FAULTS)
        if fault == "impolite" and query.slot in ("activity", "weather"):
            fault = (
                "wrong"  # their Japanese answers are verbs and pasts, to which the rude ending does not fit
            )
        if fault == "impolite" and group == "yesno":
            fault = "rambling"
        question = draw.pick(query.ask.question.of(language))
        row: Row = {
            "id": f"demo-pref-{language}-{number:06d}",
            "prompt": [said("user", f"{part.story.text(language)}\n{question}")],
            "chosen": query.ask.answer.of(language)[0],
            "rejected": _rejected(fault, query, language),
            "chosen_by": SOURCE,
            "rejected_by": f"{SOURCE}:{fault}",
            "language": language,
            "source": SOURCE,
            "license": LICENSE,
            "parents": [],
            "meta": json.dumps(
                {"group": group, "fault": fault, "facts": keys(part.story.facts)}, ensure_ascii=False
            ),
        }
        yield row
