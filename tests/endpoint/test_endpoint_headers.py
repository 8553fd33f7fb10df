"""What headers say, and what replies mean."""

from __future__ import annotations

from email.utils import formatdate

import numpy as np
import pytest
from multidict import CIMultiDict

from watari.endpoint.failures import classify
from watari.endpoint.headers import Allowance, allowances, duration, retry_after
from watari.endpoint.http import Reply
from watari.endpoint.limits import Bucket, Concurrency, Credit
from watari.endpoint.reading import Usage, read_reply
from watari.endpoint.settings import Endpoint, Price

NOW = 1_800_000_000.0
ENDPOINT = Endpoint(name="fast", base_url="http://127.0.0.1/v1", model="m")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e99"}, 3600.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    found = retry_after(CIMultiDict(headers), NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=1))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3600.0),
        ("59.70", 59.7),
        (str(NOW + 12), 12.0),
        (str(int((NOW + 12) * 1000)), 12.0),
        ("2027-01-15T08:00:30Z", 30.0),
        ("", None),
        ("1 fortnight", None),
        ("1s of peace", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    found = duration(text, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=0.1))


def test_allowances() -> None:
    requests, tokens = allowances(
        CIMultiDict(
            {
                "X-RateLimit-Limit-Requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "149984",
            }
        ),
        NOW,
    )
    assert requests == Allowance(59, 60, 1.0)
    assert tokens == Allowance(149984, None, None)
    short, none = allowances(CIMultiDict({"ratelimit-remaining": "3", "ratelimit-reset": "5"}), NOW)
    assert short == Allowance(3, None, 5.0)
    assert none is None
    assert allowances(CIMultiDict({"x-ratelimit-remaining-requests": "many"}), NOW) == (None, None)


def reply(status: int, body: bytes) -> Reply:
    return Reply(status, body, {}, "", "", 0.0, 0.1)


@pytest.mark.parametrize(
    ("status", "body", "sort"),
    [
        (429, b'{"error": {"message": "Rate limit reached for requests per minute"}}', "limited"),
        (429, b"Too Many Requests", "limited"),
        # Google's words for a limit per minute name the quota too.
        (429, b'{"error": {"message": "You exceeded your current quota. Please retry in 12s."}}', "limited"),
        (429, b'{"error": {"message": "You exceeded your current quota, check your plan"}}', "stop"),
        (429, b'{"error": {"message": "...", "type": "insufficient_quota"}}', "stop"),
        (400, b'{"error": {"message": "Your credit balance is too low to access the API"}}', "stop"),
        (403, b'{"error": {"message": "blocked", "code": "content_filter"}}', "refused"),
        (500, b"", "busy"),
        (529, b"overloaded", "busy"),
        (408, b"", "busy"),
        (400, b'[{"error": {"message": "in a list"}}]', "refused"),
        (400, b'{"detail": "vLLM says"}', "refused"),
        (200, b'{"error": {"message": "Provider returned error", "code": 429}}', "limited"),
        (200, b'{"error": {"message": "no credit", "code": 402}}', "stop"),
        (200, b'{"error": {"message": "overloaded"}}', "busy"),
        (307, b"", "stop"),
    ],
)
def test_what_a_reply_means(status: int, body: bytes, sort: str) -> None:
    assert classify(ENDPOINT, reply(status, body)).sort == sort


def test_reading_an_answer() -> None:
    read = read_reply(
        b'{"model": "x", "choices": [{"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},'
        b' {"index": 0, "message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": "length"}],'
        b' "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}}',
        "chat",
    )
    assert [choice.text for choice in read.choices] == ["a", "b"]
    assert read.choices[0].finish_reason == "length"
    assert read.usage == Usage(7, 3, 4)
    priced = ENDPOINT.model_copy(update={"price": Price(input=10, output=100, cached=1)})
    assert read.usage.cost(priced) == pytest.approx((3 * 10 + 4 * 1 + 3 * 100) / 1e6)
    assert read_reply(b'{"choices": [{"text": "go on"}]}', "completions").choices[0].text == "go on"
    thinking = read_reply(b'{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}', "chat")
    assert thinking.choices[0].text == ""
    assert thinking.choices[0].finish_reason == "length"


def test_concurrency_doubles_while_throughput_grows_and_is_cut_once_a_round_trip() -> None:
    concurrency = Concurrency()
    assert concurrency.limit == 64
    now = 0.0
    for _ in range(5):
        limit = concurrency.limit
        concurrency.taken(limit)
        for _ in range(limit):
            concurrency.answered(now + 0.2, now)
        now += 0.2
    assert concurrency.limit == 512
    for _ in range(100):  # all sent before the first cut: one cut
        concurrency.failed(now + 0.1, now)
    assert concurrency.limit == int(512 * 0.7)
    for _ in range(100):
        concurrency.failed(now + 0.5, now + 0.2)
    assert concurrency.limit == int(int(512 * 0.7) * 0.7)


def test_one_failure_in_a_hundred_cuts_nothing() -> None:
    concurrency = Concurrency(256)
    for turn in range(5000):
        now = turn * 0.001
        concurrency.taken(concurrency.limit)
        (concurrency.failed if turn % 100 == 99 else concurrency.answered)(now + 0.2, now)
    assert concurrency.limit == 256


@pytest.mark.parametrize("seed", range(5))
def test_four_failures_in_a_hundred_cut_nothing_where_few_are_in_flight(seed: int) -> None:
    draws = np.random.default_rng(seed).random(2000)
    concurrency = Concurrency(32)
    for number, draw in enumerate(draws):
        now = number / 160
        if draw < 0.04:
            concurrency.failed(now, now - 0.2)
        else:
            concurrency.answered(now, now - 0.2)
    assert concurrency.limit == 32


def test_a_server_that_fails_every_third_request_is_asked_less_at_once() -> None:
    concurrency = Concurrency(32)
    for number in range(60):
        now = number / 160
        if number % 3:
            concurrency.answered(now, now - 0.2)
        else:
            concurrency.failed(now, now - 0.2)
    assert concurrency.limit < 32


def test_a_bucket_takes_what_is_larger_than_itself_and_pays_afterwards() -> None:
    bucket = Bucket(60_000, 0.0)  # 1,000 tokens a second
    at = bucket.ready(0.0, 5000)
    bucket.take(at, 5000)
    assert bucket.ready(at, 10) == pytest.approx(at + 5.0, abs=0.1)
    bucket.correct(-4000)  # it used 1,000 only
    assert bucket.ready(at, 10) == pytest.approx(at + 1.0, abs=0.1)


def test_credit_counts_what_was_sent_since() -> None:
    credit = Credit()
    assert credit.ready(0.0, 1, alone=False) == 0.0
    credit.take(1)
    first = credit.taken
    for _ in range(4):
        credit.take(1)
    credit.told(1.0, 6, first, 100, 30.0)  # 6 were left when the first arrived; 4 have gone since
    assert credit.left == 2
    credit.take(1)
    credit.take(1)
    assert credit.ready(1.0, 1, alone=False) == 31.0
    assert 1.0 < credit.ready(1.0, 1, alone=True) < 2.0
    assert credit.ready(31.0, 1, alone=False) == 31.0
