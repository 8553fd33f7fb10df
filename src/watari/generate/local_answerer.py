"""A model in this process as one who answers: in rounds, from the ledger where it can."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from watari.artifact.hashing import hash_bytes
from watari.artifact.stage import InputArtifact
from watari.endpoint.request import TRUNCATED, AskFailed
from watari.endpoint.settings import EndpointSampler
from watari.errors import UserError
from watari.generate.answerer import RAISES, Messages, Question, Said

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.generate.local import LocalModel
    from watari.generate.sampler import Sampler

R = TypeVar("R")

MAX_TOKENS = 1024
"""Of an answer where nobody says: Shisa's card has 1000."""


class LocalAnswerer:
    """A model artifact that runs in this process.

    Args:
        asking: Keeps the ledger.
        artifact: The model.
        sampler: Settings laid over the model's own `generation_config.json`.
        rounds: Brings together what is generated together.
        longest: As for endpoints.
        batch: Conversations generated at a time.
        device: torch's name of it, or `auto`.
        completes: Whether texts are asked instead of conversations.

    Raises:
        UserError: for a model without a chat template, or a setting that transformers has not.
    """

    def __init__(
        self,
        asking: Asking,
        artifact: InputArtifact,
        sampler: EndpointSampler,
        rounds: Rounds,
        *,
        longest: int,
        batch: int,
        device: str,
        completes: bool = False,
    ) -> None:
        from watari.generate.local import LocalModel

        self._ledger = asking.ledger
        self._asking_label = asking.params.label
        self._digest = artifact.manifest.digest
        self._folder = artifact.path
        self._rounds = rounds
        self._longest = longest
        self.batch = batch
        self.label = artifact.name
        self.model = f"{artifact.name}@{self._digest[:8]}"
        self._local: LocalModel = LocalModel(artifact.path, device=device)
        if not completes and not self._local.chats:
            raise UserError(
                f"{artifact.name}: no chat template: a base model does not chat", "name a chat model"
            )
        self._sampler = self._laid(sampler)

    def _laid(self, sampler: EndpointSampler) -> Sampler:
        """Return settings laid over the model's own."""
        from watari.generate.sampler import Sampler as Settings

        given = _ours(sampler.body())
        base = Settings(max_new_tokens=MAX_TOKENS).with_generation_config(self._local.generation_settings)
        laid = base.with_settings(**given)
        laid.refuse_for_local()
        return laid

    def with_sampler(self, sampler: EndpointSampler) -> LocalAnswerer:
        """Return the same model, which lies in memory once, asked with other settings.

        Raises:
            UserError: for a setting that transformers has not.
        """
        other = copy.copy(self)
        other._sampler = self._laid(sampler)
        return other

    @property
    def local(self) -> LocalModel:
        """The model itself."""
        return self._local

    @property
    def greedy(self) -> bool:
        """True if the same question always gets the same answer."""
        return self._sampler.greedy

    async def answers(self, questions: Sequence[Question]) -> list[Said | AskFailed]:
        """Ask all in one round; what was cut off again, with twice the limit."""
        tokens = self._sampler.max_new_tokens
        found = await self._round(questions, tokens)
        for _ in range(RAISES):
            cut = [
                place
                for place, said in enumerate(found)
                if isinstance(said, Said) and said.finish_reason == TRUNCATED
            ]
            if not cut or tokens >= self._longest:
                break
            tokens = min(2 * tokens, self._longest)
            again = await self._round([questions[place] for place in cut], tokens)
            for place, said in zip(cut, again, strict=True):
                found[place] = _together(found[place], said)
        return found

    async def _round(self, questions: Sequence[Question], tokens: int) -> list[Said | AskFailed]:
        jobs = [self._job(question, tokens) for question in questions]
        missing = [job for job in jobs if job.said is None]
        if missing:
            await self._rounds.ask(self, missing)
        return [job.said for job in jobs if job.said is not None]

    def _job(self, question: Question, tokens: int) -> Job:
        sampler = self._sampler.with_settings(max_new_tokens=tokens)
        if question.settings:
            sampler = sampler.with_settings(**_ours(question.settings))
            sampler.refuse_for_local()
        body = {
            "model": self._digest,
            **({"messages": question.messages} if question.text is None else {"prompt": question.text}),
            **sampler.model_dump(mode="json"),
            **({} if sampler.greedy else {"seed": question.seed}),
        }
        again = self._ledger.generation(question.unit)
        raw = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        job = Job(
            question,
            sampler,
            raw,
            hash_bytes(orjson.dumps([question.unit, again, body], option=orjson.OPT_SORT_KEYS)),
        )
        recorded = self._ledger.find(job.key)
        if recorded is not None:
            job.said = self._read(recorded.attempt, recorded.response)
            return job
        try:
            encoded = self._local.encode(_asked(question))
        except UserError as error:
            job.said = AskFailed("refused by the template", str(error))
            return job
        if len(encoded.ids) >= self._local.context:
            job.said = AskFailed(
                "context too long", f"{len(encoded.ids):,} tokens of {self._local.context:,}"
            )
        return job

    async def generate(self, jobs: Sequence[Job]) -> None:
        """Generate what `jobs` ask, record it, and put the answers into them."""
        from watari.endpoint.ledger import Attempt

        by_sampler: dict[str, list[Job]] = {}
        for job in sorted(jobs, key=lambda job: job.key):
            by_sampler.setdefault(job.sampler.model_dump_json(), []).append(job)
        for group in by_sampler.values():
            started, clock = time.time(), time.monotonic()
            responses = await asyncio.to_thread(
                self._local.generate,
                [_asked(job.question) for job in group],
                group[0].sampler,
                ids=[job.draws for job in group],
                batch_size=self.batch,
            )
            seconds = (time.monotonic() - clock) / len(group)
            attempts = []
            for job, response in zip(group, responses, strict=True):
                said = {
                    "model": self.model,
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": response.text},
                            "finish_reason": response.finish_reason,
                        }
                    ],
                    "usage": {
                        "prompt_tokens": response.prompt_tokens,
                        "completion_tokens": response.completion_tokens,
                        "total_tokens": response.prompt_tokens + response.completion_tokens,
                    },
                }
                attempts.append(
                    Attempt(
                        key=job.key,
                        unit=job.question.unit,
                        label=self._asking_label,
                        row=job.question.row,
                        rung=job.question.rung,
                        purpose=job.question.purpose,
                        endpoint=self.label,
                        model=self.model,
                        status="answered",
                        http=200,
                        request=job.body,
                        response=orjson.dumps(said),
                        prompt_tokens=response.prompt_tokens,
                        completion_tokens=response.completion_tokens,
                        sent=started,
                        seconds=seconds,
                        finish_reason=response.finish_reason,
                    )
                )
            numbers = await asyncio.gather(*(self._ledger.record(attempt) for attempt in attempts))
            for job, attempt, number in zip(group, attempts, numbers, strict=True):
                job.said = self._read(number, attempt.response)

    def _read(self, number: int, response: bytes) -> Said | AskFailed:
        from watari.endpoint.reading import read_reply

        read = read_reply(response, "chat")
        if read.problem:
            return AskFailed("unreadable answer", read.problem, number)
        usage = read.usage
        choice = read.choices[0]
        return Said(
            choice.text,
            choice.finish_reason,
            read.model or self.model,
            (number,),
            usage.prompt or 0,
            usage.completion or 0,
        )


