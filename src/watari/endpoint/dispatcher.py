"""Who may send now: one dispatcher per server, so that all requests to it wait for the same limits.

A request enters, is sent, and leaves when its bytes are there; what is done with them afterwards (the ledger's commit,
checks) holds no place. Those who wait are let in by the age of what they ask for, so a retry goes before new work and a row
does not fall behind the others.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass

from watari.endpoint.headers import allowances, retry_after
from watari.endpoint.http import Reply
from watari.endpoint.limits import FOREVER, Bucket, Concurrency, Credit, Rate
from watari.endpoint.settings import Limits
from watari.errors import WatariError

OUTAGE = 16
"""Failures in a row, with nothing answered in between, from which on a server counts as down."""

PROBE_FIRST, PROBE_LONGEST = 1.0, 60.0
"""Seconds between two requests to a server that is down: doubled from the first to the longest."""

IN_A_ROW = 2
"""Failures in a row that are still taken for noise."""

LOOK = 1.0
"""Seconds between two looks at whether a server that is down answers again."""


@dataclass(slots=True)
class Permit:
    """Leave to send one request."""

    sent: float
    tokens: float
    taken_requests: float
    taken_tokens: float


@dataclass(slots=True)
class Counts:
    """What came of the requests to a server."""

    sent: int = 0
    answered: int = 0
    limited: int = 0
    failed: int = 0
    peak: int = 0  # most in flight at once


class Dispatcher:
    """Lets requests to one server through.

    Args:
        limits: What the recipe says that the server allows.

    Lives in one event loop, whose clock it uses.
    """

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self.concurrency = Concurrency(limits.concurrency)
        self.rate = Rate(now)
        self.in_flight = 0
        self.counts = Counts()
        self.latency = 0.0  # seconds, smoothed
        # A little below what is allowed: the server's clock is not ours.
        self._requests = (
            Bucket(limits.requests_per_minute * 0.98, now) if limits.requests_per_minute else None
        )
        self._tokens = Bucket(limits.tokens_per_minute * 0.98, now, 2.0) if limits.tokens_per_minute else None
        self._request_credit = Credit()
        self._token_credit = Credit()
        self._waiting: list[tuple[int, int, float, asyncio.Future[Permit]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self.closed: WatariError | None = None  # what `close` was given
        self._closing = asyncio.Event()
        self._pausing = 0
        self._resting: set[asyncio.Future[None]] = (
            set()
        )  # of those who pause: who may go once there is room to spare
        self._answered_at = now
        self._failures = 0  # in a row
        self._down_since = FOREVER
        self._probe_at = 0.0
        self._probe_pause = PROBE_FIRST
        self._tokens_per_byte = 0.3
        self._completion: float | None = None

    # --- entering and leaving

    async def enter(self, order: int, tokens: float) -> Permit:
        """Wait until a request may be sent, and return the leave to do so.

        Args:
            order: Its age: smaller goes first.
            tokens: What it will use, estimated.

        Raises:
            WatariError: the one that `close` was given.
        """
        if self.closed is not None:
            raise self.closed
        if not self._waiting and self.in_flight < self.concurrency.limit:
            now = self._loop.time()
            if self._ready(now, tokens) <= now:
                return self._grant(now, tokens)
        future: asyncio.Future[Permit] = self._loop.create_future()
        heapq.heappush(self._waiting, (order, next(self._numbers), tokens, future))
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._free()  # it was let in at the very moment
            raise

    def leave(self, permit: Permit, sort: str, reply: Reply, tokens: float | None = None) -> None:
        """Give the place back, and learn from the reply.

        Args:
            permit: What `enter` returned.
            sort: Of the reply, as `failures.classify` has it.
            reply: What came back.
            tokens: What the request really used, if it is known.
        """
        now = self._loop.time()
        if self._tokens is not None and tokens is not None:
            self._tokens.correct(tokens - permit.tokens)
        if reply.headers:
            self._read_headers(permit, reply, now)
        answered = sort in ("answered", "refused", "broken")
        if answered:
            self._up()
            self.counts.answered += 1
            self._answered_at = now
            self.latency += (0.1 if self.latency else 1.0) * (reply.seconds - self.latency)
            self.rate.answered(now, permit.sent, self.concurrency.limit)
            self.concurrency.answered(now, permit.sent)
        elif sort == "limited":
            self.counts.limited += 1
            self._up()
            wait = retry_after(reply.headers, time.time())
            if self.rate.rejected(now, permit.sent, wait, self.concurrency.limit):
                carried = 1.5 * self.rate.bucket.rate * self.latency if self.rate.bucket else 0.0
                self.concurrency.cut(now, int(carried) + 1)
        else:
            self.counts.failed += 1
            self.concurrency.failed(now, permit.sent)
            self._down(now)
        self._free()

    def cancelled(self) -> None:
        """Give the place of a request back that was not sent, or whose sending was given up."""
        self._free()

    def close(self, error: WatariError) -> None:
        """Let nobody in any more: `error` is raised to all who wait and all who come. The first one given stays."""
        if self.closed is None:
            self.closed = error
            self._closing.set()
            for *_, future in self._waiting:
                if not future.done():
                    future.set_exception(error)
            self._waiting.clear()
            self._wake()
            if self._timer is not None:
                self._timer.cancel()

    async def pause(self, seconds: float, brief: float | None = None) -> None:
        """Wait before a request is sent again.

        A row that waits by itself makes room for others. Where nobody else wants the room, and the server only fails now
        and then, waiting long helps nobody: the last rows of a run would keep it waiting.

        Args:
            seconds: How long at most.
            brief: How long at least, where there is room to spare; None: as long as at most.

        Raises:
            WatariError: at once, when `close` is called.
        """
        self._pausing += 1
        try:
            if brief is None or brief >= seconds:
                await self._wait_closing(seconds)
            else:
                await self._wait_closing(brief)
                if not self._spare:
                    await self._rest(seconds - brief)
        finally:
            self._pausing -= 1

    async def _rest(self, seconds: float) -> None:
        """Wait until there is room to spare, but no longer than so many seconds."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._resting.add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self._resting.discard(future)
        if self.closed is not None:
            raise self.closed

    async def _wait_closing(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        assert self.closed is not None
        raise self.closed

    async def outlasted(self, longest: float) -> bool:
        """Wait while the server is down; True once it answers again.

        False if it is down for `longest` seconds, or if everybody else has stopped asking: then it may be these very
        requests that bring it down.
        """
        quiet = 0
        while self._down_since < FOREVER:
            quiet = quiet + 1 if not (self._waiting or self.in_flight or self._pausing) else 0
            if quiet > 3 or self.down_for >= longest:
                return False
            await self._wait_closing(LOOK)
        return True

    # --- what is known of the server

    @property
    def down_for(self) -> float:
        """Seconds for which nothing at all has been answered; 0.0 while the server counts as up."""
        return max(0.0, self._loop.time() - self._down_since) if self._down_since < FOREVER else 0.0

    @property
    def silent_for(self) -> float:
        """Seconds since the last answer."""
        return self._loop.time() - self._answered_at

    def estimate(self, prompt_bytes: int, max_tokens: int | None) -> float:
        """Return the tokens that a request will use: from the answers so far, before them from its limits."""
        if self._tokens is None and self._token_credit.left == FOREVER:
            return 0.0
        completion = self._completion
        if completion is None:
            completion = min(max_tokens or 512, 4096)
        return prompt_bytes * self._tokens_per_byte + completion

    def learn(self, prompt_bytes: int, prompt: int | None, completion: int | None) -> None:
        """Note what a request really used, for the next estimates."""
        if prompt is not None and prompt_bytes:
            self._tokens_per_byte += 0.05 * (prompt / prompt_bytes - self._tokens_per_byte)
        if completion is not None:
            known = self._completion
            self._completion = completion if known is None else known + 0.05 * (completion - known)

    # --- within

    def _ready(self, now: float, tokens: float) -> float:
        """Return when a request of so many tokens may be sent, by everything but concurrency."""
        at = self.rate.ready(now)
        if self._requests is not None:
            at = max(at, self._requests.ready(now, 1.0))
        if self._tokens is not None:
            at = max(at, self._tokens.ready(now, tokens))
        alone = self.in_flight == 0
        if self._request_credit.left < 1.0:
            at = max(at, self._request_credit.ready(now, 1.0, alone))
        if self._token_credit.left < tokens:
            at = max(at, self._token_credit.ready(now, tokens, alone))
        if self._down_since < FOREVER:
            # One at a time, so that an outage costs next to nothing.
            at = max(at, self._probe_at) if alone else FOREVER
        return at

    def _grant(self, now: float, tokens: float) -> Permit:
        self.in_flight += 1
        self.counts.sent += 1
        if self.in_flight > self.counts.peak:
            self.counts.peak = self.in_flight
        self.concurrency.taken(self.in_flight)
        self.rate.take(now)
        if self._requests is not None:
            self._requests.take(now, 1.0)
        if self._tokens is not None:
            self._tokens.take(now, tokens)
        self._request_credit.take(1.0)
        self._token_credit.take(tokens)
        return Permit(now, tokens, self._request_credit.taken, self._token_credit.taken)

    @property
    def _spare(self) -> bool:
        """True if one more may be in flight, nobody waits to be let in, and failures are noise."""
        return (
            not self._waiting
            and self.in_flight < self.concurrency.limit
            and self._failures <= IN_A_ROW
            and self.rate.calm
            and self.concurrency.calm
        )

    def _wake(self) -> None:
        for future in self._resting:
            if not future.done():
                future.set_result(None)
        self._resting.clear()

    def _free(self) -> None:
        self.in_flight -= 1
        if self._waiting:
            self._pump()
        if self._resting and self._spare:
            self._wake()

    def _pump(self) -> None:
        """Let in whoever may go; set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        while self._waiting and self.in_flight < self.concurrency.limit:
            _, _, tokens, future = self._waiting[0]
            if future.done():  # cancelled
                heapq.heappop(self._waiting)
                continue
            at = self._ready(now, tokens)
            if at > now:
                if at < FOREVER:
                    self._timer = self._loop.call_at(at, self._pump)
                return
            heapq.heappop(self._waiting)
            future.set_result(self._grant(now, tokens))

    def _read_headers(self, permit: Permit, reply: Reply, now: float) -> None:
        requests, tokens = allowances(reply.headers, time.time())
        if requests is not None:
            self._request_credit.told(
                now, requests.left, permit.taken_requests, requests.limit, requests.reset
            )
        if tokens is not None:
            self._token_credit.told(now, tokens.left, permit.taken_tokens, tokens.limit, tokens.reset)

    def _up(self) -> None:
        self._failures = 0
        self._down_since = FOREVER
        self._probe_pause = PROBE_FIRST

    def _down(self, now: float) -> None:
        self._failures += 1
        if self._failures < OUTAGE:
            return
        if self._down_since == FOREVER:
            self._down_since = now
        self._probe_at = now + self._probe_pause
        self._probe_pause = min(self._probe_pause * 2, PROBE_LONGEST)
