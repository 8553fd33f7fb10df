"""Conversations about the world, interpreted: said in the other language, and its questions answered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations
from typing import Final

from watari.demo.asks import Ask, yes_or_no
from watari.demo.dialogue import TELL
from watari.demo.draws import Cast, Draw
from watari.demo.facts import Fact
from watari.demo.goods import Give, Own
from watari.demo.sentences import facts_told
from watari.demo.smalltalk import SMALL_TALK, SYSTEM
from watari.demo.stories import comparisons
from watari.demo.words import PEOPLE

_JOINT: Final = {"en": " ", "ja": ""}

CHATTER: Final[dict[str, str]] = {
    "Hello.": "こんにちは。",
    "Hello! How can I help you?": "こんにちは！何かお手伝いしましょうか。",
    "Hello! What shall we talk about?": "こんにちは！何についてお話ししましょうか。",
    "Hi!": "やあ、こんにちは！",
    "Hi! How can I help you?": "こんにちは！どのようなお手伝いをしましょうか。",
    "Good morning.": "おはようございます。",
    "Good morning! How can I help you?": "おはようございます！何かお手伝いしましょうか。",
    "Good evening.": "こんばんは。",
    "Good evening! How can I help you?": "こんばんは！何かお手伝いしましょうか。",
    "How are you?": "お元気ですか。",
    "I am fine, thank you.": "元気です。ありがとうございます。",
    "Very well, thank you.": "とても元気です。ありがとうございます。",
    "Thank you.": "ありがとうございます。",
    "You are welcome.": "どういたしまして。",
    "You are welcome! Ask me anything.": "どういたしまして！何でも聞いてください。",
    "That was a great help.": "とても助かりました。",
    "I am glad to hear that.": "それを聞いてうれしいです。",
    "Who are you?": "あなたは誰ですか。",
    "I am Watari, a small assistant.": "私は小さなアシスタントの渡りです。",
    "What is your name?": "お名前は何ですか。",
    "My name is Watari.": "私の名前は渡りです。",
    "What can you do?": "何ができますか。",
    "I can read little stories and answer questions about them.": "短い話を読んで、それについての質問に答えることができます。",
    "Can you speak Japanese?": "日本語は話せますか。",
    "Yes, I can speak a little Japanese.": "はい、日本語を少し話せます。",
    "Good night.": "おやすみなさい。",
    "Good night! Sleep well.": "おやすみなさい！ゆっくり休んでください。",
    "Goodbye.": "さようなら。",
    "Goodbye! See you again.": "さようなら！またお会いしましょう。",
    "I am sorry.": "すみません。",
    "Please do not worry.": "どうぞ気にしないでください。",
    "Tell me more.": "もっと教えてください。",
}
"""Small talk in English and what it is in Japanese: a translation, not what a Japanese would say of themselves."""


class Interpreter:
    """One conversation, message after message: what a question asks and how things are counted hangs on what was told.

    Args:
        source, target: `en` and `ja`, or the other way round.
    """

    def __init__(self, source: str = "en", target: str = "ja") -> None:
        self._source = source
        self._target = target
        self._facts: list[Fact] = []
        self._asked: Ask | None = None

    def translated(self, text: str) -> str | None:
        """Return a message in the target language, or None if it says something that is not of this world."""
        lines = [self._line(line.strip()) if line.strip() else "" for line in text.split("\n")]
        if any(line is None for line in lines):
            return None
        return "\n".join(line for line in lines if line is not None)

    def answered(self, text: str) -> Ask | None:
        """Hear a message in the source language; return the question that it asks last, if it asks one."""
        self._asked = None
        self.translated(text)
        return self._asked

    def _line(self, line: str) -> str | None:
        if (known := phrases(self._source).get(line)) is not None:
            return known
        if self._asked is not None and line in self._asked.answer.of(self._source):
            return self._asked.answer.of(self._target)[0]
        if (question := self._question(line)) is not None:
            return question
        said, stop = [], 0
        for told in facts_told(line, self._source):
            self._facts.append(told.fact)
            said.append(told.fact.said().of(self._target)[told.turn])
            stop = told.stop
        if not said:
            return None
        story = _JOINT[self._target].join(said)
        rest = line[stop:].strip()
        if not rest:
            return story
        more = self._line(rest)
        return None if more is None else f"{story}{_JOINT[self._target]}{more}"

    def _question(self, line: str) -> str | None:
        for ask in self._asks():
            wordings = ask.question.of(self._source)
            if line in wordings:
                self._asked = ask
                # A wording that stands in one language only is the last one of the other.
                there = ask.question.of(self._target)
                return there[min(wordings.index(line), len(there) - 1)]
        return None

    def _asks(self) -> Iterator[Ask]:
        """Yield every question that can be asked of what was told, the latest facts first."""
        for fact in reversed(self._facts):
            for slot in fact.slots:
                yield fact.ask(slot)
            if isinstance(fact, Give):
                yield fact.ask("left")
        owned = [fact for fact in self._facts if isinstance(fact, Own)]
        for one, two in permutations(owned, 2):
            if one.thing == two.thing:
                yield from (query.ask for query in comparisons(one, two))
        for fact in reversed(self._facts):
            for slot in fact.checks:
                for other in _varied(fact, slot):
                    yield Ask(other.check(slot), yes_or_no(other == fact))


def _varied(fact: Fact, slot: str) -> Iterator[Fact]:
    parts = {name: getattr(fact, name) for name in fact.pools}
    for word in fact.pools[slot]:
        yield type(fact)(**{**parts, slot: word})


@cache
def phrases(source: str) -> dict[str, str]:
    """Return what is always said the same way, in one language, with the other: system messages, small talk, requests."""
    pairs = [
        *zip(SYSTEM["en"], SYSTEM["ja"], strict=True),
        *((TELL["en"].format(name=one.en), TELL["ja"].format(name=one.san)) for one in PEOPLE),
        *CHATTER.items(),
    ]
    if source == "en":
        return dict(pairs)
    # Of two English greetings with one Japanese form the first is taken.
    return {ja: en for en, ja in reversed(pairs)}


def small_talk(text: str, language: str, draw: Draw) -> str | None:
    """Return an answer to a greeting and the like, or None."""
    for user, answers in SMALL_TALK[language]:
        if text == user:
            return draw.pick(answers)
    return None


def retold(text: str, language: str) -> list[Fact]:
    """Return the facts that a text's lines tell, in order."""
    return [told.fact for line in text.split("\n") for told in facts_told(line.strip(), language)]


def wrong_answer(ask: Ask, language: str, draw: Draw, facts: list[Fact]) -> str | None:
    """Return an answer to a question that is wrong: of a fact with that part changed."""
    for fact in facts:
        for slot in fact.slots:
            if fact.ask(slot) == ask:
                cast = Cast(draw)
                cast.take(getattr(fact, name) for name in fact.pools)
                parts = {name: getattr(fact, name) for name in fact.pools}
                changed = type(fact)(**{**parts, slot: cast.pick(fact.pools[slot])})
                return changed.ask(slot).answer.of(language)[0]
    return None


__all__ = ["CHATTER", "Interpreter", "phrases", "retold", "small_talk", "wrong_answer"]
