"""The client against a server that does everything a server can do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from raw_server import Got, RawServer, Say, answer, error, serving_raw
from watari.artifact.stage import Silent
from watari.endpoint.asking import Asking, open_asking, work_through
from watari.endpoint.deadlines import Deadlines
from watari.endpoint.ledger import open_ledger
from watari.endpoint.params import AskingParams, EndpointRef
from watari.endpoint.replay import Behaviour, Script, serve
from watari.endpoint.request import Answer, AskFailed, Request
from watari.endpoint.settings import Budget, Endpoint, Limits, Patience, Price
from watari.errors import Interrupted, StageFailed, UserError, WatariError


class Params(AskingParams):
    teacher: EndpointRef


def request(text: str = "hello", **more: Any) -> Request:
    return Request(unit=f"unit {text}", messages=[{"role": "user", "content": text}], row=text, **more)


def endpoint(base_url: str, **more: Any) -> Endpoint:
    return Endpoint(name="fast", base_url=base_url, model="raw", **more)


def asked(
    tmp_path: Path, teacher: Endpoint, work: Callable[[Asking], Any], progress: Any = None, **params: Any
) -> Any:
    """Run `work` with an open `Asking`, and return what it returns."""

    async def run() -> Any:
        settings = Params(teacher=teacher, ledger=str(tmp_path / "ledger.sqlite"), label="stage", **params)
        async with open_asking(settings, progress or Silent()) as asking:
            return await work(asking)

    return asyncio.run(run())


def attempts(tmp_path: Path) -> list[tuple[str, int]]:
    with open_ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        return [(str(s), int(h)) for s, h in ledger.rows("SELECT status, http FROM attempt ORDER BY id")]


def ask_one(tmp_path: Path, say: Callable[[Got], Say], **more: Any) -> Answer:
    with serving_raw(say) as server:
        teacher = endpoint(server.base_url, **more)
        found: Answer = asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        return found


def test_an_answer_is_read_and_recorded_and_not_asked_again(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer("konnichiwa", "length"))) as server:
        teacher = endpoint(server.base_url, price=Price(input=1.0, output=2.0))
        first = asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        second = asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        assert len(server.got) == 1
    assert (first.text, first.finish_reason, first.model) == ("konnichiwa", "length", "raw")
    assert (first.prompt_tokens, first.completion_tokens) == (10, 5)
    assert first.cost == pytest.approx(20e-6)
    assert not first.recorded
    assert second.recorded
    assert second.attempt == first.attempt
    assert second.cost == pytest.approx(first.cost)
    assert attempts(tmp_path) == [("answered", 200)]


def test_two_who_ask_the_same_share_one_request(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer(), seconds=0.1)) as server:
        teacher = endpoint(server.base_url)

        async def work(asking: Asking) -> Any:
            return await asyncio.gather(*(asking.ask(teacher, request()) for _ in range(20)))

        answers = asked(tmp_path, teacher, work)
        assert len(server.got) == 1
    assert len({found.attempt for found in answers}) == 1


def test_an_answer_whose_asker_has_gone_is_recorded_all_the_same(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer(), seconds=0.3)) as server:
        teacher = endpoint(server.base_url)

        async def work(asking: Asking) -> None:
            task = asyncio.create_task(asking.ask(teacher, request()))
            await asyncio.sleep(0.1)
            task.cancel()

        asked(tmp_path, teacher, work)
        assert attempts(tmp_path) == [("answered", 200)]
        asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        assert len(server.got) == 1


PAGE = b"<!DOCTYPE html><html>Bad gateway</html>"

FAULTS = [
    ("server error", 500, Say(b"oops", 500)),
    ("server error", 503, Say(error("overloaded"), 503)),
    ("unreadable answer", 200, Say(PAGE)),
    ("unreadable answer", 200, Say(answer()[:-20])),
    ("unreadable answer", 200, Say(b"")),
    ("unreadable answer", 200, Say(b"null")),
    ("unreadable answer", 200, Say(b'{"choices": []}')),
    ("unreadable answer", 200, Say(b'{"choices": [{"message": {"content": 5}}]}')),
    ("unreadable answer", 200, Say(b'{"choices": [null]}')),
    ("unreadable answer", 200, Say(b"\xff\xfe\x00")),
    ("unreadable answer", 200, Say(b"[" * 100_000)),
    ("server error", 200, Say(error("upstream died", code="502"))),
    ("connection", 200, Say(answer(), cut=40)),
    ("connection", 0, Say(answer(), headers={"Content-Length": "x"})),
    ("rate limited", 429, Say(error("slow down"), 429)),
]


@pytest.mark.parametrize(("status", "http", "say"), FAULTS, ids=range(len(FAULTS)))
def test_a_failure_is_recorded_and_asked_again(tmp_path: Path, status: str, http: int, say: Say) -> None:
    found = ask_one(tmp_path, lambda got: say if got.number == 0 else Say(answer()))
    assert found.text == "fine"
    first, *rest = attempts(tmp_path)
    assert first[0] == status
    assert first[1] in (http, 400)  # a header line that is none: aiohttp counts it as a 400
    assert rest == [("answered", 200)]


def test_what_came_of_a_reply_that_broke_off_is_on_record(tmp_path: Path) -> None:
    ask_one(tmp_path, lambda got: Say(answer(), cut=40 if got.number == 0 else None))
    with open_ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        (first,), (second,) = ledger.rows("SELECT response FROM body ORDER BY attempt")
    with open_ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        assert ledger.find("nobody") is None
    assert len(second) > len(first) > 0


def test_a_request_is_given_up_after_its_attempts(tmp_path: Path) -> None:
    with pytest.raises(AskFailed) as raised:
        ask_one(tmp_path, lambda got: Say(b"", 500), attempts=3)
    assert raised.value.code == "gave up"
    assert attempts(tmp_path) == [("server error", 500)] * 3


def test_429s_are_pacing_and_no_failure(tmp_path: Path) -> None:
    found = ask_one(
        tmp_path,
        lambda got: (
            Say(error("slow down"), 429, {"retry-after-ms": "20"}) if got.number < 5 else Say(answer())
        ),
        attempts=1,
    )
    assert found.text == "fine"
    assert len(attempts(tmp_path)) == 6


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (Say(error("This model's maximum context length is 8192 tokens", "context_length_exceeded"), 400),
         "context too long"),
        (Say(error("the prompt is too long"), 413), "context too long"),
        (Say(error("filtered by our policy", "content_filter"), 400), "content filter"),
        (Say(error("temperature must be below 2"), 400), "refused by the server"),
        (Say(error("no such field"), 422), "refused by the server"),
        (Say(answer("", "content_filter")), "content filter"),
    ],
)  # fmt: skip
def test_a_refusal_fails_the_request_at_once_and_stays(tmp_path: Path, say: Say, code: str) -> None:
    with serving_raw(lambda got: say) as server:
        teacher = endpoint(server.base_url)
        for _ in range(2):  # the second time from the ledger: the same path, nothing sent
            with pytest.raises(AskFailed) as raised:
                asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
            assert raised.value.code == code
            assert raised.value.attempt == 1
        assert len(server.got) == 1


@pytest.mark.parametrize(
    ("say", "kind", "words"),
    [
        (Say(error("Incorrect API key provided: sk-secret-123"), 401), UserError, "TEST_KEY"),
        (Say(error("not for you: sk-secret-123"), 403), UserError, "TEST_KEY"),
        (Say(error("pay first"), 402), StageFailed, "no credit"),
        (Say(error("You exceeded your current quota", "insufficient_quota"), 429), StageFailed, "no credit"),
        (Say(error("The model `raw` does not exist", "model_not_found"), 404), UserError, "model 'raw'"),
        (Say(b"Not Found", 404), UserError, "base_url"),
        (Say(b"", 301, {"Location": "https://elsewhere"}), UserError, "redirects"),
    ],
)  # fmt: skip
def test_what_no_request_can_get_around_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say, kind: type[WatariError], words: str
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret-123")

    def saying(got: Got) -> Say:
        return say if got.text == "5" else Say(answer(), seconds=0.05)

    with serving_raw(saying) as server:
        teacher = endpoint(server.base_url, key_env="TEST_KEY", limits=Limits(concurrency=4))

        async def work(asking: Asking) -> None:
            async for _ in work_through(range(1000), lambda i: asking.ask(teacher, request(str(i)))):
                pass

        with pytest.raises(kind) as raised:
            asked(tmp_path, teacher, work)
        told = str(raised.value)
        assert words in told
        assert "endpoint fast" in told
        assert "secret" not in told
        assert len(server.got) < 30
        assert server.got[0].headers["authorization"] == "Bearer sk-secret-123"
        # What was in flight is on record.
        assert len(attempts(tmp_path)) == len(server.got)
    for file in tmp_path.iterdir():
        assert b"sk-secret-123" not in file.read_bytes()


def test_a_key_that_is_not_set_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer())) as server:
        teacher = endpoint(server.base_url, key_env="A_KEY_THAT_NOBODY_SET")
        with pytest.raises(UserError, match="A_KEY_THAT_NOBODY_SET is not set"):
            asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        assert not server.got


def test_deadlines_for_connecting_reading_and_the_whole(tmp_path: Path) -> None:
    def late(got: Got) -> Say:
        if got.number == 0:
            return Say(answer(), seconds=5)
        if got.number == 1:
            return Say(answer(), drip=0.05)  # never 0.3 s between two bytes, but 8 s altogether
        return Say(answer())

    found = ask_one(tmp_path, late, patience=Patience(read=0.3, overall=0.6))
    assert found.text == "fine"
    first, second, *_, last = [status for status, _ in attempts(tmp_path)]
    assert (first, second, last) == ("timeout", "timeout", "answered")


def test_a_deadline_is_told_from_a_cancellation_by_others() -> None:
    async def one(
        deadlines: Deadlines, read: float, overall: float, connected: bool = True
    ) -> tuple[bool, str]:
        deadline = deadlines.begin(read, overall)
        if connected:
            deadlines.connected()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return deadlines.end(deadline), deadline.passed

    async def run() -> list[tuple[bool, str]]:
        deadlines = Deadlines()
        mute = asyncio.create_task(one(deadlines, 0.05, 9))
        slow = asyncio.create_task(one(deadlines, 9, 0.05))
        gone = asyncio.create_task(one(deadlines, 9, 9))
        connecting = asyncio.create_task(one(deadlines, 0.05, 9, connected=False))
        await asyncio.sleep(0.02)
        gone.cancel()
        return [await task for task in (mute, slow, gone, connecting)]

    assert asyncio.run(run()) == [
        (True, "nothing came for 0.05 s"),
        (True, "the overall deadline has passed"),
        (False, ""),
        (False, ""),
    ]


def test_nobody_to_connect_to_stops_the_run_in_words(tmp_path: Path) -> None:
    teacher = endpoint("http://127.0.0.1:9/v1", attempts=2)
    with pytest.raises(StageFailed, match="does not answer") as raised:
        asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
    assert "see whether the server runs" in str(raised.value)


class Told(Silent):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(message)


def test_an_outage_loses_no_row_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watari.endpoint.online._TELL", 0.3)
    # The server answers 40 requests, then nothing but 500s for 1.5 s: far longer than five quick attempts take.
    monkeypatch.setattr("watari.endpoint.dispatcher.LOOK", 0.1)
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_FIRST", 0.1)
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_LONGEST", 0.2)
    monkeypatch.setattr("watari.endpoint.online._BACK_OFF", 0.02)
    monkeypatch.setattr("watari.endpoint.online._LONGEST_BACK_OFF", 0.1)
    since: list[float] = []

    def saying(got: Got) -> Say:
        if got.number == 40:
            since.append(got.at)
        down = since and got.at - since[0] < 1.5
        return Say(b"", 500) if down else Say(answer(), seconds=0.01)

    with serving_raw(saying) as server:
        teacher = endpoint(server.base_url, attempts=2)

        async def work(asking: Asking) -> int:
            rows = work_through(range(300), lambda i: asking.ask(teacher, request(str(i))))
            return sum([1 async for _ in rows])

        told = Told()
        assert asked(tmp_path, teacher, work, told) == 300
        # 64 in flight, and then one at a time.
        assert len(server.got) < 300 + 64 * 2 + 40
        place = server.base_url
    assert told.lines == [
        f"{place} has stopped answering; it is tried again at least once a minute",
        f"{place} answers again",
    ]


def test_requests_that_bring_the_server_down_are_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.endpoint.dispatcher.LOOK", 0.1)
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_FIRST", 0.01)
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_LONGEST", 0.01)
    monkeypatch.setattr("watari.endpoint.online._BACK_OFF", 0.01)

    def saying(got: Got) -> Say:
        return Say(b"", 500) if int(got.text) >= 20 else Say(answer())

    async def one(asking: Asking, teacher: Endpoint, row: int) -> str:
        try:
            return (await asking.ask(teacher, request(str(row)))).text
        except AskFailed as failed:
            return failed.code

    with serving_raw(saying) as server:
        teacher = endpoint(server.base_url, attempts=2)

        async def work(asking: Asking) -> list[str]:
            return [text async for text in work_through(range(40), lambda i: one(asking, teacher, i))]

        texts = asked(tmp_path, teacher, work)
    assert texts == ["fine"] * 20 + ["gave up"] * 20


class _StopAfter(Silent):
    def __init__(self, server: RawServer, requests: int) -> None:
        self.server = server
        self.requests = requests

    def stop_requested(self) -> bool:
        return len(self.server.got) >= self.requests


def test_stopping_records_what_is_in_flight_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer(got.text), seconds=0.1)) as server:
        teacher = endpoint(server.base_url, limits=Limits(concurrency=20))

        async def work(asking: Asking, progress: Silent) -> list[str]:
            rows = work_through(range(300), lambda i: asking.ask(teacher, request(str(i))), progress=progress)
            return [found.text async for found in rows]

        stop = _StopAfter(server, 60)
        with pytest.raises(Interrupted):
            asked(tmp_path, teacher, lambda asking: work(asking, stop), progress=stop)
        sent = len(server.got)
        assert attempts(tmp_path) == [("answered", 200)] * sent
        assert 0 < sent < 300
        texts = asked(tmp_path, teacher, lambda asking: work(asking, Silent()))
        assert texts == [str(i) for i in range(300)]
        assert len(server.got) == 300


def test_the_budget_of_requests_is_kept_with_many_in_flight(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer(), seconds=0.02)) as server:
        teacher = endpoint(server.base_url)

        async def work(asking: Asking) -> None:
            async for _ in work_through(range(1000), lambda i: asking.ask(teacher, request(str(i)))):
                pass

        with pytest.raises(StageFailed):
            asked(tmp_path, teacher, work, budget=Budget(requests=100))
        assert 90 <= len(server.got) <= 100


def test_who_waits_to_be_let_in_sets_nothing_aside(tmp_path: Path) -> None:
    most: list[tuple[int, int]] = []

    async def work(asking: Asking) -> None:
        tasks = [asyncio.create_task(asking.ask(teacher, request(str(i)))) for i in range(60)]
        while not all(task.done() for task in tasks):
            held = asking.ledger.held()
            most.append((sum(one.in_flight for one in held), sum(one.amounts[2] for one in held)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)

    with serving_raw(lambda got: Say(answer(), seconds=0.05)) as server:
        teacher = endpoint(server.base_url, limits=Limits(concurrency=4))
        asked(tmp_path, teacher, work, budget=Budget(requests=1000))
    # A little more than 4: an answer is settled once it is durable, and its place is taken before.
    assert 1 <= max(count for count, _ in most) <= 16
    # So much a kill -9 would have cost.
    assert max(requests for _, requests in most) <= 50


def test_who_waits_for_the_budget_stops_nobody(tmp_path: Path) -> None:
    # Room for the worst case of one: each waits until the one before is settled.
    with serving_raw(lambda got: Say(answer())) as server:
        teacher = endpoint(server.base_url, limits=Limits(concurrency=3), sampler={"max_tokens": 200})

        async def work(asking: Asking) -> Any:
            return await asyncio.gather(*(asking.ask(teacher, request(str(i))) for i in range(8)))

        answers = asked(tmp_path, teacher, work, budget=Budget(tokens=400))
        assert len(answers) == len(server.got) == 8
        assert server.peak == 1


def test_a_place_whose_hold_is_refused_is_free_again(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer())) as server:
        teacher = endpoint(server.base_url, limits=Limits(concurrency=2), sampler={"max_tokens": 500})

        async def work(asking: Asking) -> int:
            with pytest.raises(StageFailed, match="budget of stage is spent"):
                await asyncio.gather(*(asking.ask(teacher, request(str(i))) for i in range(6)))
            online: Any = asking._backends["online"]
            await asyncio.sleep(0.05)
            return sum(dispatcher.in_flight for dispatcher in online._dispatchers.values())

        assert asked(tmp_path, teacher, work, budget=Budget(tokens=400)) == 0
        assert not server.got


class Both(AskingParams):
    fast: EndpointRef
    cheap: EndpointRef


def test_online_and_batch_in_a_stage_spend_from_one_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.endpoint.batch_gathering.QUIET", 0.1)
    monkeypatch.setattr("watari.endpoint.batch_queue.FIRST_LOOK", 0.02)
    script = Script(lambda body: "yes", Behaviour(batch_seconds=0.3, latency=300))

    async def run(url: str) -> list[Any]:
        fast, cheap = (
            Endpoint(name=name, base_url=url, model="m", backend=backend)
            for name, backend in (("fast", "online"), ("cheap", "batch"))
        )
        params = Both(
            fast=fast,
            cheap=cheap,
            ledger=str(tmp_path / "ledger.sqlite"),
            label="stage",
            budget=Budget(requests=6),
        )
        async with open_asking(params, Silent()) as asking:
            asked = [
                asking.ask(teacher, request(f"{teacher.label} {i}"))
                for i in range(4)
                for teacher in (fast, cheap)
            ]
            tasks = asyncio.gather(*asked, return_exceptions=True)
            held = []
            while not tasks.done():
                held += [one for one in asking.ledger.held() if one.amounts[2]]
                await asyncio.sleep(0.02)
            # One block of this process, and all in it.
            assert {(one.label, one.holder) for one in held} == {("stage", asking.ledger.holder.name)}
            assert max(one.amounts[2] for one in held) <= 6
            return await tasks

    with serve(script) as server:
        answers = asyncio.run(run(server.base_url))
    with open_ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        assert ledger.spent("stage").requests <= 6
        endpoints = {name for (name,) in ledger.rows("SELECT DISTINCT endpoint FROM attempt")}
    assert endpoints == {"fast", "cheap"}
    assert any(isinstance(found, StageFailed) and "is spent" in str(found) for found in answers)


@pytest.mark.parametrize(
    ("price", "budget"),
    [(Price(input=1.0), Budget(money=1.0)), (Price(), Budget(tokens=1000))],
    ids=["money", "tokens"],
)
def test_an_answer_of_any_length_is_not_asked_for_within_a_budget(
    tmp_path: Path, price: Price, budget: Budget
) -> None:
    with serving_raw(lambda got: Say(answer())) as server:
        teacher = endpoint(server.base_url, price=price)
        for whose in ("budget", "run_budget"):
            with pytest.raises(
                UserError, match=r"endpoint fast: without `max_tokens` nobody knows"
            ) as raised:
                asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()), **{whose: budget})
            assert "max_tokens" in str(raised.value.mend)
        assert not server.got
        limited = request(settings={"max_tokens": 100})
        assert (
            asked(tmp_path, teacher, lambda asking: asking.ask(teacher, limited), budget=budget).text
            == "fine"
        )


def message(reason: str | None, **fields: Any) -> Say:
    return Say(orjson.dumps({"choices": [{"message": fields, "finish_reason": reason}]}))


@pytest.mark.parametrize(
    "first",
    [
        message("stop", content=None),
        message(None, content=None),
        message("stop", content=None, reasoning_content="hm"),
        message("tool_calls", content=None, tool_calls=[{"function": {"name": "search"}}]),
    ],
    ids=["stop", "no reason", "thoughts only", "a tool"],
)
def test_a_reply_without_a_text_is_no_answer(tmp_path: Path, first: Say) -> None:
    assert ask_one(tmp_path, lambda got: Say(answer()) if got.number else first).text == "fine"
    assert attempts(tmp_path) == [("unreadable answer", 200), ("answered", 200)]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (message("stop", content=None, refusal="I can't help with that."), "I can't help with that."),
        (message("length", content=None, reasoning_content="hm, hm"), ""),
        (message("stop", content="yes", reasoning_content="thought about it"), "yes"),
        (message("stop", content=""), ""),
    ],
    ids=["refusal", "thought too long", "thoughts", "empty"],
)
def test_refusals_and_thoughts(tmp_path: Path, said: Say, text: str) -> None:
    assert ask_one(tmp_path, lambda got: said).text == text
    assert attempts(tmp_path) == [("answered", 200)]
    with open_ledger(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        # Thoughts are no part of the answer, and on record.
        assert bytes(ledger.rows("SELECT response FROM body")[0][0]) == said.body


def test_a_missing_ledger_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_asking(Params(teacher=endpoint("http://127.0.0.1:9/v1")), Silent()):
            pass

    with pytest.raises(UserError, match="no ledger"):
        asyncio.run(run())


def test_the_place_at_the_server_is_free_before_the_answer_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watari.endpoint.ledger.ledger import Ledger

    record = Ledger.record

    sent = 0

    async def late(self: Ledger, attempt: Any) -> int:
        # No answer becomes durable before all questions are at the server.
        async with asyncio.timeout(30):
            while sent < 40:
                await asyncio.sleep(0.01)
        return await record(self, attempt)

    def say(got: Got) -> Say:
        nonlocal sent
        sent += 1
        return Say(answer(), seconds=0.02)

    monkeypatch.setattr(Ledger, "record", late)
    with serving_raw(say) as server:
        teacher = endpoint(server.base_url, limits=Limits(concurrency=4))

        async def work(asking: Asking) -> None:
            async for _ in work_through(range(40), lambda i: asking.ask(teacher, request(str(i)))):
                pass

        asked(tmp_path, teacher, work)
        assert server.peak <= 4
        assert len(server.got) == 40


def test_an_answer_is_durable_when_it_is_given(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer())) as server:
        teacher = endpoint(server.base_url)

        async def work(asking: Asking) -> None:
            for i in range(3):
                found = await asking.ask(teacher, request(str(i)))
                assert attempts(tmp_path) == [("answered", 200)] * (i + 1)
                assert found.attempt == i + 1

        asked(tmp_path, teacher, work)


def test_what_was_voided_is_asked_anew(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(answer(str(got.number)))) as server:
        teacher = endpoint(server.base_url)
        assert asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request())).text == "0"
        with open_ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.retry(label="stage") == 1
        for _ in range(2):
            assert asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request())).text == "1"
        assert len(server.got) == 2


def test_spending(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(b"", 500) if got.number == 0 else Say(answer())) as server:
        teacher = endpoint(server.base_url, price=Price(input=1.0))

        async def work(asking: Asking) -> dict[str, Any]:
            await asking.ask(teacher, request())
            await asking.ask(teacher, request())
            return asking.spending()

        (told,) = asked(tmp_path, teacher, work).values()
    wanted = {"requests": 2, "answered": 1, "recorded": 1, "errors": 1, "limited": 0, "prompt_tokens": 10}
    assert {name: told[name] for name in wanted} == wanted
    assert told["cost"] == pytest.approx(10e-6)


def test_a_server_that_never_answers_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_FIRST", 0.01)
    monkeypatch.setattr("watari.endpoint.dispatcher.PROBE_LONGEST", 0.05)
    monkeypatch.setattr("watari.endpoint.online._BACK_OFF", 0.01)
    monkeypatch.setattr("watari.endpoint.online._START", 0.2)
    with serving_raw(lambda got: Say(b"", 500)) as server:
        teacher = endpoint(server.base_url)

        async def work(asking: Asking) -> list[str]:
            rows = work_through(range(30), lambda i: asking.ask(teacher, request(str(i))))
            return [answer.text async for answer in rows]

        with pytest.raises(StageFailed, match="does not answer: server error"):
            asked(tmp_path, teacher, work)


def test_a_key_that_the_server_repeats_reaches_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-watari-0123456789"
    monkeypatch.setenv("TOY_KEY", secret)

    def saying(got: Got) -> Say:
        if got.text == "refuse":
            return Say(orjson.dumps({"error": {"message": f"no rights for {secret}"}}), 400)
        return Say(answer(f"your key is {secret}"))

    with serving_raw(saying) as server:
        teacher = endpoint(server.base_url, key_env="TOY_KEY")
        first = asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        again = asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request()))
        with pytest.raises(AskFailed) as refused:
            asked(tmp_path, teacher, lambda asking: asking.ask(teacher, request("refuse")))
    assert first.text == again.text == "your key is [hidden]"
    assert again.recorded
    assert secret not in str(refused.value)
    assert "no rights for [hidden]" in str(refused.value)
