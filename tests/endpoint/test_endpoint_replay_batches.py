"""The replay server's Batch API, and recordings from a real ledger."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from watari.artifact.stage import Silent
from watari.endpoint.asking import open_asking
from watari.endpoint.params import AskingParams, EndpointRef
from watari.endpoint.replay import Behaviour, Script, script_at, serve
from watari.endpoint.request import Answer, Request
from watari.endpoint.settings import Endpoint

CHAT = "/v1/chat/completions"


def call(
    base: str, path: str, data: bytes | None = None, kind: str = "application/json", method: str = ""
) -> Any:
    request = urllib.request.Request(
        f"{base}{path}", data, {"content-type": kind}, method=method or ("GET" if data is None else "POST")
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        raw = answer.read()
    return raw if path.endswith("/content") else json.loads(raw)


def upload(base: str, content: bytes) -> str:
    mark = "----boundary7"
    body = (
        (
            f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        + content
        + f"\r\n--{mark}--\r\n".encode()
    )
    file = call(base, "/files", body, f'multipart/form-data; boundary="{mark}"')
    assert file["bytes"] == len(content)
    return str(file["id"])


def lines(*names: str, url: str = CHAT) -> bytes:
    rows = [
        {
            "custom_id": name,
            "method": "POST",
            "url": url,
            "body": {"model": "m", "messages": [{"role": "user", "content": f"ask {name}"}]},
        }
        for name in names
    ]
    return "\n".join(json.dumps(row) for row in rows).encode()


def create(base: str, content: bytes) -> str:
    asked = {
        "input_file_id": upload(base, content),
        "endpoint": CHAT,
        "completion_window": "24h",
        "metadata": {"a": "b"},
    }
    return str(call(base, "/batches", json.dumps(asked).encode())["id"])


def ended(base: str, name: str) -> dict[str, Any]:
    seen = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        batch: dict[str, Any] = call(base, f"/batches/{name}")
        seen.append(batch["status"])
        if batch["status"] in ("completed", "failed", "expired", "cancelled"):
            return {**batch, "seen": list(dict.fromkeys(seen))}
        time.sleep(0.01)
    raise AssertionError(seen)


def rows_of(base: str, file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    found = [json.loads(line) for line in call(base, f"/files/{file}/content").splitlines()]
    return {row["custom_id"]: row for row in found}


def serving(**settings: Any) -> Any:
    return serve(Script(lambda body: body["messages"][0]["content"].upper(), Behaviour(**settings)))


def test_a_batch_goes_through_its_states_and_is_answered_in_another_order() -> None:
    names = [f"row-{number}" for number in range(12)]
    with serving(batch_seconds=0.3) as on:
        batch = ended(on.base_url, create(on.base_url, lines(*names)))
        assert batch["seen"] == ["validating", "in_progress", "finalizing", "completed"]
        assert batch["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
        assert batch["metadata"] == {"a": "b"}
        assert batch["error_file_id"] is None
        output = rows_of(on.base_url, batch["output_file_id"])
        assert list(output) != names
        assert sorted(output) == sorted(names)
        for name, row in output.items():
            assert row["response"]["status_code"] == 200
            assert row["response"]["body"]["choices"][0]["message"]["content"] == f"ASK {name.upper()}"
        assert on.stats()["answered"] == 12
        assert on.stats()["answered_again"] == 0


def test_an_expired_batch_has_a_part_of_its_answers_and_says_which_are_missing() -> None:
    names = [f"row-{number}" for number in range(40)]
    with serving(batch="expired", batch_share=0.5, batch_seconds=0.05) as on:
        batch = ended(on.base_url, create(on.base_url, lines(*names)))
        output, errors = (
            rows_of(on.base_url, batch["output_file_id"]),
            rows_of(on.base_url, batch["error_file_id"]),
        )
    assert batch["status"] == "expired"
    assert sorted([*output, *errors]) == sorted(names)
    assert 10 < len(output) < 30
    assert all(row["error"]["code"] == "batch_expired" and row["response"] is None for row in errors.values())
    assert batch["request_counts"] == {"total": 40, "completed": len(output), "failed": len(errors)}


def test_a_completed_batch_may_have_nothing_but_an_error_file() -> None:
    with serving(batch="errors", batch_seconds=0.05) as on:
        batch = ended(on.base_url, create(on.base_url, lines("a", "b")))
        errors = rows_of(on.base_url, batch["error_file_id"])
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert {row["response"]["status_code"] for row in errors.values()} == {500}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lines("a", "a"), "duplicate_custom_id"),
        (lines("a", url="/v1/completions"), "mismatched_endpoint"),
        (b"{broken", "invalid_json_line"),
        (
            b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}',
            "missing_required_parameter",
        ),
        (b"", "empty_file"),
    ],
)
def test_a_file_that_is_wrong_fails_the_batch(content: bytes, code: str) -> None:
    with serving(batch_seconds=0.05) as on:
        batch = ended(on.base_url, create(on.base_url, content))
        assert batch["status"] == "failed"
        assert batch["errors"]["data"][0]["code"] == code
        assert on.stats()["answered"] == 0


def test_single_lines_fail_by_the_draw() -> None:
    names = [f"row-{number}" for number in range(60)]
    with serving(rate_500=0.3, batch_seconds=0.05) as on:
        batch = ended(on.base_url, create(on.base_url, lines(*names)))
        errors = rows_of(on.base_url, batch["error_file_id"])
        output = rows_of(on.base_url, batch["output_file_id"])
    assert 5 < len(errors) < 35
    assert sorted([*errors, *output]) == sorted(names)


def test_a_batch_can_be_cancelled_and_keeps_what_was_done() -> None:
    names = [f"row-{number}" for number in range(40)]
    with serving(batch_seconds=0.6) as on:
        name = create(on.base_url, lines(*names))
        time.sleep(0.3)
        assert call(on.base_url, f"/batches/{name}/cancel", b"")["status"] == "cancelling"
        batch = ended(on.base_url, name)
        assert batch["status"] == "cancelled"
        assert 0 < batch["request_counts"]["completed"] < 40
        with pytest.raises(urllib.error.HTTPError, match="409"):
            call(on.base_url, f"/batches/{name}/cancel", b"")


def test_lists_are_paged_newest_first_and_files_can_be_deleted() -> None:
    with serving(batch_seconds=0.0) as on:
        base = on.base_url
        names = [create(base, lines("a")) for _ in range(3)]
        first = call(base, "/batches?limit=2")
        assert [batch["id"] for batch in first["data"]] == [names[2], names[1]]
        assert first["has_more"]
        rest = call(base, f"/batches?limit=2&after={first['last_id']}")
        assert [batch["id"] for batch in rest["data"]] == [names[0]]
        assert not rest["has_more"]
        file = upload(base, b"{}")
        assert file in [one["id"] for one in call(base, "/files")["data"]]
        assert call(base, f"/files/{file}", method="DELETE")["deleted"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            call(base, f"/files/{file}")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            call(
                base,
                "/batches",
                b'{"input_file_id": "file-none", "endpoint": "x", "completion_window": "24h"}',
            )


class Params(AskingParams):
    teacher: EndpointRef


def ask(base: str, ledger: Path, texts: list[str]) -> list[Answer]:
    endpoint = Endpoint(base_url=base, model="m")
    params = Params(teacher=endpoint, ledger=str(ledger), label="test")

    async def run() -> list[Answer]:
        async with open_asking(params, Silent()) as asking:
            wanted = [
                asking.ask(endpoint, Request(text, [{"role": "user", "content": text}], seed=1))
                for text in texts
            ]
            return await asyncio.gather(*wanted)

    return asyncio.run(run())


def test_a_ledger_of_ours_is_given_again_without_the_server_that_filled_it(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(20)]
    with serving(rate_429=0.1, rate_500=0.1, retry_after=0.01) as on:
        first = ask(on.base_url, tmp_path / "ledger.sqlite", texts)
    assert [answer.text for answer in first] == [text.upper() for text in texts]
    with serve(script_at(f"replay://{tmp_path}")) as on:
        again = ask(on.base_url, tmp_path / "other.sqlite", texts)
        assert [answer.text for answer in again] == [answer.text for answer in first]
        assert not any(answer.recorded for answer in again)
        assert on.stats()["requests"] == 20
