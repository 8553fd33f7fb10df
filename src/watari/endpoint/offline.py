"""vLLM in this process as a backend: requests are gathered, answered in chunks, and each chunk is recorded when it is done.

    endpoints: {local: {base_url: http://localhost/v1, model: /models/x, backend: vllm, extra_body: {engine: {dtype: bfloat16}}}}

`base_url` is not used. `extra_body.engine` holds arguments of `vllm.LLM`; `limits.concurrency` is its `max_num_seqs`.
A kill -9 costs the chunk that is being answered, and time only. vLLM is loaded with the first request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from watari.endpoint.budget import Hold, Purse, check_budget, worst_case
from watari.endpoint.ledger.records import ANSWERED, Attempt, Recorded
from watari.endpoint.params import AskingParams
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, UserError, WatariError

if TYPE_CHECKING:
    from watari.endpoint.ledger import Ledger

CHUNK = 512
"""Requests handed to vLLM at once: enough to fill a card, and what a kill -9 may cost."""

_QUIET = 0.2
"""Seconds without a new request after which a chunk begins."""

_ENGINE = "engine"
_SAMPLING = frozenset(
    ("n", "presence_penalty", "frequency_penalty", "repetition_penalty", "temperature", "top_p", "top_k", "min_p", "seed",
     "stop", "stop_token_ids", "min_tokens", "ignore_eos", "skip_special_tokens", "bad_words", "logit_bias")
)  # fmt: skip
_OTHER = frozenset(
    ("model", "messages", "prompt", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
     "chat_template_kwargs", _ENGINE)
)  # fmt: skip


@dataclass
class _Asked:
    endpoint: Endpoint
    request: Request
    body: dict[str, Any]
    key: str
    hold: Hold
    future: asyncio.Future[Recorded]


@dataclass(frozen=True)
class _Result:
    """An answer in the OpenAI form, or why there is none."""

    response: bytes
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = ""
    problem: str = ""


class OfflineBackend:
    """The backend for vLLM in this process.

    Args:
        ledger: Where everything is recorded.
        params: Budgets and label.
        servers: Not used.
    """

    def __init__(self, ledger: Ledger, params: AskingParams, servers: ExitStack) -> None:
        self._ledger = ledger
        self._params = params
        self._purse = Purse(ledger, params.label, params.budget, params.run_budget)
        self._gathering: list[_Asked] = []
        self._came = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        # vLLM is loaded and asked in one thread, always the same.
        self._thread = ThreadPoolExecutor(1, "vllm")
        self._models: dict[str, Any] = {}
        self._counts: dict[str, dict[str, Any]] = {}
        self._over: WatariError | None = None

    async def send(
        self, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> Recorded:
        """See `Backend.send`."""
        check_budget(endpoint, body, (self._params.budget, self._params.run_budget))
        check_fields(endpoint, body)
        hold = await self._purse.hold(worst_case(endpoint, body))
        if self._over is not None:
            hold.release()
            raise self._over
        future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._gathering.append(_Asked(endpoint, request, body, key, hold, future))
        self._came.set()
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._chunks())
        return await future

    def spending(self) -> dict[str, dict[str, Any]]:
        """See `Backend.spending`."""
        return {label: dict(counts) for label, counts in self._counts.items()}

    def close(self, error: WatariError) -> None:
        """See `Backend.close`. The chunk in work is answered and recorded."""
        if self._over is None:
            self._over = error
            self._came.set()
            for asked in self._gathering:
                _refuse(asked, error)
            self._gathering.clear()

    async def end(self) -> None:
        """See `Backend.end`."""
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)
        self._thread.shutdown(wait=True)
        self._models.clear()
        await self._purse.close()

    async def _chunks(self) -> None:
        while self._gathering:
            while len(self._gathering) < CHUNK and self._over is None:
                self._came.clear()
                try:
                    await asyncio.wait_for(self._came.wait(), _QUIET)
                except TimeoutError:
                    break
            chunk, rest = _chunk(self._gathering)
            self._gathering = rest
            if not chunk:
                return
            try:
                await self._answered(chunk)
            except BaseException as error:
                for asked in chunk:
                    _refuse(asked, error)
                if isinstance(error, WatariError):
                    self.close(error)
                    return
                raise

    async def _answered(self, chunk: list[_Asked]) -> None:
        endpoint = chunk[0].endpoint
        sent, started = time.time(), time.perf_counter()
        bodies = [asked.body for asked in chunk]
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._thread, self._generate, endpoint, bodies)
        seconds = time.perf_counter() - started
        attempts = [
            _attempt(self._params.label, asked, result, sent, seconds / len(chunk))
            for asked, result in zip(chunk, results, strict=True)
        ]
        numbers = await asyncio.gather(*(self._ledger.record(attempt) for attempt in attempts))
        for asked, result, attempt, number in zip(chunk, results, attempts, numbers, strict=True):
            asked.hold.settle()
            self._count(endpoint, attempt)
            if asked.future.done():
                continue
            if result.problem:
                asked.future.set_exception(AskFailed(_code(result.problem), result.problem, number))
                continue
            asked.future.set_result(
                Recorded(
                    number,
                    result.response,
                    attempt.model,
                    attempt.prompt_tokens,
                    attempt.completion_tokens,
                    attempt.cost,
                    attempt.seconds,
                )
            )

    def _count(self, endpoint: Endpoint, attempt: Attempt) -> None:
        counts = self._counts.setdefault(
            endpoint.label,
            {"requests": 0, "answered": 0, "limited": 0, "errors": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0},
        )  # fmt: skip
        counts["requests"] += 1
        counts["answered" if attempt.status == ANSWERED else "errors"] += 1
        counts["prompt_tokens"] += attempt.prompt_tokens
        counts["completion_tokens"] += attempt.completion_tokens
        counts["cost"] += attempt.cost

    def _generate(self, endpoint: Endpoint, bodies: Sequence[dict[str, Any]]) -> list[_Result]:
        """Answer a chunk; in the thread of vLLM."""
        engine = self._engine(endpoint, bodies[0].get(_ENGINE) or {})
        return _ask(engine, endpoint, bodies)

    def _engine(self, endpoint: Endpoint, given: Mapping[str, Any]) -> Any:
        name = orjson.dumps([endpoint.model, given], option=orjson.OPT_SORT_KEYS).decode()
        if name not in self._models:
            try:
                import vllm
            except ImportError:
                raise UserError(
                    f"endpoint {endpoint.label}: backend vllm needs vLLM in this environment",
                    "pip install vllm; or serve the model elsewhere and take backend: online",
                ) from None
            arguments = dict(given)
            if endpoint.limits.concurrency is not None:
                arguments.setdefault("max_num_seqs", endpoint.limits.concurrency)
            try:
                self._models[name] = vllm.LLM(model=endpoint.model, **arguments)
            except Exception as error:
                raise StageFailed(
                    f"endpoint {endpoint.label}: vLLM cannot load {endpoint.model}: {_line(error)}"
                ) from error
        return self._models[name]


def check_fields(endpoint: Endpoint, body: Mapping[str, Any]) -> None:
    """Refuse what would silently not be done.

    Raises:
        UserError: naming the field.
    """
    for name in body:
        if name not in _SAMPLING and name not in _OTHER:
            raise UserError(
                f"endpoint {endpoint.label}: backend vllm has no setting {name!r}",
                "leave it out, or serve the model and take backend: online",
            )


def _chunk(gathered: list[_Asked]) -> tuple[list[_Asked], list[_Asked]]:
    """Split off a chunk for one endpoint and one form of the template."""
    if not gathered:
        return [], []

    def kind(asked: _Asked) -> bytes:
        fixed = [
            asked.endpoint.model_dump(mode="json"),
            asked.body.get("chat_template_kwargs"),
            asked.body.get(_ENGINE),
        ]
        return orjson.dumps(fixed, option=orjson.OPT_SORT_KEYS)

    first = kind(gathered[0])
    chunk: list[_Asked] = []
    rest: list[_Asked] = []
    for asked in gathered:
        (chunk if len(chunk) < CHUNK and kind(asked) == first else rest).append(asked)
    return chunk, rest


def _ask(engine: Any, endpoint: Endpoint, bodies: Sequence[dict[str, Any]]) -> list[_Result]:
    """Ask vLLM; a request that it refuses (too long) fails the whole call, so the others are asked without it."""
    try:
        outputs = _outputs(engine, endpoint, bodies)
    except (ValueError, TypeError) as error:
        if len(bodies) == 1:
            return [_Result(orjson.dumps({"error": {"message": _line(error)}}), problem=_line(error))]
        half = len(bodies) // 2
        return _ask(engine, endpoint, bodies[:half]) + _ask(engine, endpoint, bodies[half:])
    except Exception as error:
        raise StageFailed(
            f"endpoint {endpoint.label}: vLLM stopped: {type(error).__name__}: {_line(error)}",
            "what was answered is on record; run the same command again",
        ) from error
    return [_result(endpoint, output) for output in outputs]


def _outputs(engine: Any, endpoint: Endpoint, bodies: Sequence[dict[str, Any]]) -> Sequence[Any]:
    import vllm

    sampling = [vllm.SamplingParams(**sampling_of(endpoint, body)) for body in bodies]
    if endpoint.api == "completions":
        texts: Sequence[Any] = engine.generate([body["prompt"] for body in bodies], sampling, use_tqdm=False)
        return texts
    more = bodies[0].get("chat_template_kwargs")
    given = {"chat_template_kwargs": more} if more else {}
    answered: Sequence[Any] = engine.chat(
        [body["messages"] for body in bodies], sampling, use_tqdm=False, **given
    )
    return answered


def sampling_of(endpoint: Endpoint, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `vllm.SamplingParams` that mean what the body says to a server."""
    given = {name: value for name, value in body.items() if name in _SAMPLING}
    # Its own default is 16 tokens; a server's is what the context leaves.
    given["max_tokens"] = body.get("max_completion_tokens", body.get("max_tokens"))
    wanted = body.get("top_logprobs" if endpoint.api == "chat" else "logprobs")
    if wanted is not None and wanted is not False:
        given["logprobs"] = int(wanted)
    return given


