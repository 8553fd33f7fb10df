"""The replay server over real HTTP: answers, limits of an answer, every fault, caps, counters; that runs repeat."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from watari.endpoint.replay import Behaviour, Listening, Reply, Script, load_script, script_at, serve, serving
from watari.endpoint.replay.__main__ import main
from watari.endpoint.replay.answers import pieces
from watari.endpoint.replay.draws import Draws
from watari.endpoint.replay.pace import duration
from watari.errors import UserError


def send(
    base: str, path: str, body: Any = None, *, method: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    """One request on a connection of its own: status, body (JSON where it is), headers."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, data, dict(headers or {}))
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    try:
        return response.status, json.loads(raw), response.headers
    except ValueError:
        return response.status, raw, response.headers


def chat(base: str, text: str = "hello", **fields: Any) -> tuple[int, Any, Mapping[str, str]]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return send(base, "/v1/chat/completions", body)


def scripted(answer: Callable[..., Any] = lambda body: "yes", **settings: Any) -> Any:
    return serve(Script(answer, Behaviour(**settings)))


def outcome(base: str, text: str, **fields: Any) -> str:
    """A word for what came back."""
    try:
        status, body, _ = chat(base, text, **fields)
    except (http.client.HTTPException, OSError) as error:
        return type(error).__name__
    if status != 200:
        return str(status)
    ok = (
        isinstance(body, dict)
        and body.get("choices")
        and isinstance(body["choices"][0]["message"]["content"], str)
    )
    return "ok" if ok else "garbage"


# -- answers --


def test_an_answer_in_the_chat_form() -> None:
    with scripted(lambda body: f"you said {body['messages'][-1]['content']}") as on:
        status, body, _ = chat(on.base_url, "こんにちは")
        stats = on.stats()
    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "you said こんにちは"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert body["usage"] == {"prompt_tokens": 8, "completion_tokens": 6, "total_tokens": 14}
    assert (stats["prompt_tokens"], stats["completion_tokens"]) == (8, 6)
    assert on.base_url.startswith("http://127.0.0.1:")


def test_n_answers_each_with_its_number_and_the_seed() -> None:
    with scripted(lambda body, choice: f"{body['seed']}/{choice}") as on:
        _, body, _ = chat(on.base_url, n=3, seed=11)
    assert [choice["message"]["content"] for choice in body["choices"]] == ["11/0", "11/1", "11/2"]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("fields", "text", "reason"),
    [
        ({"max_tokens": 2}, "abcdefgh", "length"),
        ({"max_completion_tokens": 1}, "abcd", "length"),
        ({"stop": "f"}, "abcde", "stop"),
        ({"stop": ["zz", "kl"], "max_tokens": 2}, "abcdefgh", "length"),
        ({"stop": ["ef"], "max_tokens": 2}, "abcd", "stop"),
        ({"max_tokens": 100}, "abcdefghijkl", "stop"),
    ],
)
def test_stop_and_max_tokens_cut_the_answer(fields: dict[str, Any], text: str, reason: str) -> None:
    with scripted(lambda body: "abcdefghijkl") as on:
        _, body, _ = chat(on.base_url, **fields)
    assert body["choices"][0]["message"]["content"] == text
    assert body["choices"][0]["finish_reason"] == reason
    assert body["usage"]["completion_tokens"] == len(text) // 4 + bool(len(text) % 4)


def test_a_cut_leaves_no_half_letter() -> None:
    with scripted(lambda body: "日本語の文") as on:
        _, body, _ = chat(on.base_url, max_tokens=2)  # eight bytes: two letters and two thirds of one
    assert body["choices"][0]["message"]["content"] == "日本"


def test_plain_completions_have_prompts_echo_and_logprobs() -> None:
    asked = {"model": "m", "prompt": "once ", "max_tokens": 3, "logprobs": 2, "echo": True}
    with scripted(lambda body: f"[{body['prompt']}] upon a time") as on:
        _, body, _ = send(on.base_url, "/v1/completions", asked)
        _, several, _ = send(on.base_url, "/v1/completions", {"model": "m", "prompt": ["a", "b"], "n": 2})
    choice = body["choices"][0]
    assert choice["text"] == "once [once ] upon"
    assert choice["finish_reason"] == "length"
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["token_logprobs"][0] is None
    assert all(value <= 0 for value in logprobs["token_logprobs"][1:])
    assert all(len(top) == 2 for top in logprobs["top_logprobs"][1:])
    assert [choice["text"][:3] for choice in several["choices"]] == ["[a]", "[a]", "[b]", "[b]"]
    assert [choice["index"] for choice in several["choices"]] == [0, 1, 2, 3]


