"""The replay server: what is asked of which path, which fault a request gets, and when it is answered."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
import xxhash

from watari.endpoint.replay.answers import (
    CREATED,
    Response,
    complete,
    error,
    most_tokens,
    prompt_tokens,
    refusal,
)
from watari.endpoint.replay.batches import Batches
from watari.endpoint.replay.counts import Counts
from watari.endpoint.replay.denials import denial, too_long
from watari.endpoint.replay.draws import GARBAGE, Draws
from watari.endpoint.replay.pace import Caps
from watari.endpoint.replay.script import Script
from watari.endpoint.replay.wire import Connection, Exchange

CHAT: Final = "/v1/chat/completions"
PLAIN: Final = "/v1/completions"
_DEFAULT_MOST: Final = 16  # completion tokens that a cap on tokens counts where a request names no limit


class ReplayServer:
    """One script, served.

    Args:
        script: What is answered, and how.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.counts = Counts()
        self._behaviour = script.behaviour
        self._answering = script.answering()
        self._draws = Draws(script.behaviour)
        self._caps = Caps(script.behaviour)
        self._batches = Batches(script.behaviour, self.answer_line)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._key: str | None = None
        if script.behaviour.key_env is not None:
            self._key = os.environ.get(script.behaviour.key_env, "")

    async def start(self, port: int = 0) -> int:
        """Listen on loopback.

        Args:
            port: 0: any that is free.

        Returns:
            The port.
        """
        self._loop = loop = asyncio.get_running_loop()

        def connected() -> Connection:
            return Connection(loop, self._handle, self._gone, self._behaviour.keep_alive)

        # 512 clients connect at the same moment; the kernel's default queue is shorter.
        self._server = await loop.create_server(connected, "127.0.0.1", port, backlog=4096)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Stop listening; what is going on is dropped."""
        if self._server is not None:
            self._server.close()

    def _gone(self, exchange: Exchange) -> None:
        if exchange.path in (CHAT, PLAIN):
            self.counts.lost += 1
            self.counts.ended("lost")

    def _handle(self, exchange: Exchange) -> None:
        try:
            if exchange.path in (CHAT, PLAIN):
                if exchange.method == "POST":
                    self._asked(exchange)
                else:
                    self._send(exchange, error(405, "only POST", "invalid_request_error"))
            else:
                self._send(exchange, self._other(exchange))
        except Exception as fault:
            # A script's own defect: told to the client and kept for whoever asks /stats.
            self.counts.script_error = "".join(traceback.format_exception_only(fault)).strip()
            traceback.print_exception(fault, file=sys.stderr)
            # Counted before it is sent, here and elsewhere: who has the answer may ask for the counts at once.
            if exchange.path in (CHAT, PLAIN):
                self.counts.ended(500)
            self._send(exchange, error(500, self.counts.script_error, "script_error"))

    @staticmethod
    def _send(exchange: Exchange, response: Response) -> None:
        exchange.reply(response.status, response.body, headers=response.headers)

    # -- a question --

    def _asked(self, exchange: Exchange) -> None:
        counts, body = self.counts, exchange.body
        counts.arrived(exchange.header("authorization"))
        denied = self._denial(exchange)
        if denied is not None:
            self._finish(exchange, denied)
            return
        chat = exchange.path == CHAT
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as fault:
            self._finish(exchange, error(400, f"the body is no JSON: {fault}", "invalid_request_error"))
            return
        refused = refusal(asked, chat=chat) or too_long(asked, self._behaviour.context, chat=chat)
        if refused is not None:
            self._finish(exchange, refused)
            return
        counts.models[asked["model"]] += 1
        key = xxhash.xxh3_64_intdigest(body, chat)
        if self._caps.any and (response := self._capped(asked, chat)) is not None:
            counts.came.setdefault(key, 0)
            self._finish(exchange, response)
            return
        times = counts.came.get(key, 0)
        counts.came[key] = times + 1
        self._act(exchange, asked, key, times, chat)

    def _denial(self, exchange: Exchange) -> Response | None:
        behaviour = self._behaviour
        if self._key is not None and exchange.header("authorization") != f"Bearer {self._key}":
            return denial("401")
        if behaviour.deny is not None and self.counts.requests > behaviour.deny_after:
            self.counts.denied += 1
            return denial(behaviour.deny)
        return None

    def _capped(self, asked: Any, chat: bool) -> Response | None:
        assert self._loop is not None
        now = self._loop.time()
        wait = self._caps.admit(prompt_tokens(asked) + (most_tokens(asked, chat=chat) or _DEFAULT_MOST), now)
        if not wait:
            return None
        self.counts.capped += 1
        told = f"Rate limit reached for requests. Please try again in {max(1, round(wait * 1000))}ms."
        return error(429, told, "requests", "rate_limit_exceeded", self._caps.headers(now, wait))

    def _act(self, exchange: Exchange, asked: Any, key: int, times: int, chat: bool) -> None:
        body = exchange.body
        fault = self._draws.fault(body, times)
        if fault:
            self.counts.faults[fault] += 1
        late = self._draws.seconds(body, times)
        match fault:
            case "429":
                pause = self._behaviour.retry_after
                headers = {} if pause is None else {"retry-after": f"{pause:g}"}
                self._finish(
                    exchange, error(429, "Rate limit reached.", "requests", "rate_limit_exceeded", headers)
                )
            case "500":
                response = error(
                    500, "The server had an error while processing your request.", "server_error"
                )
                exchange.later(late, lambda: self._finish(exchange, response))
            case "503":
                response = error(503, "The engine is currently overloaded.", "server_error", "overloaded")
                exchange.later(late, lambda: self._finish(exchange, response))
            case "400":
                self._finish(
                    exchange, error(400, "Invalid prompt.", "invalid_request_error", "invalid_prompt")
                )
            case "reset":
                exchange.later(late, lambda: self._end(exchange, "reset", exchange.cut))
            case "hang":
                exchange.later(
                    self._behaviour.hang or 1e-3, lambda: self._end(exchange, "hang", exchange.cut)
                )
            case "garbage":
                kind, rubbish = GARBAGE[self._draws.garbage(body, times)]
                exchange.later(
                    late, lambda: self._end(exchange, "garbage", lambda: exchange.reply(200, rubbish, kind))
                )
            case _:
                self._answer(exchange, asked, key, fault, late, chat)

    def _answer(self, exchange: Exchange, asked: Any, key: int, fault: str, late: float, chat: bool) -> None:
        response = complete(asked, self._answering, chat=chat, filtered=fault == "filter")
        late += response.seconds
        if fault == "cut":
            exchange.later(
                late, lambda: self._end(exchange, "cut", lambda: exchange.reply_half(200, response.body))
            )
        elif fault == "drip":

            def whole() -> None:
                self._count_answer(response, key)
                self.counts.ended(response.status)

            exchange.later(
                late,
                lambda: exchange.reply_slowly(response.status, response.body, self._behaviour.drip, whole),
            )
        else:
            exchange.later(late, lambda: self._finish(exchange, response, key))

    def _finish(self, exchange: Exchange, response: Response, key: int | None = None) -> None:
        headers = response.headers
        if self._caps.any and self._loop is not None:
            headers = {**self._caps.headers(self._loop.time()), **headers}
        if key is not None:
            self._count_answer(response, key)
        self.counts.ended(response.status)
        exchange.reply(response.status, response.body, headers=headers)

    def _end(self, exchange: Exchange, how: str, act: Callable[[], None]) -> None:
        self.counts.ended(how)
        act()

    def _count_answer(self, response: Response, key: int) -> None:
        if response.status == 200:
            self.counts.whole_answer(key)
            self.counts.prompt_tokens += response.prompt_tokens
            self.counts.completion_tokens += response.completion_tokens

    # -- everything else --

    def answer_line(self, url: str, asked: Any) -> Response:
        """Return the response to one line of a batch; of the faults only 500 and 400 are drawn."""
        chat = url == CHAT
        refused = refusal(asked, chat=chat) or too_long(asked, self._behaviour.context, chat=chat)
        if refused is not None:
            return refused
        body = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
        key = xxhash.xxh3_64_intdigest(body, chat)
        self.counts.requests += 1
        self.counts.models[asked["model"]] += 1
        times = self.counts.came.get(key, 0)
        self.counts.came[key] = times + 1
        fault = self._draws.fault(body, times)
        if fault in ("500", "400"):
            self.counts.faults[fault] += 1
            response = error(int(fault), "The server had an error.", "server_error")
        else:
            response = complete(asked, self._answering, chat=chat, filtered=fault == "filter")
        self.counts.status[str(response.status)] += 1
        self._count_answer(response, key)
        return response

    def _other(self, exchange: Exchange) -> Response:
        path, query = exchange.path, parse_qs(exchange.query)
        if path == "/stats":
            if exchange.method == "POST":
                self.counts.reset()
            stats = self.counts.as_json(bodies="bodies" in query or "bodies=1" in exchange.query)
            return Response(200, orjson.dumps(stats), {})
        if path == "/health":
            return Response(200, b"{}", {})
        denied = self._denial(exchange) if self._key is not None else None
        if denied is not None:
            return denied
        if path == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": CREATED, "owned_by": "watari"}
                for name in self.script.models
            ]
            return Response(200, orjson.dumps({"object": "list", "data": models}), {})
        if path.startswith(("/v1/files", "/v1/batches")):
            return self._batches.handle(exchange)
        return error(404, f"no such path: {path}", "invalid_request_error", "not_found")


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that listens.

    Args:
        base_url: Up to and including /v1: what an endpoint's `base_url` wants.
        port: On 127.0.0.1.
        server: With its counts.
    """

    base_url: str
    port: int
    server: ReplayServer

    def stats(self) -> dict[str, Any]:
        """Return the counters, as GET /stats does."""
        return self.server.counts.as_json()
