"""Whoever answers a conversation: an endpoint, or a model in this process, through one interface.

Both record what they answered in the ledger before anybody looks at it, so an answer is neither paid for nor computed
twice. A model in this process is asked in rounds: rows are worked on side by side, and when every one of them waits for
a model, what they wait for is generated together. What is in a batch then follows from the rows alone, not from time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from watari.artifact.stage import InputArtifact
from watari.endpoint.request import TRUNCATED, Answer, AskFailed, Request, with_more_tokens
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.errors import UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from watari.artifact.stage import Progress
    from watari.endpoint.asking import Asking
    from watari.generate.local_answerer import Rounds

T = TypeVar("T")
R = TypeVar("R")

Messages = list[dict[str, str]]

RAISES = 2
"""Times that the limit of an answer that was cut off is doubled."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be answered.

    Args:
        messages: The conversation, ending with the user.
        unit: The identity of the work, from its content.
        row: The id of the row, for people.
        purpose: A short word for the ledger.
        seed: Of the draws of this answer.
        rung: Which attempt it is, from 0.
        text: A text to be gone on with, in place of the conversation; None: the conversation is asked.
        settings: Sampling settings of this question alone, as endpoints name them (`temperature`, `max_tokens`, `stop`),
            laid over all others.
        shared_draws: True: in this process its draws are those of `seed` alone, so that the same seed draws the same under
            other settings. False: they also depend on what is asked, and under which settings.
    """

    messages: Messages
    unit: str
    row: str
    purpose: str
    seed: int
    rung: int = 0
    text: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared_draws: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One answer.

    Args:
        text: What was said.
        finish_reason: `stop`, `length`, ...
        model: As its server or its artifact names it.
        attempts: The numbers in the ledger of everything that was asked for it.
        prompt_tokens, completion_tokens, cost: Of all of that together.
    """

    text: str
    finish_reason: str
    model: str
    attempts: tuple[int, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Answerer(Protocol):
    """Whoever answers."""

    @property
    def label(self) -> str:
        """What the recipe calls it."""

    @property
    def model(self) -> str:
        """What provenance calls it."""

    async def answers(self, questions: Sequence[Question]) -> list[Said | AskFailed]:
        """Return the answer to each question, in their order; why there is none where one cannot be answered.

        Raises:
            UserError, StageFailed: if no question can be.
        """


class EndpointAnswerer:
    """An endpoint that is asked.

    Args:
        asking: Who sends, and keeps the ledger.
        endpoint: Who is asked.
        sampler: Settings laid over the endpoint's own.
        longest: Tokens to which the limit of an answer that was cut off is raised; it is never asked again unchanged.
        send_seed: Whether a seed is sent.
        completes: Whether texts are asked instead of conversations.

    Raises:
        UserError: for an endpoint whose interface is the other one.
    """

    def __init__(
        self,
        asking: Asking,
        endpoint: Endpoint,
        sampler: EndpointSampler,
        *,
        longest: int,
        send_seed: bool,
        completes: bool = False,
    ) -> None:
        if completes and endpoint.api == "chat":
            raise UserError(
                f"endpoint {endpoint.label} answers conversations: what its template makes of a text is not known",
                "set `api: completions`, or ask in chat style",
            )
        if not completes and endpoint.api != "chat":
            raise UserError(
                f"endpoint {endpoint.label} completes texts and answers no conversations", "set `api: chat`"
            )
        self._asking = asking
        self._endpoint = endpoint
        self._settings = sampler.body()
        self._longest = longest
        self._send_seed = send_seed
        self.label = endpoint.label
        self.model = endpoint.model

    async def answers(self, questions: Sequence[Question]) -> list[Said | AskFailed]:
        """Ask all at once."""
        return list(await asyncio.gather(*(self._answer(question) for question in questions)))

    async def _answer(self, question: Question) -> Said | AskFailed:
        request: Request | None = Request(
            unit=question.unit,
            messages=None if question.text is not None else question.messages,
            prompt=question.text,
            row=question.row,
            rung=question.rung,
            purpose=question.purpose,
            settings={**self._settings, **question.settings},
            seed=question.seed if self._send_seed else None,
        )
        found: list[Answer] = []
        try:
            for _ in range(1 + RAISES):
                if request is None:
                    break
                found.append(await self._asking.ask(self._endpoint, request))
                if found[-1].finish_reason != TRUNCATED:
                    break
                request = with_more_tokens(request, self._endpoint, self._longest)
        except AskFailed as failed:
            return failed
        last = found[-1]
        return Said(
            last.text,
            last.finish_reason,
            last.model,
            tuple(answer.attempt for answer in found),
            sum(answer.prompt_tokens for answer in found),
            sum(answer.completion_tokens for answer in found),
            sum(answer.cost for answer in found),
        )


async def work_rows(
    rows: Iterable[T],
    work: Callable[[T], Coroutine[Any, Any, R]],
    asking: Asking,
    progress: Progress,
    *,
    rounds: Rounds | None,
    chunk: int,
    total: int | None = None,
) -> AsyncIterator[R]:
    """Yield what `work` makes of every row, in order.

    Args:
        rows: Read as they are needed.
        work: Called for each.
        asking: Says how many rows are in work at once where only endpoints are asked.
        progress: Told how many are done, and asked whether to stop.
        rounds: Where models run in this process; None: endpoints alone.
        chunk: Rows side by side then.
        total: How many rows there are.
    """
    from watari.artifact.stage import stop_if_asked
    from watari.endpoint.asking import work_through

    if rounds is None:
        async for done in work_through(rows, work, window=asking.window, progress=progress, total=total):
            yield done
        return
    stream = iter(rows)
    count = 0
    while part := list(islice(stream, chunk)):
        stop_if_asked(progress)
        for result in await rounds.together([work(row) for row in part]):
            yield result
        count += len(part)
        progress.update(count, total, unit="rows")


def seed_of(draw: int) -> int:
    """Return a draw as servers take a seed: 31 bits."""
    return draw >> 33


@dataclass(frozen=True)
class Answering:
    """What `answerer_of` wants of a stage, where its parameters are not that themselves.

    Args:
        sampler: Laid over the endpoint's own settings, or the model's.
        send_seed, batch, device: As `watari.generate.answering_params` says.
        longest_answer: Tokens to which the limit of an answer may be raised; 1: it never is.
    """

    sampler: EndpointSampler
    send_seed: bool
    batch: int
    device: str
    longest_answer: int = 1


def answerer_of(
    model: Any,
    asking: Asking,
    params: Any,
    artifact: InputArtifact | None,
    rounds: Rounds | None,
    sampler: EndpointSampler | None = None,
    *,
    completes: bool = False,
) -> Answerer:
    """Return who answers: the endpoint, or the artifact.

    Args:
        model: An endpoint, or the edge of a stage that makes a model.
        asking: Who sends, and keeps the ledger.
        params: Of the stage: sampler, longest_answer, send_seed, batch, device.
        artifact: The model, where it is one.
        rounds: Brings together what models in this process generate.
        sampler: In place of the parameters'.
        completes: Whether texts are asked, not conversations.

    Raises:
        UserError: if it does not chat, or does nothing else.
    """
    if isinstance(model, Endpoint):
        return EndpointAnswerer(
            asking,
            model,
            sampler or params.sampler,
            longest=params.longest_answer,
            send_seed=params.send_seed,
            completes=completes,
        )
    from watari.generate.local_answerer import LocalAnswerer

    assert artifact is not None  # the graph check has made sure that there is one
    assert rounds is not None
    return LocalAnswerer(
        asking,
        artifact,
        sampler or params.sampler,
        rounds,
        longest=params.longest_answer,
        batch=params.batch,
        device=params.device,
        completes=completes,
    )