def test_chat_logprobs() -> None:
    with scripted(lambda body: "はい、そうです") as on:
        _, body, _ = chat(on.base_url, logprobs=True, top_logprobs=3)
    entries = body["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == pieces("はい、そうです")
    assert all(entry["top_logprobs"][0]["logprob"] == entry["logprob"] for entry in entries)
    assert all(len(entry["top_logprobs"]) == 3 for entry in entries)


def test_a_script_may_say_everything_of_a_reply() -> None:
    def answer(body: Mapping[str, Any]) -> Any:
        if "teapot" in body["messages"][-1]["content"]:
            return {"text": "I am one", "status": 418, "code": "teapot", "headers": {"x-a": "b"}}
        return Reply("", finish_reason="tool_calls", message={"reasoning_content": "hm"})

    with scripted(answer) as on:
        status, body, headers = chat(on.base_url, "teapot")
        _, other, _ = chat(on.base_url, "x")
    assert (status, body["error"]["message"], body["error"]["code"], headers["x-a"]) == (
        418,
        "I am one",
        "teapot",
        "b",
    )
    assert other["choices"][0]["message"]["reasoning_content"] == "hm"
    assert other["choices"][0]["finish_reason"] == "tool_calls"


def test_a_defect_of_the_script_is_a_500_with_its_words() -> None:
    with scripted(lambda body: {}["nothing"]) as on:
        status, body, _ = chat(on.base_url)
        assert status == 500
        assert "nothing" in body["error"]["message"]
        assert "KeyError" in on.stats()["script_error"]
        assert on.stats()["in_flight"] == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{no json", "no JSON"),
        ([], "object"),
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [{"content": "x"}]}, "role"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 0}, "n: 0"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}, "stream"),
    ],
)
def test_a_body_that_breaks_the_protocol_is_a_400(body: Any, told: str) -> None:
    with scripted() as on:
        status, said, _ = send(on.base_url, "/v1/chat/completions", body)
    assert status == 400
    assert told in said["error"]["message"]


def test_models_and_unknown_paths() -> None:
    with scripted() as on:
        assert send(on.base_url, "/v1/models")[1]["data"][0]["id"] == "replay"
        assert send(on.base_url, "/v1/nothing")[0] == 404
        assert send(on.base_url, "/v1/chat/completions", method="GET")[0] == 405


# -- the wire --


def raw(on: Listening, data: bytes, *, seconds: float = 0.5) -> bytes:
    with socket.create_connection(("127.0.0.1", on.port), timeout=5) as connection:
        connection.settimeout(seconds)
        connection.sendall(data)
        found = b""
        try:
            while piece := connection.recv(65536):
                found += piece
        except TimeoutError:
            pass
        return found


def posted(text: str, head: str = "") -> bytes:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    first = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{head}\r\n"
    return first.encode() + body


def test_requests_in_one_go_are_answered_in_order() -> None:
    with scripted(lambda body: body["messages"][0]["content"], latency=20) as on:
        found = raw(on, posted("first") + posted("second") + posted("third", "connection: close\r\n"))
    places = [found.find(f'"content":"{word}"'.encode()) for word in ("first", "second", "third")]
    assert -1 < places[0] < places[1] < places[2]


def test_a_request_in_drops_and_in_chunks() -> None:
    with scripted(lambda body: body["messages"][0]["content"]) as on:
        with socket.create_connection(("127.0.0.1", on.port), timeout=5) as connection:
            for byte in posted("drops"):
                connection.sendall(bytes([byte]))
            assert b'"content":"drops"' in connection.recv(65536)
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "chunks"}]}).encode()
        chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:7], body[7:]))
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )
        assert b'"content":"chunks"' in raw(on, head + chunks + b"0\r\n\r\n")


