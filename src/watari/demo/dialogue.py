"""Chat about the little world: questions about a story, translations, stories on request, words, and small talk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from watari.demo.documents import LICENSE, SOURCE, TRANSLATE, Row, allowed, keys
from watari.demo.draws import Draw
from watari.demo.facts import LANGUAGES, SPLITS, Fact, draw_fact
from watari.demo.level import FULL, LEVELS, Level
from watari.demo.smalltalk import SMALL_TALK, SYSTEM, WORD_PAIRS
from watari.demo.stories import Story, passage, tell
from watari.demo.words import PEOPLE

Message = dict[str, str]
_OTHER: Final = {"en": "ja", "ja": "en"}
TELL: Final = {"en": "Tell me a short story about {name}.", "ja": "{name}の短い話を聞かせてください。"}
WORD: Final = {"en": "How do you say {word} in English?", "ja": "{word} は日本語で何と言いますか。"}


def said(role: str, content: str) -> Message:
    """One message."""
    return {"role": role, "content": content}


def translation(
    draw: Draw, language: str, split: str, level: Level = FULL
) -> tuple[Fact, str, tuple[str, ...]]:
    """A sentence to translate into `language`.

    Returns:
        The fact; the sentence in the other language; the accepted translations, the closest first.
    """
    fact: Fact = draw_fact(level.cast(draw), draw.pick(level.kinds), split)
    source, target = fact.said().of(_OTHER[language]), fact.said().of(language)
    turn = draw.below(len(source))
    return fact, source[turn], (target[turn], *(other for other in target if other != target[turn]))


def story_about(draw: Draw, language: str, split: str, level: Level = FULL) -> tuple[str, Story]:
    """Somebody's name as asked for, and a story whose every sentence is about them."""
    person = draw.pick(PEOPLE)
    cast = level.cast(draw)
    kinds = [kind for kind in draw.shuffled(level.kinds) if "person" in kind.pools][: draw.between(2, 3)]
    facts: list[Fact] = [draw_fact(cast, kind, split, person=person) for kind in kinds]
    return person.en if language == "en" else person.san, tell(draw, facts)


def _reading(
    draw: Draw, language: str, split: str, group: str, level: Level
) -> tuple[list[Message], tuple[Fact, ...]]:
    part = passage(draw, split, group, 2 if draw.chance(0.3) else 1, level=level)
    messages: list[Message] = []
    for query in part.queries:
        question = draw.pick(query.ask.question.of(language))
        opening = f"{part.story.text(language)}\n" if not messages else ""
        messages += [said("user", opening + question), said("assistant", query.ask.answer.of(language)[0])]
    return messages, part.story.facts


def _messages(
    draw: Draw, language: str, split: str, group: str, level: Level
) -> tuple[list[Message], tuple[Fact, ...]]:
    match group:
        case "translate":
            fact, source, targets = translation(draw, language, split, level)
            return [said("user", f"{source}\n{TRANSLATE[language]}"), said("assistant", targets[0])], (fact,)
        case "tell":
            name, story = story_about(draw, language, split, level)
            asked = TELL[language].format(name=name)
            return [said("user", asked), said("assistant", story.text(language))], story.facts
        case "word":
            pair = draw.pick(WORD_PAIRS)
            source, target = (pair[1], pair[0]) if language == "en" else pair
            ending = "." if language == "en" else "です。"
            asked = WORD[language].format(word=source)
            return [said("user", asked), said("assistant", f"{target}{ending}")], ()
        case "smalltalk":
            turns = [draw.pick(SMALL_TALK[language]) for _ in range(1 if draw.chance(0.7) else 2)]
            messages = [
                message
                for user, answers in dict.fromkeys(turns)
                for message in (said("user", user), said("assistant", draw.pick(answers)))
            ]
            return messages, ()
        case _:
            return _reading(draw, language, split, group, level)


def conversations(
    *, seed: int, count: int, language: str, split: str = "train", level: str = "full"
) -> Iterator[dict[str, Any]]:
    """Conversations in one language; one in eight opens with a system message, three in ten readings ask twice.

    `meta` holds the `group` (`copy`, `choose`, `yesno`, `count`, `translate`, `tell`, `word`, `smalltalk`) and the facts.
    A reading's answer is the first accepted answer of `questions`, to the letter.

    Args:
        seed: the same seed gives the same rows; row i does not depend on `count`.
        count: how many rows.
        language: the language of the answers, `en` or `ja`; a translation's source stands in the other one.
        split: `train` or `test`; the two never share a fact.
        level: a name in `LEVELS`: how much of the world is told of.

    Yields:
        Rows of the `conversations` schema.

    Raises:
        ValueError: an unknown language, split or level.
    """
    allowed("language", language, LANGUAGES)
    allowed("split", split, SPLITS)
    allowed("level", level, tuple(LEVELS))
    for number in range(1, count + 1):
        draw = Draw(seed, "conversations", language, split, number)
        group = draw.weighted(LEVELS[level].talk)
        system = [said("system", draw.pick(SYSTEM[language]))] if draw.chance(1 / 8) else []
        messages, facts = _messages(draw, language, split, group, LEVELS[level])
        row: Row = {
            "id": f"demo-conv-{language}-{split}-{number:06d}",
            "messages": system + messages,
            "language": language,
            "source": SOURCE,
            "license": LICENSE,
            "parents": [],
            "meta": json.dumps({"group": group, "facts": keys(facts)}, ensure_ascii=False),
        }
        yield row
