"""Requests over HTTP, one each: sent when the dispatcher lets them, again when the server fails, recorded whatever comes.

What counts as an attempt: everything that a server did with a request, but not 429s (they are its way to say "slower") and
not what it does while it is down for everybody. Both are bounded by `patience.unit`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from watari.artifact.draws import draw_uniform
from watari.endpoint.asking import Received
from watari.endpoint.budget import Purse, check_budget, worst_case
from watari.endpoint.dispatcher import Dispatcher
from watari.endpoint.failures import Outcome, classify
from watari.endpoint.headers import retry_after
from watari.endpoint.http import Door, Line, Reply, door, open_line, post
from watari.endpoint.ledger.records import Attempt, Recorded, Spend
from watari.endpoint.params import AskingParams
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, WatariError

if TYPE_CHECKING:
    from watari.endpoint.budget import Hold
    from watari.endpoint.ledger import Ledger

_START = 20.0
"""Seconds of nothing but failures from the beginning on after which a server counts as wrong rather than as down for a while."""
_TELL = 5.0
"""Seconds of an outage before the user is told of it."""
_BACK_OFF, _LONGEST_BACK_OFF = 0.5, 30.0
"""Seconds: the mean of the first pause is half of it; doubled each time up to the longest (AWS's "full jitter")."""
_BRIEF, _BRIEF_PAUSES = 2, 4
"""Failures, and pauses with those after 429s, up to which a pause may be cut short where the server has room to spare: then
it may be the request's own fault, or an outage."""


@dataclass(slots=True)
class _Route:
    """How an endpoint is reached."""

    door: Door
    dispatcher: Dispatcher
    base_url: str


@dataclass(slots=True)
class _Account:
    """What an endpoint has been asked in this run."""

    requests: int = 0
    answered: int = 0
    limited: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)


class Online:
    """The backend for servers that answer each request by itself.

    Args:
        ledger: Where every attempt is recorded.
        params: Budgets and label.
        servers: Where replay servers are left to be stopped.
    """

    def __init__(self, ledger: Ledger, params: AskingParams, servers: ExitStack) -> None:
        self._ledger = ledger
        self._label = params.label
        limited = not (params.budget.unlimited and params.run_budget.unlimited)
        self._budgets = (params.budget, params.run_budget)
        self._purse = Purse(ledger, params.label, *self._budgets) if limited else None
        self._servers = servers
        self._line: Line | None = None
        self._addresses: dict[str, str] = {}
        self._dispatchers: dict[tuple[str, str | None, str], Dispatcher] = {}
        self._routes: dict[int, tuple[Endpoint, _Route]] = {}
        self._accounts: dict[str, _Account] = {}
        self._over: WatariError | None = None

    # --- what `Backend` asks for

    async def send(
        self, endpoint: Endpoint, request: Request, body: dict[str, Any], key: str, order: int
    ) -> Received:
        """See `Backend.send`."""
        route = self._route(endpoint)
        if self._purse is not None:
            check_budget(endpoint, body, self._budgets)
        return await _Exchange(self, route, endpoint, request, body, key, order).run()

    def spending(self) -> dict[str, dict[str, Any]]:
        """See `Backend.spending`."""
        told = {}
        for label, account in self._accounts.items():
            told[label] = {
                name: getattr(account, name) for name in _Account.__slots__ if name != "statuses"
            } | {"statuses": dict(sorted(account.statuses.items()))}
        for endpoint, route in self._routes.values():
            if endpoint.label in told:
                told[endpoint.label]["peak"] = route.dispatcher.counts.peak
                bucket = route.dispatcher.rate.bucket
                told[endpoint.label]["learnt_requests_per_minute"] = (
                    round(bucket.rate * 60, 1) if bucket else None
                )
        return told

    def down(self) -> set[str]:
        """Return the addresses of servers that have answered nothing for some time."""
        return {place for (place, *_), dispatcher in self._dispatchers.items() if dispatcher.down_for > _TELL}

    def close(self, error: WatariError) -> None:
        """See `Backend.close`."""
        if self._over is None:
            self._over = error
            for dispatcher in self._dispatchers.values():
                dispatcher.close(error)

    async def end(self) -> None:
        """See `Backend.end`."""
        if self._line is not None:
            await self._line.close()
        if self._purse is not None:
            await self._purse.close()

    # --- what an exchange needs

    def _route(self, endpoint: Endpoint) -> _Route:
        known = self._routes.get(id(endpoint))
        if known is not None:
            return known[1]
        if self._over is not None:
            raise self._over
        base_url = self._addresses.get(endpoint.base_url)
        if base_url is None:
            base_url = endpoint.base_url
            if base_url.startswith("replay://"):
                from watari.endpoint.replay import serving

                base_url = self._servers.enter_context(serving(base_url))
            self._addresses[endpoint.base_url] = base_url
        if endpoint.key_env is not None:
            self._ledger.hide(os.environ.get(endpoint.key_env, "").strip())
        # The same server and key share their limits, unless the recipe gives them different ones.
        server = (endpoint.base_url, endpoint.key_env, endpoint.limits.model_dump_json())
        dispatcher = self._dispatchers.get(server)
        if dispatcher is None:
            dispatcher = self._dispatchers[server] = Dispatcher(endpoint.limits)
        route = _Route(door(endpoint, base_url), dispatcher, base_url)
        self._routes[id(endpoint)] = (endpoint, route)  # keeps the endpoint, and so its id, alive
        return route

    def _open(self) -> Line:
        if self._line is None:
            self._line = open_line()
        return self._line

    def _account(self, endpoint: Endpoint) -> _Account:
        account = self._accounts.get(endpoint.label)
        if account is None:
            account = self._accounts[endpoint.label] = _Account()
        return account