def test_what_is_no_http_ends_the_connection() -> None:
    with scripted() as on:
        assert raw(on, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert raw(on, b"POST / HTTP/1.1\r\ncontent-length: -5\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert outcome(on.base_url, "still there") == "ok"


def test_an_idle_connection_is_cut_without_a_word() -> None:
    with (
        scripted(keep_alive=0.1) as on,
        socket.create_connection(("127.0.0.1", on.port), timeout=20) as connection,
    ):
        connection.sendall(posted("x"))
        assert b"200 OK" in connection.recv(65536)
        assert connection.recv(1) == b""


# -- faults --


def test_each_fault_over_the_wire() -> None:
    told = {
        "rate_429": {"429"},
        "rate_500": {"500"},
        "rate_503": {"503"},
        "rate_400": {"400"},
        "rate_cut": {"IncompleteRead"},
        "rate_reset": {"RemoteDisconnected", "ConnectionResetError"},
        "rate_hang": {"RemoteDisconnected", "ConnectionResetError"},
        "rate_garbage": {"garbage", "UnicodeDecodeError"},
    }
    for setting, words in told.items():
        with scripted(**{setting: 1.0, "hang": 0.2}) as on:
            assert outcome(on.base_url, "x") in words, setting
            stats = on.stats()
            assert stats["answered"] == 0, setting
            assert stats["in_flight"] == 0, setting
            assert sum(stats["faults"].values()) == 1, setting


def test_garbage_comes_in_several_kinds_with_status_200() -> None:
    with scripted(rate_garbage=1.0) as on:
        kinds = set()
        for number in range(40):
            status, body, headers = chat(on.base_url, str(number))
            assert status == 200
            kinds.add((headers["content-type"], str(body)[:200]))
    assert len(kinds) == 6


def test_a_dripping_answer_is_whole_in_the_end() -> None:
    with scripted(lambda body: "x" * 500, rate_drip=1.0, drip=0.4) as on:
        began = time.monotonic()
        status, body, _ = chat(on.base_url)
        assert time.monotonic() - began >= 0.35
        assert status == 200
        assert body["choices"][0]["message"]["content"] == "x" * 500
        assert on.stats()["answered"] == 1


def test_a_content_filter_and_a_refusal_last() -> None:
    with scripted(lambda body: "abcdefgh", rate_filter=1.0) as on:
        _, body, _ = chat(on.base_url)
    assert body["choices"][0]["finish_reason"] == "content_filter"
    assert body["choices"][0]["message"]["content"] == "abcd"
    with scripted(rate_400=0.5) as on:
        first = [outcome(on.base_url, str(number)) for number in range(40)]
        again = [outcome(on.base_url, str(number)) for number in range(40)]
    assert first == again
    assert set(first) == {"ok", "400"}


def test_faults_are_drawn_by_content_and_times_and_repeat_in_another_order() -> None:
    def run(texts: list[str], seed: int) -> dict[str, list[str]]:
        with scripted(rate_429=0.3, rate_500=0.3, seed=seed) as on:
            found: dict[str, list[str]] = {}
            for text in texts:
                found.setdefault(text, []).append(outcome(on.base_url, text))
        return found

    texts = [f"text {number}" for number in range(25)]
    forwards = run(texts * 3, seed=1)
    assert forwards == run(list(reversed(texts * 3)), seed=1)
    assert forwards != run(texts * 3, seed=2)
    # A body that was refused may be answered when it comes again, and the other way round.
    assert any(len(set(came)) > 1 for came in forwards.values())
    assert {word for came in forwards.values() for word in came} == {"ok", "429", "500"}


def test_shares_and_latency_are_as_set() -> None:
    draws = Draws(Behaviour(seed=3, latency=200, sd=50, rate_429=0.05, rate_cut=0.02, rate_hang=0.01))
    bodies = [str(number).encode() for number in range(20_000)]
    faults = Counter(draws.fault(body, 0) for body in bodies)
    assert faults["429"] / 20_000 == pytest.approx(0.05, abs=0.006)
    assert faults["cut"] / 20_000 == pytest.approx(0.02, abs=0.004)
    assert faults["hang"] / 20_000 == pytest.approx(0.01, abs=0.003)
    late = sorted(draws.seconds(body, 0) for body in bodies)
    assert sum(late) / len(late) == pytest.approx(0.2, abs=0.002)
    assert late[3173] == pytest.approx(0.15, abs=0.004)  # one standard deviation below the mean
    assert late[0] >= 0.02


def test_an_answer_is_as_late_as_set() -> None:
    with scripted(latency=150) as on:
        began = time.monotonic()
        assert outcome(on.base_url, "x") == "ok"
        assert time.monotonic() - began >= 0.15


# -- limits --


def test_a_cap_refuses_tells_the_truth_and_lets_pass_after_the_time_it_names() -> None:
    with scripted(cap=5, burst=2) as on:
        first, second, third = (chat(on.base_url, str(number)) for number in range(3))
        assert [first[0], second[0], third[0]] == [200, 200, 429]
        assert first[2]["x-ratelimit-limit-requests"] == "5"
        assert (first[2]["x-ratelimit-remaining-requests"], second[2]["x-ratelimit-remaining-requests"]) == (
            "1",
            "0",
        )
        assert third[1]["error"]["code"] == "rate_limit_exceeded"
        assert third[2]["retry-after"] == "1"
        wait = int(third[2]["retry-after-ms"]) / 1000
        assert 0 < wait <= 0.2
        time.sleep(wait)
        assert chat(on.base_url, "2")[0] == 200
        stats = on.stats()
    assert (stats["capped"], stats["rate_limited"], stats["answered"]) == (1, 1, 3)


def test_a_cap_may_keep_silent() -> None:
    with scripted(cap=1, headers=False) as on:
        chat(on.base_url)
        status, _, headers = chat(on.base_url)
    assert status == 429
    assert "retry-after" not in headers
    assert not [name for name in headers if name.lower().startswith("x-ratelimit")]


def test_a_cap_on_tokens_counts_prompt_and_max_tokens() -> None:
    with scripted(tokens_minute=600) as on:  # a hundred at once
        assert chat(on.base_url, "abcd", max_tokens=80)[0] == 200  # 5 + 80
        status, _, headers = chat(on.base_url, "efgh", max_tokens=80)
        assert status == 429
        assert headers["x-ratelimit-limit-tokens"] == "600"
        assert int(headers["x-ratelimit-remaining-tokens"]) < 20
        assert chat(on.base_url, "efgh", max_tokens=4)[0] == 200


def test_a_capped_request_does_not_count_as_having_come() -> None:
    # Else what is drawn for a body would hang on how often a client was refused, and so on the clock.
    with scripted(cap=1, burst=1, headers=False) as on:
        assert [outcome(on.base_url, "x") for _ in range(3)] == ["ok", "429", "429"]
        assert list(send(on.base_url, "/stats?bodies=1")[1]["by_body"].values()) == [[1, 1]]


@pytest.mark.parametrize(
    ("deny", "status", "code"),
    [
        ("401", 401, "invalid_api_key"),
        ("402", 402, None),
        ("403", 403, "model_not_allowed"),
        ("quota", 429, "insufficient_quota"),
    ],
)
def test_a_run_is_denied_after_so_many(deny: str, status: int, code: str | None) -> None:
    with scripted(deny=deny, deny_after=2) as on:
        found = [chat(on.base_url, str(number)) for number in range(4)]
    assert [one[0] for one in found] == [200, 200, status, status]
    assert found[2][1]["error"]["code"] == code


def test_a_key_is_asked_for_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_TEST_KEY", "sk-very-secret")
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    with scripted(key_env="REPLAY_TEST_KEY") as on:
        path = "/v1/chat/completions"
        assert send(on.base_url, path, body)[0] == 401
        assert send(on.base_url, path, body, headers={"authorization": "Bearer other"})[0] == 401
        assert send(on.base_url, path, body, headers={"authorization": "Bearer sk-very-secret"})[0] == 200
        stats = json.dumps(on.stats())
    assert "secret" not in stats
    assert len(json.loads(stats)["keys"]) == 3


def test_a_context_that_is_too_long() -> None:
    with scripted(context=50) as on:
        assert chat(on.base_url, "x" * 40, max_tokens=20)[0] == 200
        status, body, _ = chat(on.base_url, "x" * 160, max_tokens=20)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert "maximum context length is 50 tokens" in body["error"]["message"]


def test_durations_as_openai_writes_them() -> None:
    assert [duration(value) for value in (0.02, 1, 1.5, 60, 361.2)] == [
        "20ms",
        "1s",
        "1.5s",
        "1m0s",
        "6m1.2s",
    ]


# -- counters --


def test_what_was_asked_again_is_counted() -> None:
    with scripted() as on:
        for text in ("a", "b", "a", "a"):
            chat(on.base_url, text)
        stats = send(on.base_url, "/stats")[1]
        assert (stats["requests"], stats["bodies"], stats["answered"], stats["answered_again"]) == (
            4,
            2,
            4,
            2,
        )
        assert stats["models"] == {"m": 4}
        send(on.base_url, "/stats", b"")
        assert send(on.base_url, "/stats")[1]["requests"] == 0


def test_an_answer_that_nobody_waits_for_is_lost_not_answered() -> None:
    with scripted(latency=300) as on:
        with socket.create_connection(("127.0.0.1", on.port), timeout=5) as connection:
            connection.sendall(posted("x"))
            time.sleep(0.1)
        time.sleep(0.4)
        stats = on.stats()
    assert (stats["requests"], stats["lost"], stats["answered"], stats["in_flight"]) == (1, 1, 0, 0)


# -- scripts by name --


def test_rules_from_a_file(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- {match: 'translate: (?P<what>.+)', system: Japanese, answer: '「{what}」 {0}'}\n"
        "- {match: 'fail', status: 500, answer: broken}\n"
        "- {model: strong, answer: strong one}\n"
        "- {match: 'pick', answer: [one, two]}\n",
        "utf-8",
    )
    system = {"role": "system", "content": "Speak Japanese."}
    with serve(load_script(str(rules))) as on:
        asked = {"model": "m", "messages": [system, {"role": "user", "content": "translate: cat"}]}
        _, body, _ = send(on.base_url, "/v1/chat/completions", asked)
        assert body["choices"][0]["message"]["content"] == "「cat」 translate: cat"
        assert chat(on.base_url, "translate: cat")[0] == 404
        assert chat(on.base_url, "fail")[0] == 500
        assert chat(on.base_url, "x", model="strong-1")[1]["choices"][0]["message"]["content"] == "strong one"
        _, body, _ = chat(on.base_url, "pick", n=2)
        assert {choice["message"]["content"] for choice in body["choices"]} == {"one", "two"}


def test_recordings_from_lines(tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    asked = {"model": "a", "messages": [{"role": "user", "content": "hello"}], "seed": 1}
    said = {"choices": [{"message": {"content": "one"}, "finish_reason": "length"}]}
    other = {"choices": [{"message": {"content": "two"}, "finish_reason": "stop"}]}
    rows = [
        {"request": asked, "response": said},
        {"request": json.dumps({**asked, "seed": 2}), "response": json.dumps(other)},
        {"messages": [{"role": "user", "content": "who"}, {"role": "assistant", "content": "me"}]},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    with serve(script_at(f"replay://{file}")) as on:
        for seed, text in ((1, "one"), (2, "two")):
            body = {"seed": seed, "messages": asked["messages"], "model": "a"}  # another order of the fields
            _, found, _ = send(on.base_url, "/v1/chat/completions", body)
            assert found["choices"][0]["message"]["content"] == text
        assert chat(on.base_url, "who")[1]["choices"][0]["message"]["content"] == "me"
        assert chat(on.base_url, "hello")[1]["choices"][0]["message"]["content"] in ("one", "two")
        assert chat(on.base_url, "never asked")[0] == 404


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("replay://", "no script is named"),
        ("replay://nobody", "no such script"),
        ("replay://filler?latency=soon", "latency"),
        ("replay://filler?rate_429=2", "rate_429"),
        ("replay://echo?latncy=2", "latncy is no setting"),
        ("replay://watari.nothing:here", "No module"),
    ],
)
def test_a_wrong_address_is_told(url: str, told: str) -> None:
    with pytest.raises(UserError, match=told), serving(url):
        pass


def test_a_wrong_rule_is_told(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    for text, told in (
        ("- {match: x, anwser: y}", "rule 1: anwser"),
        ("- {match: '(', answer: y}", "no pattern"),
        ("just text", "no list"),
    ):
        rules.write_text(text, "utf-8")
        with pytest.raises(UserError, match=told):
            load_script(str(rules))


# -- processes --


def test_serving_starts_a_process_that_ends_with_the_block() -> None:
    with serving("replay://echo?latency=10&sd=2&seed=4") as base:
        assert chat(base, "hello")[1]["choices"][0]["message"]["content"] == "hello"
    with pytest.raises(OSError):
        chat(base)


def test_a_thread_serves_also_from_within_a_running_loop() -> None:
    async def run() -> int:
        with scripted() as on:
            return (await asyncio.to_thread(chat, on.base_url))[0]

    assert asyncio.run(run()) == 200


def test_a_port_that_is_taken_is_told() -> None:
    with scripted() as on, pytest.raises(UserError, match=f"port {on.port}"), serve(Script(str), on.port):
        pass


def test_the_server_ends_when_its_parent_is_killed() -> None:
    code = (
        "import os, signal\nfrom watari.endpoint.replay import serving\n"
        "with serving('replay://echo') as base:\n    print(base, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            chat(done.stdout.strip())
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent")


def test_the_command_serves_and_tells_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-m", "watari.endpoint.replay"]
    with subprocess.Popen(
        [*command, "echo", "--set", "seed=3", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        base = child.stdout.readline().decode().strip()
        assert chat(base, "hi")[0] == 200
        child.stdin.close()
        assert child.wait(10) == 0
    assert main(["nobody"]) == 1
    assert "no such script" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "rate_429" in capsys.readouterr().out
