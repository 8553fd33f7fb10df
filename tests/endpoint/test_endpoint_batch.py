"""The Batch API against a real server on loopback: partial ends, kill -9 at each step, nothing paid twice."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watari.artifact.stage import Silent
from watari.endpoint import batch_gathering, batch_queue
from watari.endpoint.asking import open_asking
from watari.endpoint.ledger import open_ledger
from watari.endpoint.params import AskingParams
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Budget, Endpoint, EndpointSampler, Price
from watari.errors import StageFailed

SOURCE = str(Path(__file__).parents[2] / "src")


class Provider:
    """OpenAI's Batch API, as small as it gets. `ends` says how each batch ends, in their order; `work` counts what was
    answered, and so charged, by custom_id."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: list[dict] = []
        self.ends: list[str] = []
        self.work: Counter[str] = Counter()
        self.duration = 0.05
        self.lose_next_answer = False
        self.pause_before_create = 0.0
        self.pause_after_create = 0.0
        self.lock = threading.Lock()

    def settled(self, batch: dict) -> dict:
        with self.lock:
            if batch["status"] == "in_progress" and time.time() - batch["began"] > self.duration:
                self.end(batch)
        return {name: value for name, value in batch.items() if name != "began"}

    def end(self, batch: dict) -> None:
        how = self.ends.pop(0) if self.ends else "completed"
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        out, errors = [], []
        if how.startswith("failed"):
            batch |= {"status": "failed", "errors": {"data": []}}
            if how != "failed":
                batch["errors"]["data"] = [{"line": 2, "code": "bad_line", "message": "no good"}]
            return
        for place, line in enumerate(lines):
            name = line["custom_id"]
            if how in ("expired", "cancelled") and place % 2:
                errors.append({"custom_id": name, "response": None, "error": {"code": f"batch_{how}"}})
                continue
            if how == "missing" and place % 2:
                continue
            self.work[name] += 1
            if how == "errors":
                said = {"status_code": 500, "body": {"error": {"message": "oh"}}}
                errors.append({"custom_id": name, "response": said, "error": None})
            elif "refuse" in line["body"]["messages"][0]["content"]:
                said = {"status_code": 400, "body": {"error": {"message": "not this one"}}}
                errors.append({"custom_id": name, "response": said, "error": None})
            else:
                text = line["body"]["messages"][0]["content"].upper()
                body = {
                    "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
                    "model": "m-1",
                }
                out.append({"custom_id": name, "response": {"status_code": 200, "body": body}, "error": None})
        out.reverse()
        batch["status"] = "completed" if how in ("missing", "errors") else how
        for kind, found in (("output", out), ("error", errors)):
            if found:
                batch[f"{kind}_file_id"] = self.keep("\n".join(map(json.dumps, found)).encode())

    def keep(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name


@contextmanager
def serving(provider: Provider):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def say(self, data, status: int = 200) -> None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
            if provider.lose_next_answer:
                provider.lose_next_answer = False
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            parts = path.split("/")[2:]
            if parts[0] == "files":
                self.say(provider.files[parts[1]])
            elif len(parts) == 2:
                self.say(provider.settled(next(b for b in provider.batches if b["id"] == parts[1])))
            else:
                newest = provider.batches[::-1]
                if "after=" in query:
                    after = query.split("after=")[1]
                    newest = newest[[b["id"] for b in newest].index(after) + 1 :]
                page = newest[:2]
                self.say({"data": [provider.settled(b) for b in page], "has_more": len(newest) > 2})

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/files"):
                content = data.split(b"\r\n\r\n", 2)[2].rsplit(b"\r\n--", 1)[0]
                self.say({"id": provider.keep(content)})
                return
            asked = json.loads(data)
            time.sleep(provider.pause_before_create)
            assert asked["endpoint"] == "/v1/chat/completions"
            with provider.lock:
                batch = {
                    "id": f"batch_{len(provider.batches)}", "status": "in_progress", "began": time.time(),
                    "created_at": int(time.time()), "input_file_id": asked["input_file_id"],
                    "metadata": asked["metadata"],
                }  # fmt: skip
                provider.batches.append(batch)
            time.sleep(provider.pause_after_create)
            self.say(provider.settled(batch))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def address(provider, monkeypatch):
    monkeypatch.setattr(batch_gathering, "QUIET", 0.1)
    monkeypatch.setattr(batch_queue, "FIRST_LOOK", 0.02)
    with serving(provider) as url:
        yield url


def endpoint(url: str, **changed) -> Endpoint:
    given = {
        "name": "cheap", "base_url": url, "model": "m", "backend": "batch", "attempts": 3,
        "price": Price(input=1.0, output=2.0), "sampler": EndpointSampler(max_tokens=20),
    }  # fmt: skip
    return Endpoint(**{**given, **changed})


def asked(text: str) -> Request:
    return Request(
        f"unit {text}", [{"role": "user", "content": text}], row=f"row {text}", purpose="translate"
    )


def run(place: Path, target: Endpoint, texts: list[str], budget: Budget | None = None) -> list:
    params = AskingParams(ledger=str(place), label="translated", budget=budget or Budget())

    async def main():
        async with open_asking(params, Silent()) as asking:
            found = await asyncio.gather(
                *(asking.ask(target, asked(text)) for text in texts), return_exceptions=True
            )
            return [one.text if not isinstance(one, BaseException) else one for one in found]

    return asyncio.run(main())


def test_one_batch_answers_all_and_a_second_run_sends_nothing(provider, address, tmp_path):
    texts = [f"word {i}" for i in range(20)] + ["refuse me"]
    *answers, refused = run(tmp_path, endpoint(address), texts)
    assert answers == [f"WORD {i}" for i in range(20)]
    assert isinstance(refused, AskFailed)
    assert (refused.code, refused.detail) == ("refused by the server", "HTTP 400: not this one")
    assert len(provider.batches) == 1
    assert run(tmp_path, endpoint(address), texts[:20]) == answers
    assert len(provider.batches) == 1
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().money == pytest.approx(20 * (5 + 4) / 1e6)
        assert ledger.rows("SELECT state, batch_id, requests FROM batch") == [("read", "batch_0", 21)]
        assert ledger.rows("SELECT row_id, purpose, model FROM attempt WHERE unit = 'unit word 3'") == [
            ("row word 3", "translate", "m-1")
        ]
        assert ledger.held() == []


@pytest.mark.parametrize("how", ["expired", "cancelled", "missing"])
def test_what_a_batch_leaves_unanswered_is_asked_again_and_only_that(provider, address, tmp_path, how):
    provider.ends = [how]
    texts = [f"w{i}" for i in range(10)]
    assert run(tmp_path, endpoint(address), texts) == [text.upper() for text in texts]
    assert len(provider.batches) == 2
    assert set(provider.work.values()) == {1}, "nothing is paid twice"


def test_a_completed_batch_with_only_an_error_file(provider, address, tmp_path):
    provider.ends = ["errors"]
    assert run(tmp_path, endpoint(address), ["a", "b"]) == ["A", "B"]
    provider.ends = ["errors"] * 9
    gone = run(tmp_path, endpoint(address), ["c"])
    assert isinstance(gone[0], AskFailed)
    assert gone[0].code == "gave up"
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.rows("SELECT count(*) FROM attempt WHERE status = 'server error'") == [(5,)]


def test_a_refused_batch(provider, address, tmp_path):
    provider.ends = ["failed by line"]
    a, b, c = run(tmp_path, endpoint(address), ["a", "b", "c"])
    assert (a, c) == ("A", "C")
    assert isinstance(b, AskFailed)
    provider.ends = ["failed"]
    assert isinstance(run(tmp_path, endpoint(address), ["d"])[0], StageFailed)


def test_batches_are_cut_to_the_providers_limits(provider, address, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_gathering, "MOST_REQUESTS", 4)
    texts = [f"w{i}" for i in range(10)]
    assert run(tmp_path, endpoint(address), texts) == [text.upper() for text in texts]
    sizes = [
        len(content.splitlines()) for content in provider.files.values() if b'custom_id":' in content[:14]
    ]
    monkeypatch.setattr(batch_gathering, "MOST_REQUESTS", 50_000)
    assert len(provider.batches) == 3
    assert max(sizes) == 4
    monkeypatch.setattr(batch_gathering, "MOST_BYTES", 2000)
    long = [f"{i}" * 600 for i in range(4)]
    assert run(tmp_path, endpoint(address), long) == long
    assert len(provider.batches) == 3 + 2


def test_a_batch_that_is_read_again_is_not_recorded_again(provider, address, tmp_path):
    """As after a kill -9 between the last answer's commit and the note that all is read."""
    run(tmp_path, endpoint(address), ["a", "b"])
    with open_ledger(tmp_path) as ledger:
        ledger.transact(lambda tx: tx.run("UPDATE batch SET state = 'created', holder = 'gone'"))
    assert run(tmp_path, endpoint(address), ["c"]) == ["C"]
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with open_ledger(tmp_path, readonly=True) as ledger:
            if ledger.rows("SELECT DISTINCT state FROM batch") == [("read",)]:
                break
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.rows("SELECT DISTINCT state FROM batch") == [("read",)]
        assert ledger.recorded()[2] == 3


def test_a_lost_answer_to_create_makes_no_second_batch(provider, address, tmp_path, monkeypatch):
    from watari.endpoint.batch_service import BatchService

    create = BatchService.create

    async def losing(self, token, file):
        provider.lose_next_answer = True
        return await create(self, token, file)

    monkeypatch.setattr(BatchService, "create", losing)
    assert run(tmp_path, endpoint(address), ["a"]) == ["A"]
    assert len(provider.batches) == 1


def test_the_budget_holds_for_batches(provider, address, tmp_path):
    answers = run(tmp_path, endpoint(address), [f"w{i}" for i in range(14)], Budget(money=0.0001))
    done = [one for one in answers if isinstance(one, str)]
    assert 0 < len(done) < 14
    assert all(isinstance(one, str | StageFailed) for one in answers)
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().money <= 0.0001


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_endpoint_batch as t
from watari.endpoint import batch_gathering, batch_queue
batch_gathering.QUIET, batch_queue.FIRST_LOOK = 0.1, 0.05
t.run(Path(sys.argv[1]), t.endpoint(sys.argv[2]), [f"w{i}" for i in range(12)], t.Budget(money=0.003))
"""


@pytest.mark.parametrize("moment", ["uploaded", "creating", "created", "reading"])
def test_after_kill_9_the_run_attaches_to_its_batch(provider, address, tmp_path, moment):
    """12 requests have a worst case of 12 x ~80e-6: a second batch on top of the first would not fit the budget."""
    provider.duration = 1.0
    provider.pause_before_create = 30.0 if moment == "uploaded" else 0.0
    provider.pause_after_create = 30.0 if moment == "creating" else 0.0
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), address, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    state = {"uploaded": "uploaded", "creating": "uploaded", "created": "created", "reading": "created"}[
        moment
    ]

    def reached() -> bool:
        try:
            with open_ledger(tmp_path, readonly=True) as ledger:
                if moment == "reading":
                    return bool(ledger.rows("SELECT 1 FROM attempt"))
                there = ledger.rows("SELECT 1 FROM batch WHERE state = ?", (state,))
                return bool(there) and (moment != "creating" or bool(provider.batches))
        except Exception:
            return False

    until = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    provider.pause_before_create = provider.pause_after_create = 0.0
    provider.duration = 0.05
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().money > 0, "what may be paid counts"
    texts = [f"w{i}" for i in range(12)]
    assert run(tmp_path, endpoint(address), texts, Budget(money=0.003)) == [text.upper() for text in texts]
    assert set(provider.work.values()) == {1}, "nothing is paid twice"
    assert len(provider.batches) == 1
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.recorded() == (12 * 9_000, 12 * 7, 12)
        if moment != "reading":
            # What the killed process had set aside ahead of need is all that stays lost.
            assert ledger.spent().money < 12 * 9 / 1e6 + 0.003 / 16
        assert ledger.spent().money <= 0.003