class _Exchange:
    """One request, sent as often as it takes."""

    def __init__(
        self,
        online: Online,
        route: _Route,
        endpoint: Endpoint,
        request: Request,
        body: dict[str, Any],
        key: str,
        order: int,
    ) -> None:
        self._online = online
        self._route = route
        self._endpoint = endpoint
        self._request = request
        self._body = body
        self._payload = orjson.dumps(body)
        self._key = key
        self._order = order
        self._first_sent: float | None = None
        self._failures = 0
        self._pauses = 0

    async def run(self) -> Received:
        """Return the recorded answer."""
        while True:
            reply, outcome, hold = await self._once()
            attempt = self._attempt(reply, outcome)
            number = await self._online._ledger.record(attempt)
            if hold is not None:
                hold.settle(Spend(attempt.cost, attempt.prompt_tokens + attempt.completion_tokens, 1))
            if outcome.sort == "answered":
                recorded = Recorded(
                    number,
                    reply.body,
                    attempt.model,
                    attempt.prompt_tokens,
                    attempt.completion_tokens,
                    attempt.cost,
                    attempt.seconds,
                )
                return Received(recorded, outcome.read)
            if outcome.stop is not None:
                raise outcome.stop
            if outcome.sort == "refused":
                raise AskFailed(outcome.code, outcome.detail, number)
            await self._before_the_next(reply, outcome, number)

    async def _once(self) -> tuple[Reply, Outcome, Hold | None]:
        """Send once. The place at the server is free again when the bytes are there, before they are recorded."""
        online, dispatcher = self._online, self._route.dispatcher
        size = len(self._payload)
        tokens = dispatcher.estimate(size, self._body.get("max_tokens"))
        permit = await dispatcher.enter(self._order, tokens)
        hold = None
        if online._purse is not None:
            # Only now: what is set aside counts as spent if the process is killed, and thousands may wait to be let in.
            # Who waits for the budget keeps the place; what others leave comes back without one.
            hold = await self._set_aside(online._purse)
        if self._first_sent is None:
            self._first_sent = asyncio.get_running_loop().time()
        try:
            reply = await post(online._open(), self._route.door, self._payload)
        except BaseException:
            dispatcher.cancelled()
            if hold is not None:
                hold.lose()
            raise
        # A server may repeat the key. Nobody reads another answer than the one that goes on record.
        body, detail = online._ledger.clean(reply.body), online._ledger.clean_text(reply.detail)
        if body is not reply.body or detail != reply.detail:
            reply = replace(reply, body=body, detail=detail)
        outcome = classify(self._endpoint, reply)
        usage = outcome.read.usage
        used = None
        if usage.prompt is not None:
            used = float(usage.prompt + (usage.completion or 0))
            dispatcher.learn(size, usage.prompt, usage.completion)
        dispatcher.leave(permit, outcome.sort, reply, used)
        return reply, outcome, hold

    async def _set_aside(self, purse: Purse) -> Hold:
        """Return the hold of the worst case; where there is none, the place at the server is given back."""
        dispatcher = self._route.dispatcher
        try:
            hold = await purse.hold(worst_case(self._endpoint, self._body))
        except BaseException:
            dispatcher.cancelled()
            raise
        if dispatcher.closed is not None:  # meanwhile
            hold.release()
            dispatcher.cancelled()
            raise dispatcher.closed
        return hold

    def _attempt(self, reply: Reply, outcome: Outcome) -> Attempt:
        endpoint, request, usage = self._endpoint, self._request, outcome.read.usage
        prompt, completion, cost = usage.prompt, usage.completion, usage.cost(endpoint)
        if prompt is None and (outcome.sort == "answered" or outcome.perhaps_paid):
            # The server does not say, or died over it: then it counts as the worst case that was set aside.
            # Which part of it was the answer is not known either.
            worst = worst_case(endpoint, self._body)
            prompt, completion, cost = worst.tokens, 0, worst.money
        attempt = Attempt(
            key=self._key,
            unit=request.unit,
            label=self._online._label,
            row=request.row,
            rung=request.rung,
            purpose=request.purpose,
            endpoint=endpoint.label,
            model=outcome.read.model or endpoint.model,
            status=outcome.status,
            http=reply.status,
            request=self._payload,
            response=reply.body,
            prompt_tokens=prompt or 0,
            completion_tokens=completion or 0,
            cost=cost,
            sent=reply.sent,
            seconds=reply.seconds,
            detail=f"{outcome.code}: {outcome.detail}" if outcome.code else outcome.detail,
            finish_reason=outcome.read.choices[0].finish_reason if outcome.read.choices else "",
        )
        account = self._online._account(endpoint)
        account.requests += 1
        account.prompt_tokens += attempt.prompt_tokens
        account.completion_tokens += attempt.completion_tokens
        account.cost += cost
        if outcome.sort == "answered":
            account.answered += 1
        else:
            account.statuses[outcome.status] = account.statuses.get(outcome.status, 0) + 1
            if outcome.sort == "limited":
                account.limited += 1
            else:
                account.errors += 1
        return attempt

    async def _before_the_next(self, reply: Reply, outcome: Outcome, number: int) -> None:
        """Wait before the request is sent again.

        Raises:
            AskFailed: if it has been sent often enough.
            StageFailed: if the server answers nobody any more.
        """
        endpoint, dispatcher = self._endpoint, self._route.dispatcher
        if outcome.sort == "unreachable":
            self._unreachable(outcome)
        elif outcome.sort != "limited":
            self._failures += 1
            if self._never and dispatcher.down_for >= _START:
                raise self._silent(outcome)
            if self._failures >= endpoint.attempts:
                if dispatcher.down_for and await dispatcher.outlasted(endpoint.patience.unit):
                    self._failures = self._pauses = 0
                    self._first_sent = None
                    return
                if dispatcher.down_for >= endpoint.patience.unit:
                    raise self._silent(outcome)
                raise AskFailed(
                    "gave up",
                    f"{self._failures} attempts; the last: {outcome.status}: {outcome.detail}",
                    number,
                )
        pause = self._pause(reply, outcome)
        assert self._first_sent is not None
        now = asyncio.get_running_loop().time()
        if now + pause - self._first_sent > endpoint.patience.unit:
            if dispatcher.silent_for > endpoint.patience.unit / 2:
                raise self._silent(outcome)
            raise AskFailed(
                "gave up",
                f"after {now - self._first_sent:.0f} s; the last: {outcome.status}: {outcome.detail}",
                number,
            )
        await dispatcher.pause(pause, self._brief(reply))

    def _pause(self, reply: Reply, outcome: Outcome) -> float:
        """Return the seconds that this request waits by itself; what all wait for is the dispatcher's affair."""
        self._pauses += 1
        draw = draw_uniform(self._pauses, "back-off", self._key)
        asked = retry_after(reply.headers, reply.sent + reply.seconds) if reply.headers else None
        if asked is None:
            return draw * _backed_off(self._pauses)
        # Never before it was asked for, not all in the same moment, and not for ever at the pace of a server that says 0.
        return asked * (1 + 0.1 * draw) + (draw * _backed_off(self._pauses - 4) if self._pauses > 4 else 0.0)

    def _brief(self, reply: Reply) -> float | None:
        """Return the seconds after which this request may go where there is room to spare: about a round trip."""
        if self._failures > _BRIEF or self._pauses > _BRIEF_PAUSES:
            return None
        if not reply.status or retry_after(reply.headers, reply.sent) is not None:
            return None
        longest = min(_BACK_OFF, self._route.dispatcher.latency or _BACK_OFF)
        return draw_uniform(self._pauses, "back-off", self._key) * longest

    def _unreachable(self, outcome: Outcome) -> None:
        """Raise if there is no use in waiting for a server that nobody can connect to."""
        endpoint, dispatcher = self._endpoint, self._route.dispatcher
        if (
            self._never and self._pauses + 1 >= endpoint.attempts
        ) or dispatcher.down_for >= endpoint.patience.unit:
            raise self._silent(outcome)

    @property
    def _never(self) -> bool:
        """True if the server has done nothing for anybody since the run began: then it is not down, but wrong."""
        counts = self._route.dispatcher.counts
        return not counts.answered and not counts.limited

    def _silent(self, outcome: Outcome) -> StageFailed:
        endpoint = self._endpoint
        return StageFailed(
            f"endpoint {endpoint.label} ({endpoint.base_url}) does not answer: {outcome.status}: {outcome.detail}",
            "see whether the server runs and base_url is right, then run the same command again: nothing is lost",
        )


def _backed_off(pauses: int) -> float:
    """Return the longest that the pause of this number (from 1) may be, in seconds."""
    return min(_BACK_OFF * 2.0 ** min(pauses - 1, 16), _LONGEST_BACK_OFF)
