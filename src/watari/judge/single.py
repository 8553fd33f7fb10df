"""One answer, one rating: a judge is asked, what it says is kept, and its rating is read by a fixed rule.

A rating that cannot be read is null with a reason, never a number. A judgment has its identity from its content:
question, turn, answer, judge, prompt and reference. The same judgment is not asked for twice, in whatever run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watari.artifact.hashing import hash_json
from watari.endpoint.request import TRUNCATED, AskFailed, Asks, Request
from watari.endpoint.settings import Endpoint
from watari.errors import UserError
from watari.generate.answerer import Messages

PURPOSE = "judge"
GAVE_UP = "gave up"
"""The code of a request that got no answer in all its attempts: an outage, and no opinion of the judge's."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a rule reads out of a judge's text: a rating, or why there is none, or why it does not count."""

    rating: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge said of one answer.

    Args:
        id: Its identity, from its content.
        rating: None if there is none.
        text: All that the judge said.
        problem: Why there is no rating that counts; "" if there is one.
        model: The judge, as its server names it.
        failed: True if the judge could not be asked (an outage): not its opinion, worth asking again.
        prompt_tokens, completion_tokens, cost: Of this request.
    """

    id: str
    rating: float | None
    text: str = ""
    problem: str = ""
    model: str = ""
    failed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


def judgment_id(
    *,
    question: Sequence[str],
    turn: int,
    answer: Sequence[str],
    judge: str,
    prompt: str,
    reference: Sequence[str],
) -> str:
    """Return the identity of a judgment.

    Args:
        question: What the user said, up to the turn that is rated.
        turn: Which turn is rated, from 1.
        answer: The answers, up to that turn.
        judge: The judge model's name; where it is served does not count.
        prompt: Hash of the judge prompt's words.
        reference: The reference answers that it is shown.
    """
    return hash_json(["judgment", list(question), turn, list(answer), judge, prompt, list(reference)])


class SingleJudge:
    """A judge of one answer.

    Args:
        asking: Who sends, and keeps the ledger.
        endpoint: The judge; must have the chat interface.
        read: The rule that reads its text.
        settings: Fields of the body, as a spec pins them (`temperature`, `max_tokens`); what the endpoint's own sampler
            says goes before them.
        reask: Times that a judge whose rating cannot be read is asked again. Each time is recorded.

    Raises:
        UserError: for an endpoint that only completes texts.
    """

    def __init__(
        self,
        asking: Asks,
        endpoint: Endpoint,
        read: Callable[[str], Read],
        *,
        settings: Mapping[str, Any] | None = None,
        reask: int = 0,
    ) -> None:
        if endpoint.api != "chat":
            raise UserError(
                f"judge {endpoint.label} completes texts and answers no conversations", "set `api: chat`"
            )
        self._asking = asking
        self.endpoint = endpoint
        self._read = read
        self._reask = reask
        own = endpoint.sampler.body()
        self.settings: dict[str, Any] = {**(settings or {}), **own}
        self.label = endpoint.label
        self.model = endpoint.model

    async def rate(self, messages: Messages, *, unit: str, row: str) -> tuple[Opinion, ...]:
        """Return what the judge says of what `messages` show: the last opinion counts, those before could not be read.

        Args:
            messages: The whole prompt.
            unit: `judgment_id`.
            row: For people who look into the ledger.

        Raises:
            UserError, StageFailed, Interrupted: if no request can be answered.
        """
        found: list[Opinion] = []
        for again in range(1 + self._reask):
            found.append(await self._once(messages, unit, row, again))
            if not found[-1].problem or found[-1].failed:
                break
        return tuple(found)

    async def _once(self, messages: Messages, unit: str, row: str, again: int) -> Opinion:
        named = unit if not again else hash_json([unit, again])
        request = Request(
            unit=unit,
            messages=messages,
            row=row,
            rung=again,
            purpose=PURPOSE,
            settings=self.settings,
            again=again,
        )
        try:
            answer = await self._asking.ask(self.endpoint, request)
        except AskFailed as failed:
            return Opinion(named, None, problem=failed.code, failed=failed.code == GAVE_UP)
        read = self._read(answer.text)
        problem = read.reason
        if read.rating is None:
            problem = "cut off" if answer.finish_reason == TRUNCATED else problem or "no rating"
        return Opinion(
            named,
            read.rating,
            answer.text,
            problem,
            answer.model,
            False,
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.cost,
        )
