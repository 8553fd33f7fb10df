"""Which of two answers is better: a judge is asked in both orders, and its verdict is read strictly.

A verdict that cannot be read is null and counted, never guessed. What a judge says when the order is turned is its own
check: an answer that wins in one place and loses in the other has won nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from watari.artifact.hashing import hash_json
from watari.endpoint.request import TRUNCATED, AskFailed, Asks, Request
from watari.endpoint.settings import Endpoint
from watari.generate.answerer import Messages
from watari.judge.wording import BASE, judge_texts
from watari.languages.prompts import language_name

Form = Literal["brackets", "json"]
"""How a judge is asked to give its verdict: `[[A]]` on the last line, or a JSON object."""

PURPOSE = "judge"
MAX_TOKENS = 1024
_BRACKETS = re.compile(r"\[\[\s*([ABC])\s*\]\]")
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.S)


class Winner(StrEnum):
    """What a judge says of two answers, in the places in which it saw them, or after both orders."""

    A = "a"
    B = "b"
    TIE = "tie"

    @property
    def turned(self) -> Winner:
        """The same verdict for the other order."""
        return {Winner.A: Winner.B, Winner.B: Winner.A, Winner.TIE: Winner.TIE}[self]


_LETTERS = {"A": Winner.A, "B": Winner.B, "C": Winner.TIE, "TIE": Winner.TIE}


def read_verdict(text: str, form: Form = "brackets") -> Winner | None:
    """Return what a judge's answer says, or None if it does not say it in the form that was asked for.

    `brackets`: all the verdicts in the text are the same, or the last line is a verdict and nothing else. `json`: the text
    is one JSON object (a fence around it is no harm) whose `verdict` is A, B, C or tie.
    """
    if form == "json":
        fenced = _FENCED.match(text)
        try:
            found = json.loads(fenced[1] if fenced else text)
        except ValueError:
            return None
        verdict = found.get("verdict") if isinstance(found, dict) else None
        return _LETTERS.get(verdict.strip().upper()) if isinstance(verdict, str) else None
    said = _BRACKETS.findall(text)
    if len(set(said)) == 1:
        return _LETTERS[said[0]]
    lines = text.strip().splitlines()
    last = _BRACKETS.fullmatch(lines[-1].strip().strip("*_ ")) if lines else None
    return _LETTERS[last[1]] if last else None


@dataclass(frozen=True, slots=True)
class Reading:
    """One verdict, in one order.

    Args:
        winner: In the places in which the answers were shown; None if it could not be read.
        attempt: Its number in the ledger; None if nothing was recorded.
        problem: Why it could not be read; "" if it could.
        model: The judge, as its server names it.
        prompt_tokens, completion_tokens, cost: Of the request.
    """

    winner: Winner | None
    attempt: int | None = None
    problem: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge says of answers a and b in both orders.

    Args:
        there: With a shown first.
        back: With b shown first; its `winner` is in the places in which they were shown.
    """

    there: Reading
    back: Reading

    @property
    def outcome(self) -> Literal["a", "b", "tie", "inconsistent", "unreadable"]:
        """Who won: a or b if both orders agree, `tie` if both say so, `inconsistent` if the orders differ."""
        if self.there.winner is None or self.back.winner is None:
            return "unreadable"
        if self.there.winner is not self.back.winner.turned:
            return "inconsistent"
        return {Winner.A: "a", Winner.B: "b", Winner.TIE: "tie"}[self.there.winner]  # type: ignore[return-value]

    @property
    def readings(self) -> tuple[Reading, Reading]:
        """Both verdicts."""
        return self.there, self.back

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data: {outcome, orders: [winner where a was first, where b was]}."""
        return {
            "outcome": self.outcome,
            "orders": [None if one.winner is None else one.winner.value for one in self.readings],
        }


class PairwiseJudge:
    """A judge of two answers.

    Args:
        asking: Who sends, and keeps the ledger.
        endpoint: The judge.
        language: Of the answers; the wording's, where there is one.
        form: How the verdict is asked for.
        settings: Fields of the body laid over the endpoint's sampler. Default: temperature 0 and 1024 tokens where the
            endpoint does not say otherwise (FastChat's judge has 0 and 2048).
    """

    def __init__(
        self,
        asking: Asks,
        endpoint: Endpoint,
        language: str,
        *,
        form: Form = "brackets",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self._asking = asking
        self._endpoint = endpoint
        self._texts = judge_texts(language)
        self._language = language
        self._form: Form = form
        own = endpoint.sampler
        self._settings: dict[str, Any] = {}
        if own.temperature is None:
            self._settings["temperature"] = 0.0
        if own.max_tokens is None:
            self._settings["max_tokens"] = MAX_TOKENS
        self._settings |= settings or {}
        self.label = endpoint.label

    @property
    def version(self) -> str:
        """Hash of the words and the form of the verdict."""
        return f"{self._texts.version}-{self._form}"

    async def compare(self, conversation: Messages, a: str, b: str, *, row: str) -> Comparison:
        """Return what the judge says of two answers to `conversation`, asked in both orders at once.

        Raises:
            UserError, StageFailed: if no request can be answered.
        """
        there, back = await asyncio.gather(
            self._ask(conversation, a, b, row), self._ask(conversation, b, a, row)
        )
        return Comparison(there, back)

    def messages(self, conversation: Messages, first: str, second: str) -> Messages:
        """Return what is asked with `first` in place A and `second` in place B."""
        texts = self._texts
        template = texts.request_json if self._form == "json" else texts.request
        shown = "\n\n".join(
            f"[{texts.roles.get(m['role'], m['role'])}]\n{m['content']}" for m in conversation
        )
        filled = {"conversation": shown, "answer_a": first, "answer_b": second}
        # Only what stands in the template is filled in: an answer may hold braces, or a name in braces.
        request = re.sub(
            r"\{(conversation|answer_a|answer_b)\}", lambda match: _quoted(filled[match[1]]), template
        )
        system = texts.system.replace("{language}", self._language_name())
        return [{"role": "system", "content": system}, {"role": "user", "content": request}]

    def _language_name(self) -> str:
        """Return what the answers' language is called in the words' own."""
        from watari.languages import languages, load_language

        if self._language in languages():
            names = load_language(self._language).name
            return names.get(self._texts.language, names.get(BASE, self._language))
        return language_name(self._language)

    async def _ask(self, conversation: Messages, first: str, second: str, row: str) -> Reading:
        messages = self.messages(conversation, first, second)
        request = Request(
            unit=hash_json([PURPOSE, messages]),
            messages=messages,
            row=row,
            purpose=PURPOSE,
            settings=self._settings,
        )
        try:
            answer = await self._asking.ask(self._endpoint, request)
        except AskFailed as failed:
            return Reading(None, failed.attempt, failed.code)
        cut = answer.finish_reason == TRUNCATED
        winner = None if cut else read_verdict(answer.text, self._form)
        return Reading(
            winner,
            answer.attempt,
            "" if winner is not None else ("cut off" if cut else "no verdict"),
            answer.model,
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.cost,
        )


def _quoted(text: str) -> str:
    """Return a text that cannot end the frame it stands in, nor look like a verdict of the judge's own."""
    text = re.sub(r"<(/?)(conversation|answer_a|answer_b)>", r"<\1 \2>", text)
    return _BRACKETS.sub(r"[ [\1] ]", text)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the answers of one prompt came out of a round robin.

    Args:
        points: Of each: 1 a win in both orders, half a point for a tie or for orders that differ (`halve`), else 0.
        comparisons: ((i, j), what was said), i < j, in order.
    """

    points: tuple[float, ...]
    comparisons: tuple[tuple[tuple[int, int], Comparison], ...]


async def round_robin(
    judge: PairwiseJudge, conversation: Messages, answers: Sequence[str], *, row: str, halve: bool
) -> Standing:
    """Return how answers stand when each is compared with each, in both orders.

    Args:
        judge: Who compares.
        conversation: What they answer.
        answers: At least two.
        row: The id of the row.
        halve: A tie or an inconsistent verdict gives each half a point; otherwise it gives none.
    """
    places = [(i, j) for i in range(len(answers)) for j in range(i + 1, len(answers))]
    found = await asyncio.gather(
        *(judge.compare(conversation, answers[i], answers[j], row=row) for i, j in places)
    )
    points = [0.0] * len(answers)
    for (i, j), comparison in zip(places, found, strict=True):
        if comparison.outcome == "a":
            points[i] += 1
        elif comparison.outcome == "b":
            points[j] += 1
        elif halve and comparison.outcome in ("tie", "inconsistent"):
            points[i] += 0.5
            points[j] += 0.5
    return Standing(tuple(points), tuple(zip(places, found, strict=True)))