@dataclass(slots=True)
class Job:
    """One answer that is to be generated; `said` is filled in."""

    question: Question
    sampler: Sampler
    body: bytes
    key: str
    said: Said | AskFailed | None = None

    @property
    def draws(self) -> str:
        """The id that keys its draws."""
        return f"seed {self.question.seed}" if self.question.shared_draws else self.key


def _asked(question: Question) -> str | Messages:
    return question.messages if question.text is None else question.text


def _ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as endpoints name them under our own names."""
    given = dict(settings)
    if "max_tokens" in given:
        given["max_new_tokens"] = given.pop("max_tokens")
    return given


def _together(first: Said | AskFailed, second: Said | AskFailed) -> Said | AskFailed:
    if isinstance(first, AskFailed) or isinstance(second, AskFailed):
        return second
    return Said(
        second.text,
        second.finish_reason,
        second.model,
        first.attempts + second.attempts,
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.cost + second.cost,
    )


class Rounds:
    """Rows that are worked on side by side, and what they wait for from models in this process."""

    def __init__(self) -> None:
        self._live = 0
        self._waiting: list[tuple[LocalAnswerer, Sequence[Job], asyncio.Future[None]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, model: LocalAnswerer, jobs: Sequence[Job]) -> None:
        """Wait until `jobs` are answered: once every row waits for some model, or is done."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((model, jobs, future))
        self._begin_if_all_wait()
        await future

    async def together(self, works: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
        """Do all works side by side; return what they give, in order. Each waits for one model at a time.

        Raises:
            Exception: the first that a work raised, when the others have been given up.
        """
        self._live = len(works)
        tasks = [asyncio.get_running_loop().create_task(self._counted(work)) for work in works]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in (*tasks, *self._running):
                task.cancel()
            await asyncio.gather(*tasks, *self._running, return_exceptions=True)
            self._waiting.clear()

    async def _counted(self, work: Coroutine[Any, Any, R]) -> R:
        try:
            return await work
        finally:
            self._live -= 1
            self._begin_if_all_wait()

    def _begin_if_all_wait(self) -> None:
        if self._waiting and len(self._waiting) == self._live:
            waiting, self._waiting = self._waiting, []
            task = asyncio.get_running_loop().create_task(self._answer(waiting))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(
        self, waiting: Sequence[tuple[LocalAnswerer, Sequence[Job], asyncio.Future[None]]]
    ) -> None:
        by_model: dict[int, tuple[LocalAnswerer, list[Job]]] = {}
        for model, jobs, _ in waiting:
            by_model.setdefault(id(model), (model, []))[1].extend(jobs)
        try:
            for model, asked in sorted(by_model.values(), key=lambda item: item[0].label):
                await model.generate(asked)
        except BaseException as error:
            for _, _, future in waiting:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            return
        for _, _, future in waiting:
            if not future.done():
                future.set_result(None)