def _result(endpoint: Endpoint, output: Any) -> _Result:
    chat = endpoint.api == "chat"
    choices = []
    for one in output.outputs:
        choice: dict[str, Any] = {"index": one.index, "finish_reason": one.finish_reason}
        choice |= {"message": {"role": "assistant", "content": one.text}} if chat else {"text": one.text}
        if one.logprobs is not None:
            choice["logprobs"] = {"content": _logprobs(one.token_ids, one.logprobs)}
        choices.append(choice)
    prompt = len(output.prompt_token_ids or ())
    completion = sum(len(one.token_ids) for one in output.outputs)
    response = {
        "object": "chat.completion" if chat else "text_completion",
        "model": endpoint.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return _Result(orjson.dumps(response), prompt, completion, str(choices[0]["finish_reason"] or ""))


def _logprobs(tokens: Sequence[int], places: Sequence[Mapping[int, Any]]) -> list[dict[str, Any]]:
    """Return log-probabilities in the OpenAI form of chat."""
    told = []
    for token, place in zip(tokens, places, strict=True):
        ranked = sorted(place.values(), key=lambda one: -one.logprob)
        top = [{"token": one.decoded_token, "logprob": one.logprob} for one in ranked]
        told.append(
            {"token": place[token].decoded_token, "logprob": place[token].logprob, "top_logprobs": top}
        )
    return told


def _attempt(label: str, asked: _Asked, result: _Result, sent: float, seconds: float) -> Attempt:
    endpoint, request = asked.endpoint, asked.request
    price = endpoint.price
    cost = (result.prompt_tokens * price.input + result.completion_tokens * price.output) / 1e6
    return Attempt(
        key=asked.key,
        unit=request.unit,
        label=label,
        row=request.row,
        rung=request.rung,
        purpose=request.purpose,
        endpoint=endpoint.label,
        model=endpoint.model,
        status="refused by the server" if result.problem else ANSWERED,
        http=0,
        request=orjson.dumps(asked.body),
        response=result.response,
        prompt_tokens=result.prompt_tokens,
        completion_tokens=result.completion_tokens,
        cost=cost,
        sent=sent,
        seconds=seconds,
        detail=result.problem,
        finish_reason=result.finish_reason,
    )


def _code(problem: str) -> str:
    said = problem.lower()
    long = (
        "longer than" in said
        or "maximum model length" in said
        or "max_model_len" in said
        or "context length" in said
    )
    return "context too long" if long else "refused by the server"


def _refuse(asked: _Asked, error: BaseException) -> None:
    with suppress(asyncio.InvalidStateError):
        asked.hold.release()
        asked.future.set_exception(error)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
