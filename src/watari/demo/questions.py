"""Questions of the little world with their accepted answers: the demo's examination."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from watari.demo.dialogue import said, translation
from watari.demo.documents import TRANSLATE, Row, allowed, asked, keys
from watari.demo.draws import Draw
from watari.demo.facts import LANGUAGES, SPLITS, Fact
from watari.demo.level import LEVELS
from watari.demo.stories import passage


def questions(
    *, seed: int, count: int, language: str, split: str = "test", level: str = "full"
) -> Iterator[dict[str, Any]]:
    """Questions with one right answer, the level's `examined` groups in turn; every second `yesno` is a no.

    Args:
        seed: the same seed gives the same rows; row i does not depend on `count`.
        count: how many rows.
        language: the language of question and answer; a translation's source stands in the other one.
        split: `test` for facts that no training text holds, or `train`.
        level: a name in `LEVELS`: how much of the world is told of.

    Yields:
        `{id, messages, answers, language, group, completion_prompt, meta}`: one user message; the accepted answers, the one
        that training conversations give first; the same question as a text that ends in an open `Answer:` / `答え：`.

    Raises:
        ValueError: an unknown language, split or level.
    """
    allowed("language", language, LANGUAGES)
    allowed("split", split, SPLITS)
    allowed("level", level, tuple(LEVELS))
    groups = LEVELS[level].examined
    for number in range(1, count + 1):
        draw = Draw(seed, "questions", language, split, number)
        turn, place = divmod(number - 1, len(groups))
        group = groups[place]
        facts: tuple[Fact, ...]
        if group == "translate":
            fact, text, answers = translation(draw, language, split, LEVELS[level])
            question, slot, facts = TRANSLATE[language], "sentence", (fact,)
        else:
            part = passage(draw, split, group, 1, true=turn % 2 == 0, level=LEVELS[level])
            query = part.queries[0]
            text, facts, slot = part.story.text(language), part.story.facts, query.slot
            question = draw.pick(query.ask.question.of(language))
            answers = query.ask.answer.of(language)
        row: Row = {
            "id": f"demo-q-{language}-{split}-{number:06d}",
            "messages": [said("user", f"{text}\n{question}")],
            "answers": list(dict.fromkeys(answers)),
            "language": language,
            "group": group,
            "completion_prompt": f"{text}\n{asked(question, language)}",
            "meta": json.dumps({"slot": slot, "facts": keys(facts)}, ensure_ascii=False),
        }
        yield row
