"""A model behind an endpoint: the same `generate` as a model in this process has.

What is asked goes through `watari.endpoint`, so every answer is on record before it is read, and one that is on record
is not asked again. The server renders the prompt, so `Response.rendered_prompt` holds the messages as they were sent.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.artifact.stage import Progress, Silent
from watari.endpoint.asking import Asking, open_asking, work_through
from watari.endpoint.params import AskingParams
from watari.endpoint.request import Answer, Request
from watari.endpoint.settings import Endpoint
from watari.errors import UserError
from watari.generate.sampler import Sampler
from watari.generate.templates import Message
from watari.generate.writer import Response

__all__ = ["EndpointModel", "Prompt", "Response", "settings_for"]

Prompt = str | Sequence[Message]
"""A text to be completed, or a conversation to be answered."""

T = TypeVar("T")

_OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")
_BEYOND_OPENAI = ("top_k", "min_p", "repetition_penalty")


def settings_for(endpoint: Endpoint, sampler: Sampler) -> dict[str, Any]:
    """Return the fields of a request's body that mean `sampler`.

    Only what differs from "no effect" is sent, so that a server without a setting is not asked for it. What the recipe's
    `sampler:` of the endpoint sets is replaced.

    Raises:
        UserError: for a setting that the endpoint's server is known not to have.
    """
    host = endpoint.base_url.split("://", 1)[1].split("/", 1)[0].split(":")[0]
    if host.endswith(_OPENAI_HOSTS):
        for name in _BEYOND_OPENAI:
            neutral = Sampler.model_fields[name].default
            if getattr(sampler, name) != neutral:
                raise UserError(
                    f"sampler: {name}: endpoint {endpoint.label} ({host}) has no such setting",
                    "leave it out, or ask a server that has it (vLLM, SGLang, llama.cpp)",
                )
        if len(sampler.stop) > 4:
            raise UserError(f"sampler: stop: endpoint {endpoint.label} ({host}) takes 4 texts at most")
    body: dict[str, Any] = {"temperature": sampler.temperature, "max_tokens": sampler.max_new_tokens}
    if endpoint.sampler.top_p is not None or (sampler.top_p != 1 and not sampler.greedy):
        body["top_p"] = sampler.top_p
    for name in (*_BEYOND_OPENAI, "frequency_penalty", "presence_penalty"):
        value = getattr(sampler, name)
        if value != Sampler.model_fields[name].default or getattr(endpoint.sampler, name) is not None:
            body[name] = value
    if sampler.stop:
        body["stop"] = list(sampler.stop)
    return body


class EndpointModel:
    """A model behind an endpoint.

    Args:
        endpoint: Where it is, and what it is called there.
        ledger: Where the answers are recorded: a path, or postgresql://host/base.
        label: Under what name the ledger counts them.
        progress: Of the stage that asks.

    Raises:
        UserError: where the server cannot be asked (a missing key), at the first `generate`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: str | Path,
        *,
        label: str = "generate",
        progress: Progress | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.name = endpoint.label
        self._params = AskingParams(ledger=str(ledger), label=label)
        self._progress = progress or Silent()
        self.spending: dict[str, Any] = {}  # of the last `generate`

    @property
    def chats(self) -> bool:
        """True if it answers conversations; otherwise it only completes text."""
        return self.endpoint.api == "chat"

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampler: Sampler,
        *,
        seed: int = 0,
        ids: Sequence[str] | None = None,
        batch_size: int = 0,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[Response]:
        """Answer every prompt; answers come back in the order of the prompts.

        Args:
            prompts: Conversations for a chat endpoint, texts for one of completions; a text for a chat endpoint is
                refused, since nobody knows what its template makes of it.
            sampler: How tokens are chosen.
            seed: Of all draws: with each prompt's id it makes the `seed` of its request, which is also part of what it is
                found by in the ledger. Whether the server then draws the same again is the server's affair.
            ids: One id a prompt. Default: its hash and how many equal ones came before it.
            batch_size: Prompts in work at once; 0: as many as the endpoint takes.
            on_batch: Called with the number of prompts done, now and then; may raise to stop.

        Raises:
            UserError: before anything is sent, for a setting or a prompt that the server cannot be given.
            AskFailed: if a request could not be answered.
            StageFailed: if the server does not answer at all.
        """
        names = self._names(prompts, ids)
        settings = settings_for(self.endpoint, sampler)
        requests = [
            self._request(prompt, name, sampler, settings, seed)
            for prompt, name in zip(prompts, names, strict=True)
        ]
        return _run(self._generate(requests, batch_size, on_batch))

    async def answers(self, asking: Asking, requests: Sequence[Request]) -> list[Answer]:
        """Ask within an `Asking` that is open already."""

        async def ask(request: Request) -> Answer:
            return await asking.ask(self.endpoint, request)

        return [answer async for answer in work_through(requests, ask, window=asking.window)]

    async def _generate(
        self, requests: list[Request], batch_size: int, on_batch: Callable[[int], None] | None
    ) -> list[Response]:
        responses: list[Response] = []
        async with open_asking(self._params, self._progress) as asking:

            async def ask(request: Request) -> Response:
                return _response(request, await asking.ask(self.endpoint, request))

            step = batch_size or 64
            window = batch_size or (0 if self.endpoint.backend == "online" else 50_000)
            try:
                async for response in work_through(requests, ask, window=window, progress=self._progress):
                    responses.append(response)
                    if on_batch is not None and (
                        len(responses) % step == 0 or len(responses) == len(requests)
                    ):
                        on_batch(len(responses))
            finally:
                self.spending = asking.spending()
        return responses

    def _names(self, prompts: Sequence[Prompt], ids: Sequence[str] | None) -> list[str]:
        for number, prompt in enumerate(prompts):
            if isinstance(prompt, str) == self.chats:
                what = "a text" if self.chats else "a conversation"
                mend = "give messages" if self.chats else "give a text"
                other = "completions" if self.chats else "chat"
                raise UserError(
                    f"prompt {number + 1} is {what}, but endpoint {self.endpoint.label} is asked by `api: "
                    f"{self.endpoint.api}`",
                    f"{mend}, or set `api: {other}`",
                )
            if not prompt:
                raise UserError(f"prompt {number + 1} is empty")
        if ids is None:
            return _default_ids(prompts)
        if len(ids) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts but {len(ids)} ids")
        return list(ids)

    def _request(
        self, prompt: Prompt, name: str, sampler: Sampler, settings: dict[str, Any], seed: int
    ) -> Request:
        text = prompt if isinstance(prompt, str) else None
        return Request(
            unit=hash_json(["generate", name, seed]),
            messages=None if isinstance(prompt, str) else prompt,
            prompt=text,
            row=name,
            purpose="generate",
            settings=settings,
            # Servers take a seed of 32 bits with a sign, some of 64; none is needed where nothing is drawn.
            seed=None if sampler.greedy else draw_uint64(seed, "generate.remote", name) >> 33,
        )


def _response(request: Request, answer: Answer) -> Response:
    choice = answer.choices[0]
    reason: Literal["stop", "length"] = "length" if choice.finish_reason == "length" else "stop"
    return Response(
        text=choice.text,
        finish_reason=reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        rendered_prompt=request.prompt
        if request.prompt is not None
        else json.dumps([dict(message) for message in request.messages or ()], ensure_ascii=False),
    )


def _default_ids(prompts: Sequence[Prompt]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for prompt in prompts:
        content = hash_json(prompt if isinstance(prompt, str) else [dict(message) for message in prompt])
        count = seen.get(content, 0)
        seen[content] = count + 1
        names.append(f"{content}#{count}")
    return names


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, also where an event loop is running already: then in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    result: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=body, name="endpoint model")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
